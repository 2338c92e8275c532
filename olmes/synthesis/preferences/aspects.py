"""What judges rate, and how they are asked (Tülu 3, arXiv 2411.15124, section 5.2 and appendix D).

One question an aspect shows all texts of a prompt. The words are files (`olmes/synthesis/prompts`)
that a user may replace; the names on the scales are the published ones, the sentences round them ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.synthesis.prompts import Prompts
from olmes.types import Generation, Message, Request


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that texts are rated for, from 1 to 5."""

    name: str
    typed: bool = False
    """Whether the judge is also asked for numbers of types, with reasons."""
    may_not_apply: bool = False
    """Whether N/A is a rating: of tasks where the question makes no sense."""

    @property
    def guideline(self) -> str:
        """Name of its prompt."""
        return f"judge-{self.name}"

    @property
    def template(self) -> str:
        """Name of the prompt that the guideline stands in."""
        return "judge-template-typed" if self.typed else "judge-template"


ASPECTS = {
    aspect.name: aspect
    for aspect in (
        Aspect("instruction-following"),
        Aspect("helpfulness", typed=True),
        Aspect("honesty", may_not_apply=True),
        Aspect("truthfulness", typed=True),
    )
}
SYSTEM = "judge-system"
LOWEST, HIGHEST = 1, 5
"""Ends of the scale."""

FORM = re.compile(
    r"^(?=[ \t*]*#+[ \t*]*(?:output|annotation|input|format)\b"
    r"|[ \t#*]*(?:<[ \t/]*text[ \t]*\d+[ \t]*>|output for text\b"
    r"|text[ \t]*\d+[ \t*:]*$|rating[ \t*]*:))",
    re.IGNORECASE | re.MULTILINE,
)
"""The beginning of a line that looks like a part of the judge's form."""


def judge_request(
    prompts: Prompts,
    aspect: Aspect,
    instruction: str,
    texts: Sequence[str],
    generation: Generation,
) -> Request:
    """The question about some texts on one aspect.

    Args:
        prompts: whose words are used.
        aspect: what to rate.
        instruction: what the texts answer.
        texts: in the order in which they are shown.
        generation: how the judge answers.
    """
    shown = "\n".join(f"<text {at}> {quoted(text)}" for at, text in enumerate(texts, start=1))
    content = prompts.filled(
        aspect.template,
        aspect_guideline=prompts.text(aspect.guideline),
        instruction=instruction,
        texts=shown,
    )
    return Request(
        messages=(
            Message(role="system", content=prompts.text(SYSTEM)),
            Message(role="user", content=content),
        ),
        generation=generation,
    )


def quoted(text: str) -> str:
    """A text whose lines cannot be taken for parts of the form: those that look so are quoted.

    A text that closes its own place in the form, opens another's or fills in its own rating would
    otherwise speak in the judge's place.
    """
    return FORM.sub("> ", text)


def prompt_names(aspects: Sequence[Aspect]) -> list[str]:
    """Every prompt that judging on some aspects uses."""
    return sorted({SYSTEM, *(a.template for a in aspects), *(a.guideline for a in aspects)})
