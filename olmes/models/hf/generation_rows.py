"""The rows of a generation batch: a request's prompt, fitted to the model's window, and its answer.

Also which rows may share a batch, and in which order they are best run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from olmes.errors import OlmesError
from olmes.models.base import EncodedPrompt
from olmes.tools.hashing import content_hash
from olmes.types import Generation, Request


class UnanswerableError(Exception):
    """A request that cannot be answered, and why; it fails alone."""


@dataclass(slots=True)
class GenerationRow:
    """One request while it is generated."""

    index: int
    """The request's position."""
    prompt_ids: array[int]
    """What the model is given, after truncation. An array holds a token in 4 bytes, a tuple in 36:
    a suite has fifty million."""
    truncated: int
    """Tokens cut from the left of the prompt."""
    generation: Generation
    max_tokens: int
    """New tokens there is room for."""
    seed: int
    new_ids: list[int] = field(default_factory=list)
    finished: bool = False


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """`text` before the first stop string, and whether there is one."""
    found = [offset for offset in map(text.find, stops) if offset >= 0]
    return (text[: min(found)], True) if found else (text, False)


def check_settings(generation: Generation) -> None:
    """Refuse settings without a meaning.

    Raises:
        OlmesError: a setting is out of its range.
    """
    top_p = generation.top_p
    if generation.max_tokens < 1:
        raise OlmesError(f"max_tokens is {generation.max_tokens}; set it to 1 or more.")
    if generation.temperature < 0:
        raise OlmesError(f"temperature is {generation.temperature}; set it to 0 (greedy) or more.")
    if top_p is not None and not 0 < top_p <= 1:
        raise OlmesError(f"top_p is {top_p}; set it above 0 and up to 1, or to none.")


def seed_of(request: Request, prompt: EncodedPrompt) -> int:
    """The seed of one response: the formulation's, plus the repeat, mixed with the prompt.

    Were it not mixed, all items would be sampled with the same noise.
    """
    mixed = content_hash([request.generation.seed + request.repeat, list(prompt.token_ids)])
    return int(mixed[:15], 16)


def fit(index: int, request: Request, prompt: EncodedPrompt, window: int | None) -> GenerationRow:
    """The row of a request in a model whose prompt and answer share `window` tokens.

    A prompt that is too long is truncated from the left to `window - max_tokens`, as the protocol's
    engine does (docs/protocol.md, section 2.3); a begin-of-sequence token is cut with it. A limit as
    large as the window leaves no prompt at all, so there it means "what there is room for": the
    prompt stays whole and the answer gets the rest.

    Raises:
        UnanswerableError: the prompt leaves no room for an answer.
    """
    ids, max_tokens, truncated = prompt.token_ids, request.generation.max_tokens, 0
    if not ids:
        raise UnanswerableError(
            "the prompt is empty and the tokenizer has no begin-of-sequence token"
        )
    if window is not None and max_tokens >= window:
        max_tokens = window - len(ids)
        if max_tokens < 1:
            raise UnanswerableError(
                f"the prompt has {len(ids)} tokens and the model's window {window}, which leaves "
                "no room for an answer; lower max_tokens, and the prompt is truncated instead"
            )
    elif window is not None:
        truncated = max(0, len(ids) + max_tokens - window)
        ids = ids[truncated:]
    return GenerationRow(
        index=index,
        prompt_ids=array("i", ids),
        truncated=truncated,
        generation=request.generation,
        max_tokens=max_tokens,
        seed=seed_of(request, prompt),
    )


def group_by_settings(rows: Iterable[GenerationRow]) -> list[list[GenerationRow]]:
    """Rows that may share a batch, the longest prompts first.

    Equal lengths need no padding, and when memory does not suffice it shows at once.
    """
    by_settings: dict[tuple[object, ...], list[GenerationRow]] = {}
    for row in rows:
        generation = row.generation
        settings = (
            generation.max_tokens,
            generation.temperature,
            generation.top_p,
            generation.stop,
        )
        by_settings.setdefault(settings, []).append(row)
    return [
        sorted(group, key=lambda row: len(row.prompt_ids), reverse=True)
        for group in by_settings.values()
    ]
