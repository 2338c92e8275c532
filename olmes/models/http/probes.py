"""What a server can do, found out by requests of a few tokens.

Whether it continues a begun answer is read off the tokens of a prompt: one that closes the answer and
opens another reads more of them than one that goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from olmes.models.http.answers import has_thought
from olmes.models.http.bodies import Continuation
from olmes.models.http.client import RequestFailure
from olmes.models.http.wire import tokens_of
from olmes.types import Generation, Request, Response

ASKED = "Count."
BEGUN = "One"
TINY = Generation(max_tokens=1)
GLIMPSE = Generation(max_tokens=16)
"""Enough for a thought to show itself; the smallest limit that OpenAI's reasoning models take."""
NO_PREFILL = (
    "this task has a prefill, and the server cannot continue a prefilled answer; serve the model "
    "with vLLM or SGLang, or leave the prefill out: --set TASK.prefill="
)
PREFILL_AND_THOUGHT = (
    "this task has a prefill, and the server continues a prefilled answer only where the model does "
    "not think; add --thinking off, or leave the prefill out: --set TASK.prefill="
)


def chat(text: str = ASKED, *, prefill: str = "", generation: Generation = TINY) -> Request:
    """A request of one user turn."""
    turn = {"role": "user", "content": text}
    return Request(generation=generation, messages=(turn,), prefill=prefill)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What one probe showed."""

    tokens: int
    """Of the prompt; 0 where the server does not count."""
    response: Response


Ask = Callable[[Mapping[str, tuple[Request, Continuation]]], dict[str, Glimpse | RequestFailure]]
"""Sends requests, each with how its begun answer is to be continued, and gives what came back."""


@dataclass(frozen=True, slots=True)
class Continues:
    """How a server continues a begun answer, if it does."""

    how: Continuation | None
    echoes: bool = False
    """Whether it repeats the begun answer before going on."""
    why_not: str = ""


def find_continuation(ask: Ask) -> Continues:
    """How a server is told to continue a begun answer.

    First vLLM's fields, against the same turns without them. Else a last turn of the model's, bare or
    with `prefix`, against the chat without it: going on takes the tokens of the begun words, and one
    more where a template writes a space before them; closing the turn and opening another takes the
    marks of both.
    """
    begun = chat(prefill=BEGUN)
    first = ask({"fields": (begun, "fields"), "turn": (begun, "turn")})
    by_fields, by_turn = tokens(first["fields"]), tokens(first["turn"])
    if 0 < by_fields < by_turn:
        return Continues("fields", echoes=repeats(first["fields"]))
    if refused_while_thinking(first.values()):
        return Continues(None, why_not=PREFILL_AND_THOUGHT)
    more = ask(
        {
            "bare": (chat(), "turn"),
            "word": (chat(f"{ASKED} {BEGUN}"), "turn"),
            "prefix": (begun, "prefix"),
        }
    )
    bare, word = tokens(more["bare"]), tokens(more["word"])
    ways: tuple[tuple[Continuation, Glimpse | RequestFailure], ...] = (
        ("turn", first["turn"]),
        ("prefix", more["prefix"]),
        ("fields", first["fields"]),
    )
    for how, found in ways:
        if 0 < bare < word and bare < tokens(found) <= word + 1:
            return Continues(how, echoes=repeats(found))
    thinking = refused_while_thinking([*first.values(), *more.values()])
    return Continues(None, why_not=PREFILL_AND_THOUGHT if thinking else NO_PREFILL)


def shows_thought(ask: Ask) -> bool:
    """Whether a model thinks before it answers where it is not told to."""
    found = ask({"bare": (chat(generation=GLIMPSE), "turn")})["bare"]
    return isinstance(found, Glimpse) and has_thought(found.response)


def glimpse(read: Callable[[Any], Response]) -> Callable[[Any], Glimpse]:
    """What reads the answer to a probe; as lenient as a count of tokens allows."""

    def look(answer: Any) -> Glimpse:
        try:
            response = read(answer)
        except ValueError:
            response = Response()
        return Glimpse(
            tokens_of(answer, "prompt_tokens") if isinstance(answer, dict) else 0, response
        )

    return look


def tokens(found: Glimpse | RequestFailure) -> int:
    """The tokens of a probe's prompt; 0 where it failed or is not counted."""
    return found.tokens if isinstance(found, Glimpse) else 0


def repeats(found: Glimpse | RequestFailure) -> bool:
    """Whether the answer begins with the words that were given."""
    return isinstance(found, Glimpse) and found.response.text.lstrip().startswith(BEGUN)


def refused_while_thinking(found: Any) -> bool:
    """Whether a probe was refused because the model may think."""
    return any(isinstance(one, RequestFailure) and "enable_thinking" in one.reason for one in found)
