"""How many tokens some requests are to a model, and how many of them are shared: counted, not run."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.models.base import Model
from olmes.models.hf.generation_rows import UnanswerableError, fit
from olmes.models.hf.model import CheckpointModel
from olmes.models.hf.prefix import Packed, PrefixGroup, arranged, families
from olmes.types import Request


@dataclass(frozen=True, slots=True)
class Workload:
    """Tokens of some requests; None where only a server knows."""

    prompt_tokens: int | None
    shared_tokens: int | None
    new_tokens: list[int]
    """The most new tokens, by request."""


def workload(model: Model, requests: Sequence[Request]) -> Workload:
    """The tokens of requests, as a checkpoint's backend would lay them out in its fills."""
    if not isinstance(model, CheckpointModel):
        limits = [0 if one.continuations else one.generation.max_tokens for one in requests]
        return Workload(None, None, limits)
    prompts, new_tokens = [], []
    weighed: list[list[array[int]]] = []
    for index, request in enumerate(requests):
        new_tokens.append(0)
        try:
            if request.continuations:
                weighed.append(candidates(model, index, request))
                continue
            row = fit(index, request, model.encoder.encode(request), model.window)
        except UnanswerableError:
            continue
        prompts.append(row.prompt_ids)
        new_tokens[-1] = row.max_tokens
    asked = sum(map(len, prompts)) + sum(len(ids) for group in weighed for ids in group)
    computed = computed_once([[ids] for ids in prompts]) + computed_once(weighed)
    return Workload(asked, asked - computed, new_tokens)


def candidates(model: CheckpointModel, index: int, request: Request) -> list[array[int]]:
    """What is read of each continuation with its prompt: all but the last token."""
    from olmes.models.hf.loglikelihood import candidates as fitted

    return [one.token_ids[:-1] for one in fitted(index, request, model.encoder, model.window)]


def computed_once(groups: Sequence[list[array[int]]]) -> int:
    """Tokens that are computed of groups of sequences, each group laid out as one tree."""
    from olmes.models.hf.continuous import FILL_TOKENS_ON_CPU

    firsts = [shared(group) for group in groups]
    kin = families(firsts)
    beginnings: set[PrefixGroup] = set()
    computed, packed, current = 0, Packed(), None
    for at in arranged(firsts, kin):
        family = kin[at]
        before = len(family.tokens) if family else 0
        own = max(len(ids) for ids in groups[at]) - before
        if family is not current or len(packed.tokens) + own > FILL_TOKENS_ON_CPU:
            computed += len(packed.tokens)
            packed, current = Packed(), family
        for ids in groups[at]:
            packed.add(ids[before:])
        while family:
            beginnings.add(family)
            family = family.parent
    computed += len(packed.tokens)
    return computed + sum(
        len(one.tokens) - (len(one.parent.tokens) if one.parent else 0) for one in beginnings
    )


def shared(group: list[array[int]]) -> array[int]:
    """What all sequences of a group begin with."""
    from olmes.models.hf.prefix import common

    first = group[0]
    return first[: min([len(first), *(common(first, other) for other in group[1:])])]
