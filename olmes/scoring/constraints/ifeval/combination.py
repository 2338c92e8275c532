"""Constraints on a response as a whole (docs/protocol.md, section 3.9.1, `combination:*`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Self

from olmes.scoring.constraints.ifeval.base import Draft, IFEvalConstraint
from olmes.scoring.constraints.judging import meets
from olmes.scoring.constraints.spoken import STRAIGHT_QUOTES, bare, bare_words

RESPONSE_DIVIDER = "******"
SIX_STARS = re.compile(r"(?<!\*)(?:\\?\*){6}(?!\\?\*)")


@dataclass(frozen=True)
class TwoResponses(IFEvalConstraint):
    """Exactly two different responses, parted by six asterisks."""

    id = "combination:two_responses"
    instruction = (
        "Give two different responses. Responses and only responses should be separated by 6 "
        "asterisk symbols: ******."
    )

    def check(self, text: str) -> bool:
        """Two parts between dividers that differ in more than case and marks."""
        parts = [[word.lower() for word in bare_words(part)] for part in SIX_STARS.split(text)]
        filled = list(filter(None, parts))
        return len(filled) == 2 and all(parts[1:-1]) and filled[0] != filled[1]

    def reference(self, text: str) -> bool:
        """Two parts that differ, if by a mark; of more than six asterisks the rest is text."""
        parts = [part.strip() for part in text.split(RESPONSE_DIVIDER)]
        filled = [part for part in parts if part]
        return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]

    def require(self, draft: Draft) -> None:
        """A second response."""
        draft.second = True


@dataclass(frozen=True)
class RepeatPrompt(IFEvalConstraint):
    """The response begins with the request, word for word, and goes on."""

    id = "combination:repeat_prompt"
    instruction = (
        "First repeat the request word for word without change, then give your answer (1. do not "
        "say any words or characters before repeating the request; 2. the request you need to "
        "repeat does not include this sentence)"
    )

    prompt_to_repeat: str

    def check(self, text: str) -> bool:
        """Begins with the request and has an answer after it.

        Case, the kind of blanks and of quotes, and asterisks around words do not matter.
        """
        return bool(bare(self.answer(text)))

    @cached_property
    def request(self) -> re.Pattern[str]:
        """The request at the beginning."""
        words = re.split(r"[\s*]+", self.prompt_to_repeat.translate(STRAIGHT_QUOTES).strip(" \n*"))
        parts = (re.escape(word).replace("'", "['‘’]").replace('"', '["“”„]') for word in words)
        return re.compile(r"[\s*]*+" + r"[\s*]+".join(parts), re.IGNORECASE)

    def answer(self, text: str) -> str:
        """What follows the request; nothing where the text does not begin with it."""
        found = self.request.match(text)
        return text[found.end() :] if found else ""

    def reference(self, text: str) -> bool:
        """The request alone passes, without an answer."""
        return text.strip().lower().startswith(self.prompt_to_repeat.strip().lower())

    @classmethod
    def draw(cls, rng: Random, prompt: str = "") -> Self:  # noqa: ARG003
        """The request itself."""
        return cls(prompt)

    def require(self, draft: Draft) -> None:
        """The request at the beginning."""
        draft.request = self.prompt_to_repeat


def meet_as_stated(wanted: Sequence[IFEvalConstraint], text: str) -> list[bool]:
    """Whether each constraint is met as it is stated, in their order; a blank text meets none.

    Where a request must be repeated that itself misses another constraint (it has a comma, or is in
    another language), that one is about the answer: no response could meet both otherwise.
    """
    met = meets(wanted, text)
    for repeat in (one for one in wanted if isinstance(one, RepeatPrompt)):
        answer, asked = repeat.answer(text), meets(wanted, repeat.prompt_to_repeat)
        if not all(met) and answer:
            pairs = zip(met, asked, meets(wanted, answer), strict=True)
            met = [whole or (rest and not request) for whole, request, rest in pairs]
    return met
