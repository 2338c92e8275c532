"""What of a model changes with length: windows and chunks of attention, rotary embeddings, scales.

A trial of a few tokens cannot see what begins at token 8,193. So the model is asked in other ways:
the masks it makes are evaluated for the last position it will be used at, tokens are given far
positions, and what its configuration names is taken at its word.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from olmes.models.hf.prompt_cache import attention_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

REFUSALS = (TypeError, ValueError, AttributeError, LookupError, RuntimeError)
"""What a model raises that does not know such an attention, cache or rows."""
PROBE = "olmes_mask_probe"
UNLIMITED = 1 << 30
"""The reach of a model without a window."""
SAMPLES = 64
"""Positions at which a mask is looked at, spread over the reach."""
TOKENS = (3, 11, 7, 19, 5, 2)
NEAR = {torch.float32: 1e-3}
NEAR_IN_HALF = 0.1
"""Largest relative difference of logits that are the same; wrong attention is off by a half or more."""
SPANS = re.compile(r"(^|_)(window|window_size|chunk_size|attention_window|topk_tokens|index_topk)$")
"""Settings that say how far a token sees."""
SPANS_TOO = re.compile(r"sliding_window|attention_chunk|local_attention|dense_len|sparse_\w*len")
OTHER_CHUNKS = re.compile(r"mamba|ssm|scan|feed_forward|lin|loss|audio|vision|conv")
"""Chunks of a computation, not of attention."""
PICKED = re.compile(r"top_?k|sparse|dense_len")
"""Those of an attention that picks the tokens it looks at."""
FULL = frozenset({"full_attention", "attention", "global", "full"})
BOUNDED = frozenset({"sliding_attention", "chunked_attention"})
"""Kinds of layers whose bound is one of `SPANS`."""
SCALED_BY_LENGTH = re.compile(r"use_(logn|log_n|dynamic_ntk)")
DYNAMIC, LONG, LENGTH = "dynamic", "longrope", "original_max_position_embeddings"
"""Rotary embeddings that are other numbers in a longer text."""


class RestrictedError(Exception):
    """A token does not see all tokens before it."""


def restricted(model: PreTrainedModel, reach: int) -> bool:
    """Whether some layer lets a token below `reach` see other than all tokens before it.

    The masks are asked, however the architecture calls what it does; windows that are given to the
    attention function or named by the configuration count as well, for an implementation may keep
    them for itself.
    """
    if named(model.config, reach):
        return True

    def attention(
        module: torch.nn.Module,  # noqa: ARG001 (the signature is transformers')
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        sliding_window: int | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        if attention_mask is not None or (sliding_window or reach) < reach:
            raise RestrictedError
        repeat = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
        return scaled_dot_product_attention(query, key, value).transpose(1, 2), None

    def mask(
        *, mask_function: Any, q_length: int, device: torch.device | str = "cpu", **_: Any
    ) -> torch.Tensor | None:
        # A model makes masks for layers of a kind it has none of: what counts is a layer's own.
        if causal(mask_function, reach, device):
            return None
        return torch.ones((1, 1, q_length, q_length), dtype=torch.bool, device=device)

    AttentionInterface.register(PROBE, attention)
    AttentionMaskInterface.register(PROBE, mask)
    ids = torch.tensor([TOKENS], device=model.device) % vocabulary(model)
    try:
        with attention_of(model, PROBE):
            model(input_ids=ids, use_cache=False)
    except RestrictedError:
        return True
    return False


def causal(mask_function: Any, reach: int, device: torch.device | str) -> bool:
    """Whether a mask of transformers' kind shows every token all tokens up to it, and no other."""
    at = torch.linspace(0, reach - 1, SAMPLES, dtype=torch.float64).long().unique().to(device)
    near = (at[:, None] - torch.arange(3, device=device)).flatten().clamp_min(0).unique()
    none = torch.zeros((1, 1, 1, 1), dtype=torch.long, device=device)
    queries, keys = near[None, None, :, None], near[None, None, None, :]
    seen = mask_function(none, none, queries, keys)
    return bool((seen.expand(1, 1, len(near), len(near)) == (keys <= queries)).all())


def vocabulary(model: PreTrainedModel) -> int:
    """Tokens the model has an embedding of."""
    return int(model.get_input_embeddings().weight.shape[0])


def named(config: PretrainedConfig, reach: int) -> bool:
    """Whether a configuration names a window, a chunk or a kind of layer that bounds attention.

    A setting that is switched off (`use_sliding_window`), belongs to layers that there are none of, or
    is as large as the reach bounds nothing.
    """
    settings = settings_of(config)
    kinds = layer_kinds(settings)
    if kinds - FULL - BOUNDED:
        return True
    if any(SCALED_BY_LENGTH.match(key) and value for key, value in settings.items()):
        return True
    if kinds and kinds <= FULL:
        return False
    return any(value < reach for value in spans(settings).values())


