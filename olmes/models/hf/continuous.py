"""Continuous batching: a row that ends makes room at once for the next prompt.

Rows of all generation settings run together: stops, limits and noise are each row's own. A fill
computes several prompts as one tree, so that repeats of one prompt are computed once and forked.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from olmes.models.checkpoint.folder import quiet
from olmes.models.hf.batches import out_of_memory, release_memory
from olmes.models.hf.first_tokens import note_first_tokens
from olmes.models.hf.generation_rows import GenerationRow
from olmes.models.hf.prefix import PrefixGroup, TokenTree, prefix_groups, running_order
from olmes.models.hf.prompt_cache import SlotStore, Step, fill, forward, shared_attention
from olmes.models.hf.sampling import GumbelSampler, changes_scores

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from olmes.models.hf.endings import Endings

FILL_TOKENS_ON_CPU = 512
"""New tokens of one fill: enough for full matrix products, few enough for a small mask."""
FILL_TOKENS_ON_GPU = 4096
GROWTH = 256
"""New tokens a slot has room for at first; it grows by half when they are used up."""


@dataclass(slots=True, eq=False)
class RunningRow:
    """A row in a slot."""

    row: GenerationRow
    group: PrefixGroup | None
    own: int
    """Prompt tokens behind the group's prefix."""
    sampler: GumbelSampler | None

    @property
    def length(self) -> int:
        """Tokens in the slot: the newest token is not in the cache yet."""
        return self.own + len(self.row.new_ids) - 1

    @property
    def need(self) -> int:
        """The most tokens it may come to hold."""
        return self.own + self.row.most_tokens


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much may run at once."""

    rows: int
    tokens: int
    """Of key-value cache, over all slots."""


def generate_stream(
    model: PreTrainedModel,
    rows: Sequence[GenerationRow],
    limits: BatchLimits,
    endings: Endings,
    fail: Callable[[GenerationRow, str], None],
) -> None:
    """Answer all rows; out of memory, continue with half as many at once.

    A row that does not fit alone is given to `fail` with the reason, and the others continue.
    """
    prompts = [row.prompt_ids for row in rows]
    groups = prefix_groups(prompts)
    order = running_order(prompts, groups)
    waiting = deque((rows[at], groups[at]) for at in order)
    while waiting:
        batch = GenerationBatch(model, limits, endings)
        reason = ""
        try:
            with torch.inference_mode(), quiet(), shared_attention(model):
                batch.run(waiting)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = str(error).strip().split("\n")[0] or type(error).__name__
        # Outside the handler: the exception's frames no longer hold the batch's tensors.
        if reason:
            open_rows = [one for one in batch.active if not one.row.finished]
            del batch.store
            release_memory()
            if batch.most == 1:
                fail(open_rows[0].row, f"out of memory even in a batch of one: {reason}")
                if group := open_rows[0].group:
                    group.release()
                open_rows = []
            for one in reversed(open_rows):
                one.row.restart()
                waiting.appendleft((one.row, one.group))
            limits = BatchLimits(max(1, len(open_rows) // 2 or limits.rows // 2), limits.tokens)


class GenerationBatch:
    """The rows that run, in the first slots of a store."""

    def __init__(self, model: PreTrainedModel, limits: BatchLimits, endings: Endings) -> None:
        self.model = model
        self.limits = limits
        self.endings = endings
        self.store = SlotStore()
        self.active: list[RunningRow] = []
        self.most = 0  # rows that ran at once
        on_cpu = model.device.type == "cpu"
        self.fill_tokens = FILL_TOKENS_ON_CPU if on_cpu else FILL_TOKENS_ON_GPU

    def run(self, waiting: deque[tuple[GenerationRow, PrefixGroup | None]]) -> None:
        """Answer the waiting rows; those off the queue and not finished are `active`."""
        while waiting or self.active:
            # A fill among few steps is cheap; filling one by one on a large batch is not.
            if waiting and self.limits.rows - len(self.active) >= max(1, self.limits.rows // 16):
                while chosen := self.admit(waiting):
                    self.start(chosen)
            self.step()

    def admit(self, waiting: deque[tuple[GenerationRow, PrefixGroup | None]]) -> list[RunningRow]:
        """Take the next rows of one group that a fill and the limits have room for."""
        chosen: list[RunningRow] = []
        tokens = 0
        need = max((one.need for one in self.active), default=0)
        while waiting:
            row, group = waiting[0]
            own = len(row.prompt_ids) - (len(group.tokens) if group else 0)
            count = len(self.active) + 1
            need = max(need, own + row.most_tokens)
            if chosen and (group is not chosen[0].group or tokens + own > self.fill_tokens):
                break
            full = count > self.limits.rows or count * need > self.limits.tokens
            if full and self.active:
                break
            waiting.popleft()
            shaped = changes_scores(row.generation)
            sampler = GumbelSampler([row], self.model.device) if shaped else None
            one = RunningRow(row, group, own, sampler)
            self.active.append(one)
            chosen.append(one)
            tokens += own
        return chosen

    def start(self, chosen: list[RunningRow]) -> None:
        """Compute the prompts of newly admitted rows, which are the last, and their first tokens."""
        self.most = max(self.most, len(self.active))
        tree = TokenTree()
        for one in chosen:
            tree.add(one.row.prompt_ids[len(one.row.prompt_ids) - one.own :])
        group = chosen[0].group
        keep = sorted({path[-1] for path in tree.paths})
        prefill, logits = fill(self.model, tree, group, keep)
        capacity = max(one.own + min(one.row.most_tokens, GROWTH) for one in chosen)
        first = len(self.active) - len(chosen)
        if len(self.active) * self.store.capacity > self.limits.tokens:  # a long row has ended
            held = max((one.length for one in self.active[:first]), default=0)
            self.store.resize(first, max(capacity, held + 1))
        room = self.limits.tokens // max(capacity, self.store.capacity)
        slots = max(len(self.active), min(self.limits.rows, 2 * self.store.slots, room))
        self.store.reserve(slots, capacity, prefill.states)
        self.store.write(prefill, range(first, len(self.active)), tree.paths)
        offsets = {node: at for at, node in enumerate(keep)}
        scores = logits[[offsets[path[-1]] for path in tree.paths]]
        self.extend(chosen, scores)

    def step(self) -> None:
        """Give every running row its next token."""
        if not self.active:
            return
        lengths = [one.length for one in self.active]
        if max(lengths) >= self.store.capacity:
            most = max(one.need for one in self.active)
            grown = self.store.capacity + self.store.capacity // 2
            self.store.resize(len(self.active), min(most, max(grown, max(lengths) + 1)))
        current = Step(self.store, lengths, [one.group for one in self.active], self.model.device)
        tokens = [one.row.new_ids[-1] for one in self.active]
        positions = [
            length + (len(one.group.tokens) if one.group else 0)
            for one, length in zip(self.active, lengths, strict=True)
        ]
        self.extend(list(self.active), forward(self.model, current, tokens, positions))

    def extend(self, chosen: list[RunningRow], logits: torch.Tensor) -> None:
        """Append each row's token by its logits, `[rows, vocabulary]`; drop the rows that end."""
        note_first_tokens([one.row for one in chosen], logits, self.endings.encoder)
        tokens = logits.argmax(-1).tolist()
        for at, one in enumerate(chosen):
            if one.sampler:
                ids = torch.zeros((1, 1), dtype=torch.long, device=logits.device)
                tokens[at] = int(one.sampler(ids, logits[at : at + 1].float()).argmax())
        for one, token in zip(chosen, tokens, strict=True):
            self.endings.add(one.row, token)
        for slot in reversed(range(len(self.active))):
            if self.active[slot].row.finished:
                self.drop(slot)

    def drop(self, slot: int) -> None:
        """Free a slot; the last row moves into it, so that the running rows are contiguous."""
        ended, last = self.active[slot], self.active.pop()
        if ended is not last:
            self.store.move(len(self.active), slot, last.length)
            self.active[slot] = last
        if ended.group:
            ended.group.release()
