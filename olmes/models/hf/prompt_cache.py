"""A key-value cache in which rows share their common prefix, and the attention that reads it.

A forward pass takes one flat line of tokens `[1, tokens]`, whatever rows they belong to, so that
nothing is padded. There are two kinds. A `Fill` computes new tokens behind a group's prefix,
several sequences laid out as one tree. A `Step` computes one token of each running row: its own keys
and values are written in place into a preallocated store, and the group's are read once for all
its rows, as one matrix product (the idea of cascade inference and of Hydragen, arXiv 2402.05099).

Why not transformers' own: `DynamicCache` copies itself at every step, `StaticCache` writes all rows
at the same position, and both hold the shared prefix once a row.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, Cache

from olmes.models.base import Work
from olmes.models.hf.prefix import PrefixGroup, TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ATTENTION = "olmes_shared_prefix"
current_pass: ContextVar[Fill | Step | None] = ContextVar("current_pass", default=None)
current_work: ContextVar[Work | None] = ContextVar("current_work", default=None)
"""Where the tokens of fills are counted."""


class UnsuitableError(Exception):
    """An architecture whose attention is more than softmax over all earlier tokens."""


class Fill(Cache):  # type: ignore[misc]  # untyped base
    """New tokens behind a group's prefix.

    Args:
        tree: the tokens.
        group: whose prefix is before all of them; its states are computed.
        device: where the model runs.
    """

    def __init__(self, tree: TokenTree, group: PrefixGroup | None, device: torch.device) -> None:
        super().__init__(layers=[])
        self.rows = len(tree.paths)
        self.before = len(group.tokens) if group else 0
        self.group = group
        self.span = self.before + max(tree.depths, default=0) + 1  # tokens of the longest row
        self.states: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.mask = self._mask(tree).to(device) if self.before or not tree.chain else None

    def _mask(self, tree: TokenTree) -> torch.Tensor:
        """True where a token sees another: the prefix, its ancestors and itself."""
        count, before = len(tree.tokens), self.before
        mask = np.zeros((count, before + count), dtype=np.bool_)
        mask[:, :before] = True
        for node, parent in enumerate(tree.parents):
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
        if self.group:
            first_keys, first_values = prefix_states(self.group, layer)
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


def prefix_states(group: PrefixGroup, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of a group's prefix in one layer."""
    keys, values = group.states[layer]
    assert isinstance(keys, torch.Tensor)
    assert isinstance(values, torch.Tensor)
    return keys, values


