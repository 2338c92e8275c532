"""A key-value cache in which rows share their common beginning, and the attention that reads it.

A forward pass takes one flat line of tokens `[1, tokens]`, whatever rows they belong to, so that
nothing is padded. There are two kinds. A `Fill` computes new tokens behind a family's beginning,
several sequences packed as a tree. A `Step` computes one token of each running row: its own keys
and values are written in place into a preallocated store, and the family's are read once for all
its rows, as one matrix product (the idea of cascade inference and of Hydragen, arXiv 2402.05099).

Why not transformers' own: `DynamicCache` copies itself at every step, `StaticCache` writes all rows
at the same place, and both hold the shared beginning once a row.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache

from olmes.models.base import Work
from olmes.models.hf.prefix import Packed, PrefixGroup

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ATTENTION = "olmes_shared_prefix"
running: ContextVar[Fill | Step | None] = ContextVar("running", default=None)
counted: ContextVar[Work | None] = ContextVar("counted", default=None)
"""Where fills are counted."""


class UnsuitableError(Exception):
    """An architecture whose attention is more than softmax over all earlier tokens."""


class Fill(Cache):  # type: ignore[misc]  # untyped base
    """New tokens behind a family's beginning.

    Args:
        packed: the tokens, as a tree.
        family: the beginning before all of them; its states are computed.
        device: where the model runs.
    """

    def __init__(self, packed: Packed, family: PrefixGroup | None, device: torch.device) -> None:
        super().__init__(layers=[])
        self.rows = len(packed.paths)
        self.before = len(family.tokens) if family else 0
        self.family = family
        self.states: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.mask = self._mask(packed).to(device) if self.before or not packed.chain else None

    def _mask(self, packed: Packed) -> torch.Tensor:
        """True where a token sees another: the beginning, its ancestors and itself."""
        count, before = len(packed.tokens), self.before
        mask = np.zeros((count, before + count), dtype=np.bool_)
        mask[:, :before] = True
        for node, parent in enumerate(packed.parents):
            if parent >= 0:
                mask[node] = mask[parent]
            mask[node, before + node] = True
        return torch.from_numpy(mask)

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a layer's new keys and values, `[1, key-value heads, tokens, head size]`."""
        self.states[layer_idx] = (key_states, value_states)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 (all layers are alike)
        """Tokens before the new ones."""
        return self.before

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Attention output `[1, tokens, heads, head size]`."""
        if self.family:
            first_keys, first_values = beginning(self.family, layer)
            key = torch.cat([first_keys, key], dim=2)
            value = torch.cat([first_values, value], dim=2)
        repeat = query.shape[1] // key.shape[1]
        if repeat > 1:
            key = key.repeat_interleave(repeat, dim=1)
            value = value.repeat_interleave(repeat, dim=1)
        mask = None if self.mask is None else self.mask.to(query.device)
        out = scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale
        )
        return out.transpose(1, 2)


def beginning(family: PrefixGroup, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of a family's beginning in one layer."""
    keys, values = family.states[layer]
    assert isinstance(keys, torch.Tensor)
    assert isinstance(values, torch.Tensor)
    return keys, values


class SlotStore:
    """What each running row has beyond its family's beginning: a slot a row, written in place.

    By layer, keys and values `[slots, key-value heads, capacity, head size]`.
    """

    def __init__(self) -> None:
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.slots = self.capacity = 0

    def reserve(self, slots: int, capacity: int, states: dict[int, Any] | None = None) -> None:
        """Make room for that many slots and tokens a slot; what is there stays.

        Args:
            slots: rows at once.
            capacity: tokens a row.
            states: keys and values by layer of any fill, whose shapes the first call takes over.
        """
        if slots <= self.slots and capacity <= self.capacity:
            return
        slots, capacity = max(slots, self.slots), max(capacity, self.capacity)
        for layer, pair in (self.layers or states or {}).items():
            grown = []
            for old in pair:
                # Zeros: what was never written may be NaN, and a weight of 0 would keep it NaN.
                new = old.new_zeros((slots, old.shape[1], capacity, old.shape[3]))
                if self.slots:
                    new[: self.slots, :, : self.capacity] = old
                grown.append(new)
            self.layers[layer] = (grown[0], grown[1])
        self.slots, self.capacity = slots, capacity

    def write(self, fill: Fill, slots: Sequence[int], paths: Sequence[Sequence[int]]) -> None:
        """Copy a fill's tokens to slots; `paths[i]` are the nodes of the row in `slots[i]`."""
        slot = torch.tensor([s for s, path in zip(slots, paths, strict=True) for _ in path])
        place = torch.tensor([at for path in paths for at in range(len(path))])
        node = torch.tensor([one for path in paths for one in path])
        for layer, pair in fill.states.items():
            for kept, new in zip(self.layers[layer], pair, strict=True):
                where = kept.device
                moved = new[0].transpose(0, 1)[node.to(where)]
                kept[slot.to(where), :, place.to(where)] = moved

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a slot's first tokens to another slot."""
        for pair in self.layers.values():
            for kept in pair:
                kept[target, :, :length] = kept[source, :, :length]


