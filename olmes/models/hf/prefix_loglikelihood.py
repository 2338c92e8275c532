"""Log-probabilities of continuations, each distinct token of the stream computed once.

A prefix that many requests share is computed once and cached; requests of one prefix group are laid
out as one tree (question, then its continuations side by side), in which a token sees its own
ancestors only.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from olmes.models.checkpoint.folder import quiet
from olmes.models.hf.batches import out_of_memory, release_memory
from olmes.models.hf.continuous import FILL_TOKENS_ON_CPU, FILL_TOKENS_ON_GPU
from olmes.models.hf.loglikelihood import Candidate
from olmes.models.hf.prefix import (
    PrefixGroup,
    TokenTree,
    common_length,
    prefix_groups,
    running_order,
)
from olmes.models.hf.prompt_cache import fill, shared_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def context_of(rows: Sequence[Candidate]) -> array[int]:
    """The prefix that all continuations of a request share."""
    first = rows[0].token_ids
    # The last token of a candidate is predicted and not read.
    length = min(len(row.token_ids) - row.length for row in rows)
    return first[: min([length, *(common_length(first, row.token_ids) for row in rows[1:])])]


class TokenBatch:
    """Requests of one prefix group that go through the model together."""

    def __init__(self, group: PrefixGroup | None) -> None:
        self.group = group
        self.requests: list[list[Candidate]] = []
        self.tree = TokenTree()

    def add(self, rows: list[Candidate]) -> None:
        """Lay out one more request."""
        before = len(self.group.tokens) if self.group else 0
        self.requests.append(rows)
        for row in rows:
            self.tree.add(row.token_ids[before:-1])

    def score(self, model: PreTrainedModel) -> None:
        """Set the `logprob` of every candidate: the sum of ln p(token | tokens before it)."""
        rows = [row for request in self.requests for row in request]
        asked = [path[-row.length :] for row, path in zip(rows, self.tree.paths, strict=True)]
        keep = sorted({node for path in asked for node in path})
        offsets = {node: at for at, node in enumerate(keep)}
        _, logits = fill(model, self.tree, self.group, keep)
        # In float32 and for each position once: positions are shared by continuations.
        logits = logits.float()
        normalizers = logits.logsumexp(-1)
        for row, path in zip(rows, asked, strict=True):
            at = torch.tensor([offsets[node] for node in path], device=logits.device)
            tokens = torch.tensor(row.token_ids[-row.length :], device=logits.device)
            row.logprob = float((logits[at, tokens] - normalizers[at]).double().sum())


def batches(
    requests: Sequence[tuple[list[Candidate], PrefixGroup | None]], rows: int, tokens: int
) -> Iterator[TokenBatch]:
    """Requests batched in their order, up to so many continuations and new tokens a batch."""
    batch: TokenBatch | None = None
    for request, group in requests:
        if batch is not None:
            count = sum(map(len, batch.requests)) + len(request)
            ends = batch.group is not group or count > rows
            # The tree may come out smaller than the sum: what it shares is not counted here.
            if ends or len(batch.tree.tokens) + new_tokens(request, group) > tokens:
                yield batch
                batch = None
        batch = batch or TokenBatch(group)
        batch.add(request)
    if batch is not None:
        yield batch


def new_tokens(request: Sequence[Candidate], group: PrefixGroup | None) -> int:
    """New tokens of a request alone."""
    shared = len(context_of(request))
    before = len(group.tokens) if group else 0
    return shared - before + sum(len(row.token_ids) - 1 - shared for row in request)


def loglikelihood_stream(
    model: PreTrainedModel,
    requests: Sequence[list[Candidate]],
    batch_size: int | None,
    settle: Callable[[list[Candidate]], None],
) -> None:
    """Score the open candidates of all requests, calling `settle` with each request's when done.

    Without a `batch_size` a batch ends by its tokens alone. Out of memory, it continues with half as
    many continuations at once; a request that does not fit alone is scored one continuation at a
    time, and fails where that does not fit either.
    """
    tokens = FILL_TOKENS_ON_CPU if model.device.type == "cpu" else FILL_TOKENS_ON_GPU
    rows = batch_size or tokens
    contexts = [context_of(request) for request in requests]
    groups = prefix_groups(contexts)
    waiting = [(list(requests[at]), groups[at]) for at in running_order(contexts, groups)]
    while waiting:
        done, failed, reason = 0, None, ""
        for batch in batches(waiting, rows, tokens):
            reason = score_batch(model, batch)
            if reason:
                failed = batch
                break
            done += len(batch.requests)
            for request in batch.requests:
                settle(request)
                if batch.group:
                    batch.group.release()
        waiting = waiting[done:]
        if failed is None:
            return
        # Here no exception's frames hold the batch's tensors any more.
        release_memory()
        rows = max(1, sum(map(len, failed.requests)) // 2)
        if len(failed.requests) == 1:
            waiting[0:1] = split(failed, reason, settle)


def score_batch(model: PreTrainedModel, batch: TokenBatch) -> str:
    """Score a batch; the reason when memory does not suffice."""
    try:
        with torch.inference_mode(), quiet(), shared_attention(model):
            batch.score(model)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return str(error).strip().split("\n")[0] or type(error).__name__
    return ""


def split(
    batch: TokenBatch, reason: str, settle: Callable[[list[Candidate]], None]
) -> list[tuple[list[Candidate], PrefixGroup | None]]:
    """What to try in place of one request that does not fit: each continuation by itself."""
    [rows] = batch.requests
    if len(rows) == 1:
        rows[0].error = f"out of memory even in a batch of one: {reason}"
        settle(rows)
        if batch.group:
            batch.group.release()
        return []
    if batch.group:
        batch.group.join(len(rows) - 1)
    return [([row], batch.group) for row in rows]