class SlotStore:
    """The keys and values of each running row behind its group's prefix: a slot a row.

    By layer, keys and values `[slots, key-value heads, capacity, head size]`, written in place.
    """

    def __init__(self) -> None:
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.slots = self.capacity = 0

    def reserve(
        self,
        slots: int,
        capacity: int,
        states: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> None:
        """Make room for that many slots and tokens a slot; what is stored stays.

        Args:
            slots: rows at once.
            capacity: tokens a row.
            states: keys and values by layer of any fill, whose shapes the first call takes over.
        """
        if slots <= self.slots and capacity <= self.capacity:
            return
        self.resize(max(slots, self.slots), max(capacity, self.capacity), states)

    def resize(
        self,
        slots: int,
        capacity: int,
        states: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> None:
        """As `reserve`, to exactly that size: of fewer slots the first stay, and their tokens.

        One long row would otherwise hold its length in every slot that was ever in use.
        """
        kept, length = min(slots, self.slots), min(capacity, self.capacity)
        for layer, pair in (self.layers or states or {}).items():
            moved = []
            for old in pair:
                # Zeros: what was never written may be NaN, and a weight of 0 would keep it NaN.
                new = old.new_zeros((slots, old.shape[1], capacity, old.shape[3]))
                if kept:
                    new[:kept, :, :length] = old[:kept, :, :length]
                moved.append(new)
            self.layers[layer] = (moved[0], moved[1])
        self.slots, self.capacity = slots, capacity

    def write(self, fill: Fill, slots: Sequence[int], paths: Sequence[Sequence[int]]) -> None:
        """Copy a fill's tokens to slots; `paths[i]` are the nodes of the row in `slots[i]`."""
        slot = torch.tensor([s for s, path in zip(slots, paths, strict=True) for _ in path])
        position = torch.tensor([at for path in paths for at in range(len(path))])
        node = torch.tensor([one for path in paths for one in path])
        for layer, pair in fill.states.items():
            for stored, new in zip(self.layers[layer], pair, strict=True):
                device = stored.device
                moved = new[0].transpose(0, 1)[node.to(device)]
                stored[slot.to(device), :, position.to(device)] = moved

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a slot's first tokens to another slot."""
        for pair in self.layers.values():
            for stored in pair:
                stored[target, :, :length] = stored[source, :, :length]


class Step(Cache):  # type: ignore[misc]  # untyped base
    """One new token of each row in the first slots of a store.

    Args:
        store: the rows' own keys and values.
        lengths: tokens each row has in its slot, the new one not counted.
        groups: the rows' prefix groups.
        device: where the model runs.
    """

    def __init__(
        self,
        store: SlotStore,
        lengths: Sequence[int],
        groups: Sequence[PrefixGroup | None],
        device: torch.device,
    ) -> None:
        super().__init__(layers=[])
        self.store = store
        self.rows = len(lengths)
        self.longest = max(lengths) + 1
        self.positions = torch.tensor(lengths, device=device)
        self.numbers = torch.arange(self.rows, device=device)
        seen = torch.arange(self.longest, device=device) <= self.positions[:, None]
        self.hidden = ~seen[:, None, None, :]  # [rows, 1, 1, longest]
        members: dict[PrefixGroup, list[int]] = {}
        for at, group in enumerate(groups):
            if group:
                members.setdefault(group, []).append(at)
        self.members = [
            (group, None if len(at) == self.rows else torch.tensor(at, device=device))
            for group, at in members.items()
        ]
        self.before = max((len(group.tokens) for group in members), default=0)
        self.span = self.before + self.longest  # tokens of the longest row, at most

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
        rows, positions = self.numbers.to(keys.device), self.positions.to(keys.device)
        keys[rows, :, positions] = key_states[0].transpose(0, 1)
        values[rows, :, positions] = value_states[0].transpose(0, 1)
        return keys[: self.rows, :, : self.longest], values[: self.rows, :, : self.longest]

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 (all layers are alike)
        """Tokens before the new one, in the longest row."""
        return self.before + self.longest - 1

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Attention output `[1, rows, heads, head size]`.

        The scores of the prefix's tokens and of the row's own are computed apart and go through one
        softmax in float32. The query heads that share a key-value head are neighbours, so
        that keys and values are not repeated for them.
        """
        rows, heads, size = self.rows, key.shape[1], query.shape[-1]
        asked = (query[0].transpose(0, 1) * scale).reshape(rows, heads, -1, size)
        own = torch.matmul(asked, key.transpose(-1, -2))
        own = own.masked_fill(self.hidden.to(own.device), float("-inf"))
        parts = [] if self.before == 0 else [self._prefix_scores(layer, asked)]
        weights = torch.cat([*parts, own], dim=-1).softmax(-1, dtype=torch.float32).to(query.dtype)
        out = torch.matmul(weights[..., self.before :], value)
        for group, chosen in self.members:
            _, values = prefix_states(group, layer)
            share = weights[..., : values.shape[2]]
            share = share if chosen is None else share[chosen.to(share.device)]
            flat = share.transpose(0, 1).flatten(1, 2)  # [heads, rows * repeat, tokens]
            added = torch.matmul(flat, values[0]).unflatten(1, (len(share), share.shape[2]))
            added = added.transpose(0, 1)
            if chosen is None:
                out = out + added
            else:
                out[chosen.to(out.device)] += added
        return out.reshape(1, rows, -1, out.shape[-1])

    def _prefix_scores(self, layer: int, asked: torch.Tensor) -> torch.Tensor:
        """Scores of the prefixes' tokens, `[rows, heads, repeat, longest prefix]`."""
        rows, heads, repeat, _ = asked.shape
        alone = len(self.members) == 1 and self.members[0][1] is None
        scores = (
            None if alone else asked.new_full((rows, heads, repeat, self.before), float("-inf"))
        )
        for group, chosen in self.members:
            keys, _ = prefix_states(group, layer)
            mine = asked if chosen is None else asked[chosen.to(asked.device)]
            flat = mine.transpose(0, 1).flatten(1, 2)
            found = torch.matmul(flat, keys[0].transpose(-1, -2))
            found = found.unflatten(1, (len(mine), repeat)).transpose(0, 1)
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
    current = current_pass.get()
    known = {"softcap", "s_aux", "position_bias"}
    special = sorted(name for name in known if extra.get(name) is not None)
    # A window that is wider than the longest row bounds nothing.
    window = extra.get("sliding_window")
    if window is not None and current is not None and window < current.span:
        special.append("sliding_window")
    if current is None or attention_mask is not None or special:
        raise UnsuitableError(", ".join(special) or "a mask of its own")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(getattr(module, "layer_idx", -1))
    return current.attend(layer, query, key, value, scale), None


AttentionInterface.register(ATTENTION, shared_prefix_attention)


@contextmanager
def attention_of(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Give a model another attention for a while."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def shared_attention(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Give a model this module's attention for a while."""
    return attention_of(model, ATTENTION)


@contextmanager
def counting(work: Work) -> Iterator[None]:
    """Count the tokens that fills compute and share."""
    token = current_work.set(work)
    try:
        yield
    finally:
        current_work.reset(token)


def forward(
    model: PreTrainedModel,
    current: Fill | Step,
    tokens: Sequence[int],
    positions: Sequence[int],
    keep: Sequence[int] | None = None,
) -> torch.Tensor:
    """Logits `[positions, vocabulary]` of a flat line of tokens, at the positions in `keep`."""
    from olmes.models.hf.loglikelihood import forward_parameters

    device = model.device
    takes = forward_parameters(model)
    # transformers renamed the argument in 5.23 and tells users of the old name at every run.
    extra: dict[str, Fill | Step | torch.Tensor] = {
        "cache" if "cache" in takes else "past_key_values": current
    }
    whole = keep is None or len(keep) == len(tokens)
    chosen = None if whole else torch.tensor(keep, device=device)
    shortened = "logits_to_keep" in takes
    if chosen is not None and shortened:
        extra["logits_to_keep"] = chosen
    token = current_pass.set(current)
    try:
        logits: torch.Tensor = model(
            input_ids=torch.tensor([list(tokens)], device=device),
            position_ids=torch.tensor([list(positions)], device=device),
            use_cache=True,
            **extra,
        ).logits[0]
    finally:
        current_pass.reset(token)
    return logits if chosen is None or shortened else logits[chosen]


def fill(
    model: PreTrainedModel, tree: TokenTree, group: PrefixGroup | None, keep: Sequence[int]
) -> tuple[Fill, torch.Tensor]:
    """Compute a tree of tokens behind a group's prefix; their states and the logits at `keep`."""
    if group:
        compute_prefix(model, group)
    current, logits = forward_tree(model, tree, group, keep)
    if work := current_work.get():
        asked = sum(current.before + len(path) for path in tree.paths)
        work.shared_tokens += asked - len(tree.tokens)
    return current, logits


def forward_tree(
    model: PreTrainedModel, tree: TokenTree, group: PrefixGroup | None, keep: Sequence[int]
) -> tuple[Fill, torch.Tensor]:
    """`fill` behind a prefix whose states are computed."""
    current = Fill(tree, group, model.device)
    positions = [current.before + depth for depth in tree.depths]
    logits = forward(model, current, tree.tokens, positions, keep)
    if work := current_work.get():
        work.prefill_tokens += len(tree.tokens)
    return current, logits


def compute_prefix(model: PreTrainedModel, group: PrefixGroup) -> None:
    """Compute a group's prefix behind its parent's, unless it is computed already."""
    if group.states:
        return
    around = group.parent
    if around:
        compute_prefix(model, around)
    tree = TokenTree()
    tree.add(group.tokens[len(around.tokens) if around else 0 :])
    current, _ = forward_tree(model, tree, around, [len(tree.tokens) - 1])
    if work := current_work.get():
        work.shared_tokens -= len(tree.tokens)  # computed once for all rows to come
    states: list[tuple[object, object]] = []
    for layer in range(len(current.states)):
        keys, values = current.states[layer]
        if around:
            first_keys, first_values = prefix_states(around, layer)
            keys = torch.cat([first_keys, keys], dim=2)
            values = torch.cat([first_values, values], dim=2)
        states.append((keys.contiguous(), values.contiguous()))
    group.states = states