class Step(Cache):  # type: ignore[misc]  # untyped base
    """One new token of each row in the first slots of a store.

    Args:
        store: the rows' own keys and values.
        lengths: tokens each row has in its slot, the new one not counted.
        kin: the rows' families.
        device: where the model runs.
    """

    def __init__(
        self,
        store: SlotStore,
        lengths: Sequence[int],
        kin: Sequence[PrefixGroup | None],
        device: torch.device,
    ) -> None:
        super().__init__(layers=[])
        self.store = store
        self.rows = len(lengths)
        self.longest = max(lengths) + 1
        self.places = torch.tensor(lengths, device=device)
        self.numbers = torch.arange(self.rows, device=device)
        seen = torch.arange(self.longest, device=device) <= self.places[:, None]
        self.hidden = ~seen[:, None, None, :]  # [rows, 1, 1, longest]
        members: dict[PrefixGroup, list[int]] = {}
        for at, family in enumerate(kin):
            if family:
                members.setdefault(family, []).append(at)
        self.members = [
            (family, None if len(at) == self.rows else torch.tensor(at, device=device))
            for family, at in members.items()
        ]
        self.before = max((len(family.tokens) for family in members), default=0)

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new keys and values, `[1, key-value heads, rows, head size]`, in place."""
        keys, values = self.store.layers[layer_idx]
        rows, places = self.numbers.to(keys.device), self.places.to(keys.device)
        keys[rows, :, places] = key_states[0].transpose(0, 1)
        values[rows, :, places] = value_states[0].transpose(0, 1)
        return keys[: self.rows, :, : self.longest], values[: self.rows, :, : self.longest]

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 (all layers are alike)
        """Tokens before the new one, in the longest row."""
        return self.before + self.longest - 1

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Attention output `[1, rows, heads, head size]`.

        The scores of the family's tokens and of the row's own are computed apart and go through one
        softmax in float32. The query heads that share a key-value head stand side by side, so
        that keys and values are not repeated for them.
        """
        rows, heads, size = self.rows, key.shape[1], query.shape[-1]
        asked = (query[0].transpose(0, 1) * scale).reshape(rows, heads, -1, size)
        own = torch.matmul(asked, key.transpose(-1, -2))
        own = own.masked_fill(self.hidden.to(own.device), float("-inf"))
        parts = [] if self.before == 0 else [self._beginnings(layer, asked)]
        weights = torch.cat([*parts, own], dim=-1).softmax(-1, dtype=torch.float32).to(query.dtype)
        out = torch.matmul(weights[..., self.before :], value)
        for family, chosen in self.members:
            _, values = beginning(family, layer)
            share = weights[..., : values.shape[2]]
            share = share if chosen is None else share[chosen.to(share.device)]
            flat = share.transpose(0, 1).flatten(1, 2)  # [heads, rows * group, tokens]
            added = torch.matmul(flat, values[0]).unflatten(1, (len(share), share.shape[2]))
            added = added.transpose(0, 1)
            if chosen is None:
                out = out + added
            else:
                out[chosen.to(out.device)] += added
        return out.reshape(1, rows, -1, out.shape[-1])

    def _beginnings(self, layer: int, asked: torch.Tensor) -> torch.Tensor:
        """Scores of the families' tokens, `[rows, heads, group, longest beginning]`."""
        rows, heads, group, _ = asked.shape
        alone = len(self.members) == 1 and self.members[0][1] is None
        scores = None if alone else asked.new_full((rows, heads, group, self.before), float("-inf"))
        for family, chosen in self.members:
            keys, _ = beginning(family, layer)
            mine = asked if chosen is None else asked[chosen.to(asked.device)]
            flat = mine.transpose(0, 1).flatten(1, 2)
            found = torch.matmul(flat, keys[0].transpose(-1, -2))
            found = found.unflatten(1, (len(mine), group)).transpose(0, 1)
            if scores is None or chosen is None:
                return found
            scores[chosen.to(scores.device), ..., : keys.shape[2]] = found
        assert scores is not None
        return scores