def settings_of(config: PretrainedConfig) -> dict[str, Any]:
    """The settings of the language model, which others (vision, audio) may stand beside."""
    return dict(config.get_text_config().to_dict())


def layer_kinds(settings: Mapping[str, Any]) -> set[str]:
    """The kinds of attention layers that a configuration lists."""
    kinds = settings.get("layer_types")
    return {str(kind) for kind in kinds} if isinstance(kinds, list | tuple) else set()


def spans(settings: Mapping[str, Any]) -> dict[str, int]:
    """How far a token sees, by the name of the setting that says it."""
    found = {}
    for key, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            continue
        spanning = SPANS.search(key) or SPANS_TOO.search(key)
        if spanning and not OTHER_CHUNKS.search(key) and settings.get(f"use_{key}") is not False:
            found[key] = value
    return found


def drags(model: PreTrainedModel, tokens: Sequence[int], alone: torch.Tensor, reach: int) -> bool:
    """Whether a row at far positions changes what a row at near ones gives.

    Found where a rotary embedding is chosen by the longest row, under whatever name.

    Args:
        model: in evaluation mode.
        tokens: some.
        alone: the logits of these by themselves, `[tokens, vocabulary]`.
        reach: the far row's end.
    """
    table = model.get_input_embeddings()
    learned = any(
        isinstance(module, torch.nn.Embedding)
        and module is not table
        and module.num_embeddings < reach
        for module in model.modules()
    )
    if learned or "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    near = torch.arange(len(tokens), device=model.device)
    positions = torch.stack([near, near + max(0, reach - len(tokens))])
    ids = torch.tensor([list(tokens)] * 2, device=model.device)
    logits = model(input_ids=ids, position_ids=positions).logits[0]
    return not alike(logits, alone)


def alike(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether logits `[tokens, vocabulary]` are the same but for rounding."""
    return distance(found, expected) <= NEAR.get(expected.dtype, NEAR_IN_HALF)


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The relative difference of logits `[tokens, vocabulary]`, of the worst token.

    In half precision a choice of experts may tip over for one token, so there it is the median
    token. What all tokens of the vocabulary have in common means nothing.
    """
    precise = expected.dtype in NEAR
    found, expected = found.float(), expected.float()
    found, expected = found - found.mean(-1, True), expected - expected.mean(-1, True)
    off = (found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp_min(1e-20)
    return float((off.max() if precise else off.median()).nan_to_num(math.inf))


def rotates_by_length(config: PretrainedConfig) -> bool:
    """Whether a rotary embedding is other numbers in a longer text: an earlier state would be wrong."""
    return any(by_length(rope) for rope in ropes(settings_of(config).get("rope_parameters")))


def by_length(rope: Mapping[str, Any]) -> str:
    """The kind of a rotary embedding, where it depends on length."""
    kind = str(rope.get("rope_type", rope.get("type", "")))
    return kind if kind == LONG or DYNAMIC in kind else ""


def switch_of(config: PretrainedConfig) -> tuple[int | None, bool]:
    """From which length on a rotary embedding is another, and whether it is one and the same then.

    `longrope` has one set of factors up to a length and another beyond it; `dynamic` has other
    numbers for each length beyond it. Llama 4's scale of queries steps by a length too, which it
    counts with the padding.
    """
    settings = settings_of(config)
    found: list[tuple[int, bool]] = []
    for rope in ropes(settings.get("rope_parameters")):
        if kind := by_length(rope):
            places = (
                rope.get(LENGTH),
                settings.get(LENGTH),
                settings.get("max_position_embeddings"),
            )
            lengths = [int(length) for length in places if length]
            found.append((min(lengths, default=0), kind == LONG))
    # Which tokens are picked, out of more than so many, is upset by padding.
    picked = [value for key, value in spans(settings).items() if PICKED.search(key)]
    found += [(value, False) for value in picked]
    scale = settings.get("floor_scale")
    if scale and settings.get("attn_temperature_tuning"):
        found.append((int(scale) - 1, False))
    if not found:
        return None, True
    return min(length for length, _ in found), len(found) == 1 and found[0][1]


def ropes(parameters: Any) -> Iterator[Mapping[str, Any]]:
    """The rotary embeddings of a configuration: one, or one for each kind of layer."""
    if isinstance(parameters, Mapping):
        if "rope_type" in parameters or "type" in parameters:
            yield parameters
        for inner in parameters.values():
            yield from ropes(inner)
