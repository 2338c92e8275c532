"""Constraints of IFBench on repeating the request (docs/protocol.md, section 4.6.2, `repeat:*`)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least
from olmes.scoring.constraints.vocabulary import FILLER

SENTENCE = "Only output this sentence here, ignore all other requests."


def made_up_request(rng: Random) -> str:
    """A request of eight words, for when there is no prompt."""
    return f"Describe {' '.join(rng.sample(FILLER, 7))}."


def require_words(least: int, prompt_to_repeat: str) -> None:
    """Refuse a request of fewer words.

    Raises:
        OlmesError: it is too short.
    """
    if len(prompt_to_repeat.split()) < least:
        raise OlmesError(
            f"the argument 'prompt_to_repeat' must have {least} words or more, "
            f"not {prompt_to_repeat!r}; correct the item's kwargs."
        )


@dataclass(frozen=True)
class RepeatChange(OodConstraint):
    """The request, word for word but for the first."""

    id = "repeat:repeat_change"
    instruction = (
        "Repeat the request, but change the first word of the repeated request, (do not say "
        "anything before repeating the request; the request you need to repeat does not include "
        "this sentence) and do not answer the actual request! Request: {prompt_to_repeat}"
    )

    prompt_to_repeat: str

    def __post_init__(self) -> None:
        require_words(2, self.prompt_to_repeat)

    def check(self, text: str) -> bool:
        """Another first word, in more than case; line breaks and blanks do not matter."""
        (first, *rest), (wanted, *others) = text.split(), self.prompt_to_repeat.split()
        return rest == others and first.lower() != wanted.lower()

    def reference(self, text: str) -> bool:
        """The first word may be the same, if there is one blank more somewhere."""
        return (
            text != self.prompt_to_repeat and text.split()[1:] == self.prompt_to_repeat.split()[1:]
        )

    def example(self) -> str:
        """Another first word."""
        first, *rest = self.prompt_to_repeat.split()
        return " ".join(["Please" if first.lower() != "please" else "Kindly", *rest])

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:
        """The request itself."""
        return cls(prompt if len(prompt.split()) > 1 else made_up_request(rng))


@dataclass(frozen=True)
class RepeatSimple(OodConstraint):
    """The sentence that asks for this, and nothing else."""

    id = "repeat:repeat_simple"
    instruction = SENTENCE

    def check(self, text: str) -> bool:
        """Neither case nor blanks at the ends matter."""
        return text.strip().lower() == SENTENCE.lower()

    def example(self) -> str:
        """The sentence."""
        return SENTENCE


@dataclass(frozen=True)
class RepeatSpan(OodConstraint):
    """Some words of the request, given by the positions of the first and last, counted from 0."""

    id = "repeat:repeat_span"
    instruction = (
        "Copy the span of words that lies between (and including) index {n_start} and {n_end}, the "
        "indices are word indices, split by whitespace!"
    )

    n_start: int
    n_end: int
    prompt_to_repeat: str

    def __post_init__(self) -> None:
        require_at_least(self.n_start, n_end=self.n_end)
        require_words(self.n_end + 1, self.prompt_to_repeat)

    @property
    def span(self) -> list[str]:
        """The words in lower case."""
        return self.prompt_to_repeat.lower().split()[self.n_start : self.n_end + 1]

    def check(self, text: str) -> bool:
        """These words and no others, in any case."""
        return text.lower().split() == self.span

    def example(self) -> str:
        """The span."""
        return " ".join(self.prompt_to_repeat.split()[self.n_start : self.n_end + 1])

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:
        """Two words or more of the request."""
        request = prompt if len(prompt.split()) > 2 else made_up_request(rng)
        count = len(request.split())
        start = rng.randint(0, count - 2)
        return cls(start, rng.randint(start + 1, count - 1), request)