def shared_prefix_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **extra: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers' models call it, for the pass that is running.

    Raises:
        UnsuitableError: the layer asks for more than softmax over all earlier tokens.
    """
    current = running.get()
    known = {"softcap", "s_aux", "sliding_window", "position_bias"}
    special = sorted(name for name in known if extra.get(name) is not None)
    if current is None or attention_mask is not None or special:
        raise UnsuitableError(", ".join(special) or "a mask of its own")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(getattr(module, "layer_idx", -1))
    return current.attend(layer, query, key, value, scale), None


AttentionInterface.register(ATTENTION, shared_prefix_attention)


@contextmanager
def shared_attention(model: PreTrainedModel) -> Iterator[None]:
    """Give a model this module's attention for a while."""
    before = model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def counting(work: Work) -> Iterator[None]:
    """Count the tokens that fills compute and share."""
    token = counted.set(work)
    try:
        yield
    finally:
        counted.reset(token)


def forward(
    model: PreTrainedModel,
    current: Fill | Step,
    tokens: Sequence[int],
    positions: Sequence[int],
    keep: Sequence[int] | None = None,
) -> torch.Tensor:
    """Logits `[kept, vocabulary]` of a flat line of tokens, of those at the places in `keep`."""
    from olmes.models.hf.loglikelihood import accepted

    device = model.device
    takes = accepted(model)
    # transformers renamed the argument in 5.23 and tells users of the old name at every run.
    extra: dict[str, Any] = {"cache" if "cache" in takes else "past_key_values": current}
    whole = keep is None or len(keep) == len(tokens)
    chosen = None if whole else torch.tensor(keep, device=device)
    shortened = chosen is not None and "logits_to_keep" in takes
    if shortened:
        extra["logits_to_keep"] = chosen
    token = running.set(current)
    try:
        logits: torch.Tensor = model(
            input_ids=torch.tensor([list(tokens)], device=device),
            position_ids=torch.tensor([list(positions)], device=device),
            use_cache=True,
            **extra,
        ).logits[0]
    finally:
        running.reset(token)
    return logits if chosen is None or shortened else logits[chosen]


def fill(
    model: PreTrainedModel, packed: Packed, family: PrefixGroup | None, keep: Sequence[int]
) -> tuple[Fill, torch.Tensor]:
    """Compute packed tokens behind a family's beginning; their states and the kept logits."""
    if family:
        compute_beginning(model, family)
    current, logits = pack_forward(model, packed, family, keep)
    if work := counted.get():
        asked = sum(current.before + len(path) for path in packed.paths)
        work.shared_tokens += asked - len(packed.tokens)
    return current, logits


def pack_forward(
    model: PreTrainedModel, packed: Packed, family: PrefixGroup | None, keep: Sequence[int]
) -> tuple[Fill, torch.Tensor]:
    """`fill` behind a beginning that is there."""
    current = Fill(packed, family, model.device)
    positions = [current.before + depth for depth in packed.depths]
    logits = forward(model, current, packed.tokens, positions, keep)
    if work := counted.get():
        work.prefill_tokens += len(packed.tokens)
    return current, logits


def compute_beginning(model: PreTrainedModel, family: PrefixGroup) -> None:
    """Compute a family's beginning behind that of the family around it, unless it is there."""
    if family.states:
        return
    around = family.parent
    if around:
        compute_beginning(model, around)
    packed = Packed()
    packed.add(family.tokens[len(around.tokens) if around else 0 :])
    current, _ = pack_forward(model, packed, around, [len(packed.tokens) - 1])
    if work := counted.get():
        work.shared_tokens -= len(packed.tokens)  # computed once for all rows that come
    states: list[tuple[object, object]] = []
    for layer in range(len(current.states)):
        keys, values = current.states[layer]
        if around:
            first_keys, first_values = beginning(around, layer)
            keys = torch.cat([first_keys, keys], dim=2)
            values = torch.cat([first_values, values], dim=2)
        states.append((keys.contiguous(), values.contiguous()))
    family.states = states
