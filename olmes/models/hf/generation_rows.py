"""The rows of a generation batch: a request's prompt, fitted to the model's window, and its answer.

Also which rows may share a batch, and in which order they are best run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from olmes.errors import OlmesError
from olmes.models.base import EncodedPrompt
from olmes.reasoning.scan import State
from olmes.tools.hashing import content_hash
from olmes.types import Generation, Request


@dataclass(frozen=True, slots=True)
class ThoughtLimits:
    """What is known of the thoughts of a model's responses."""

    budget: int
    """Tokens a thought may take, where the window has room for them."""
    opened: bool
    """Whether the prompt opens it."""
    expected: bool
    """Whether there is one before every answer."""
    head: int
    """Tokens that the mark which opens it may take."""


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
    """New tokens of an answer there is room for."""
    seed: int
    new_ids: list[int] = field(default_factory=list)
    finished: bool = False
    thought: RowThought | None = None
    """Where the row stands in its thought; None for a model that knows no marks of one."""
    top_logprobs: int = 0
    """How many of the likeliest first tokens are wanted."""
    first_tokens: dict[str, float] = field(default_factory=dict)
    """Their natural-log probabilities, by text."""

    @property
    def most_tokens(self) -> int:
        """The most new tokens, thought and answer."""
        return self.thought.most_tokens(self.max_tokens) if self.thought else self.max_tokens

    @property
    def room(self) -> int:
        """The most new tokens, whether it will think or not."""
        return self.thought.room_for(self.max_tokens) if self.thought else self.max_tokens

    @property
    def full(self) -> bool:
        """Whether there is no room for another token."""
        if self.thought:
            return self.thought.full(len(self.new_ids), self.max_tokens)
        return len(self.new_ids) >= self.max_tokens

    def restart(self) -> None:
        """Drop the new tokens, to answer once more."""
        self.new_ids.clear()
        self.first_tokens = {}
        if self.thought:
            self.thought.restart()


@dataclass(slots=True)
class RowThought:
    """A row's thought while it is generated: its own limit, and where the answer begins."""

    budget: int
    """Tokens of the thought there is room for."""
    room: int | None
    """Tokens of thought and answer together there is room for; None where the model has no window."""
    opened: bool = False
    """Whether the prompt opens it."""
    expected: bool = False
    """Whether the model is known to think before it answers."""
    head: int = 0
    """Tokens that the mark which opens it may take."""
    state: State = "before"
    begun: bool = False
    """Whether there is one."""
    answer_at: int = 0
    """New tokens before the answer."""
    offset: int = 0
    """Characters before it."""

    def __post_init__(self) -> None:
        """Begin inside, where the prompt does."""
        self.restart()

    def restart(self) -> None:
        """Begin once more."""
        self.state, self.begun = ("inside", True) if self.opened else ("before", False)
        self.answer_at = self.offset = 0

    def full(self, tokens: int, max_tokens: int) -> bool:
        """Whether a response of so many tokens may not go on."""
        if tokens >= self.room_for(max_tokens):
            return True
        if self.state == "inside":
            return tokens >= self.budget
        if self.state == "before" and self.expected:
            return tokens >= max(max_tokens, self.head)
        return tokens - self.answer_at >= max_tokens

    def most_tokens(self, max_tokens: int) -> int:
        """The most tokens of a response, as far as it is known now."""
        if self.expected or self.begun:
            return self.room_for(max_tokens)
        return max_tokens

    def room_for(self, max_tokens: int) -> int:
        """The most tokens of a response that has a thought."""
        most = max_tokens + self.budget
        return most if self.room is None else min(most, self.room)


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
    top_k, min_p, penalty = generation.top_k, generation.min_p, generation.repetition_penalty
    if top_k is not None and top_k < 1:
        raise OlmesError(f"top_k is {top_k}; set it to 1 or more, or to none.")
    if min_p is not None and not 0 <= min_p <= 1:
        raise OlmesError(f"min_p is {min_p}; set it from 0 to 1, or to none.")
    if penalty is not None and not penalty > 0:
        raise OlmesError(
            f"repetition_penalty is {penalty}; set it above 0 (1 is none), or to none."
        )


def seed_of(request: Request, prompt: EncodedPrompt) -> int:
    """The seed of one response: the formulation's, plus the repeat, mixed with the prompt.

    Were it not mixed, all items would be sampled with the same noise.
    """
    mixed = content_hash([request.generation.seed + request.repeat, list(prompt.token_ids)])
    return int(mixed[:15], 16)


def fit(
    index: int,
    request: Request,
    prompt: EncodedPrompt,
    window: int | None,
    thoughts: ThoughtLimits | None = None,
) -> GenerationRow:
    """The row of a request in a model whose prompt and answer share `window` tokens.

    A prompt that is too long is truncated from the left to `window - max_tokens`, as the protocol's
    engine does (docs/protocol.md, section 2.3); a begin-of-sequence token is cut with it. A limit as
    large as the window leaves no prompt at all, so there it means "what there is room for": the
    prompt stays whole and the answer gets the rest. A thought gets what the prompt and the answer
    leave of the window, at most its budget.

    Raises:
        UnanswerableError: the prompt leaves no room for an answer, or for a thought before it.
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
        thought=None if thoughts is None else thought_of(request, len(ids), window, thoughts),
        top_logprobs=request.top_logprobs,
    )


def thought_of(
    request: Request, prompt: int, window: int | None, thoughts: ThoughtLimits
) -> RowThought:
    """The room for a row's thought, behind so many tokens of prompt.

    Raises:
        UnanswerableError: there is none, and the model thinks before it answers.
    """
    budget, room, answer = thoughts.budget, None, request.generation.max_tokens
    if window is not None:
        room = window - prompt
        # An answer that may fill the window shares it with the thought.
        budget = min(budget, room - (1 if answer >= window else answer))
    if thoughts.expected and budget < 1:
        raise UnanswerableError(
            f"the prompt has {prompt} tokens, the answer may have {answer}, and the model's window "
            f"of {window} leaves no room for a thought before it; lower max_tokens, or give "
            "--thinking off"
        )
    return RowThought(
        budget=max(0, budget),
        room=room,
        opened=thoughts.opened and bool(request.messages),
        expected=thoughts.expected,
        head=thoughts.head,
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
            generation.top_k,
            generation.min_p,
            generation.repetition_penalty,
        )
        by_settings.setdefault(settings, []).append(row)
    return [
        sorted(group, key=lambda row: len(row.prompt_ids), reverse=True)
        for group in by_settings.values()
    ]
