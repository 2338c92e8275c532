"""How many tokens some requests are to a model, and how many of them are shared: counted, not run."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.models.base import Model
from olmes.models.hf.generation_rows import UnanswerableError, fit
from olmes.models.hf.model import CheckpointModel
from olmes.models.hf.prefix import PrefixGroup, TokenTree, prefix_groups, running_order
from olmes.models.options import ASKED, THINKING_BUDGET, Asking
from olmes.types import Request


@dataclass(frozen=True, slots=True)
class Workload:
    """Tokens of some requests; None where only a server knows."""

    prompt_tokens: int | None
    shared_tokens: int | None
    new_tokens: list[int]
    """The most new tokens of an answer, by request."""
    thoughts: list[int]
    """The most tokens of a thought before it, by request; 0 for a model that is not known to think."""


def workload(model: Model, requests: Sequence[Request]) -> Workload:
    """The tokens of requests, as a checkpoint's backend would lay them out in its fills."""
    if not isinstance(model, CheckpointModel):
        limits = [0 if one.continuations else one.generation.max_tokens for one in requests]
        budget = thinking_budget(model)
        return Workload(None, None, limits, [budget if limit else 0 for limit in limits])
    prompts: list[array[int]] = []
    new_tokens: list[int] = []
    thoughts: list[int] = []
    continuations: list[list[array[int]]] = []
    for index, request in enumerate(requests):
        new_tokens.append(0)
        thoughts.append(0)
        try:
            if request.continuations:
                continuations.append(candidates(model, index, request))
                continue
            row = fit(index, request, model.encoder.encode(request), model.window)
        except UnanswerableError:
            continue
        prompts.append(row.prompt_ids)
        new_tokens[-1] = row.max_tokens
        thoughts[-1] = thought_room(model, len(row.prompt_ids), row.max_tokens)
    asked = sum(map(len, prompts)) + sum(
        len(ids) for sequences in continuations for ids in sequences
    )
    computed = computed_once([[ids] for ids in prompts]) + computed_once(continuations)
    return Workload(asked, asked - computed, new_tokens, thoughts)


def thinking_budget(model: Model) -> int:
    """Tokens that a thought of a model may take; 0 for one that is not known to think."""
    if not model.thinks:
        return 0
    asking: Asking = getattr(model, "asking", ASKED)
    return asking.thinking_budget or THINKING_BUDGET


def thought_room(model: CheckpointModel, prompt: int, answer: int) -> int:
    """Tokens that a thought may take before an answer: its budget, or what the window leaves."""
    budget, window = thinking_budget(model), model.window
    return budget if window is None else max(0, min(budget, window - prompt - answer))


def candidates(model: CheckpointModel, index: int, request: Request) -> list[array[int]]:
    """What is read of each continuation with its prompt: all but the last token."""
    from olmes.models.hf.loglikelihood import candidates as fitted

    return [one.token_ids[:-1] for one in fitted(index, request, model.encoder, model.window)]


def computed_once(requests: Sequence[list[array[int]]]) -> int:
    """Tokens that are computed of requests' sequences, those of one request laid out as one tree."""
    from olmes.models.hf.continuous import FILL_TOKENS_ON_CPU

    firsts = [shared_prefix(sequences) for sequences in requests]
    groups = prefix_groups(firsts)
    prefixes: set[PrefixGroup] = set()
    computed, tree, current = 0, TokenTree(), None
    for at in running_order(firsts, groups):
        group = groups[at]
        before = len(group.tokens) if group else 0
        own = max(len(ids) for ids in requests[at]) - before
        if group is not current or len(tree.tokens) + own > FILL_TOKENS_ON_CPU:
            computed += len(tree.tokens)
            tree, current = TokenTree(), group
        for ids in requests[at]:
            tree.add(ids[before:])
        while group:
            prefixes.add(group)
            group = group.parent
    computed += len(tree.tokens)
    return computed + sum(
        len(one.tokens) - (len(one.parent.tokens) if one.parent else 0) for one in prefixes
    )


def shared_prefix(sequences: list[array[int]]) -> array[int]:
    """The longest common prefix of some sequences."""
    from olmes.models.hf.prefix import common_length

    first = sequences[0]
    return first[: min([len(first), *(common_length(first, other) for other in sequences[1:])])]
