"""Which models can share prefixes, and how many rows their memory has room for.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import torch

from olmes.models.checkpoint.folder import quiet
from olmes.models.hf.continuous import BatchLimits
from olmes.models.hf.prefix import PrefixGroup, TokenTree
from olmes.models.hf.prompt_cache import (
    Fill,
    SlotStore,
    Step,
    UnsuitableError,
    fill,
    forward,
    shared_attention,
)
from olmes.models.hf.reach import (
    REFUSALS,
    UNLIMITED,
    alike,
    drags,
    restricted,
    rotates_by_length,
    vocabulary,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

SHARED, OWN = 12, 5
"""Tokens of the trial's shared prefix, and of each row behind it."""
ROWS_ON_CPU = 64
ROWS_ON_GPU = 256
SHARE_OF_MEMORY = 0.5
"""Of what is free: activations, logits and other programs need the rest."""


def suits(model: PreTrainedModel, reach: int | None = None) -> bool:
    """Whether a model gives the same outputs with shared prefixes as without: tried out, once.

    Three rows go through the model, two of them behind a shared prefix, once by themselves and
    once by way of `Fill` and `Step`. Soft caps, recurrent states and attention of a model's own making
    are found in this way, whatever the architecture is called; what begins behind the trial's few
    tokens (windows, chunks, scales) is found by `olmes.models.hf.reach`.

    Args:
        model: in evaluation mode.
        reach: the most tokens of a row; without it, what the configuration allows.
    """
    reach = reach or getattr(language(model), "max_position_embeddings", None) or UNLIMITED
    if rotates_by_length(model.config):
        return False
    size = vocabulary(model)
    line = [(7 * at * at + 3 * at + 1) % min(size, 997) for at in range(SHARED + 3 * OWN)]
    ends = [line[SHARED + at * OWN : SHARED + (at + 1) * OWN] for at in range(3)]
    whole = [line[:SHARED] + ends[0], line[:SHARED] + ends[1], ends[2]]
    with torch.inference_mode(), quiet():
        try:
            bounded = restricted(model, reach)
        except REFUSALS:
            bounded = True
        if bounded:
            return False
        rows = [torch.tensor([row], device=model.device) for row in whole]
        alone = [model(input_ids=row).logits[0] for row in rows]
        try:
            with shared_attention(model):
                found = trial(model, array("i", line[:SHARED]), ends)
                if counts_by_cache(model, ends[2], alone[2], reach):
                    return False
            if drags(model, ends[2], alone[2], reach):
                return False
        except (UnsuitableError, *REFUSALS):
            return False
    return alike(found, torch.stack([logits[-1] for logits in alone]))


def counts_by_cache(
    model: PreTrainedModel, tokens: list[int], alone: torch.Tensor, reach: int
) -> bool:
    """Whether a model reads positions off the length of its cache: a line of rows has no such one."""

    class Told(Fill):
        def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 (all are alike)
            return reach - len(tokens)

    tree = TokenTree()
    tree.add(tokens)
    found = forward(model, Told(tree, None, model.device), tokens, range(len(tokens)))
    return not alike(found, alone)


def language(model: PreTrainedModel) -> PretrainedConfig:
    """The configuration of the language model."""
    return model.config.get_text_config()


def trial(model: PreTrainedModel, shared: array[int], ends: list[list[int]]) -> torch.Tensor:
    """Logits `[3, vocabulary]` of the last tokens: two rows of a group, and one of none."""
    pair = PrefixGroup(shared, None, (1,), waiting=2)
    store = SlotStore()
    for slots, group in (((0, 1), pair), ((2,), None)):
        tree = TokenTree()
        for slot in slots:
            tree.add(ends[slot][:-1])
        prefill, _ = fill(model, tree, group, [0])
        store.reserve(3, OWN, prefill.states)
        store.write(prefill, slots, tree.paths)
    if len(store.layers) != language(model).num_hidden_layers:
        raise UnsuitableError("layers without keys and values")
    step = Step(store, [OWN - 1] * 3, [pair, pair, None], model.device)
    positions = [SHARED + OWN - 1, SHARED + OWN - 1, OWN - 1]
    return forward(model, step, [end[-1] for end in ends], positions)


def limits(model: PreTrainedModel, batch_size: int | None) -> BatchLimits:
    """How many rows and how many cached tokens may run at once."""
    config = language(model)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    a_token = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    if model.device.type == "cuda":
        free, rows = torch.cuda.mem_get_info(model.device)[0], ROWS_ON_GPU
    else:
        import psutil

        free, rows = psutil.virtual_memory().available, ROWS_ON_CPU
    return BatchLimits(batch_size or rows, int(free * SHARE_OF_MEMORY / a_token))
