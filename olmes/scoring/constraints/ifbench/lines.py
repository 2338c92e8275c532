"""Constraints on lines, bullets and sections (docs/protocol.md, section 4.6.1, `format:*`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.spoken import ending
from olmes.scoring.text import sentences

SEPARATORS = ("...", "SEPARATOR", "!?!?", "-")
# A line in bold begins with two asterisks and is not a bullet.
STAR_BULLET = re.compile(r"\s*\*(?!\*)")
DASH_BULLET = re.compile(r"\s*-(?!-)")
USUAL_BULLET = re.compile(r"\s*[*•‣◦▪+-](?=\s)")
HEADING = re.compile(
    r"\s{0,3}#{1,6}\s+\S|\s*\*\*[^*]+\*\*:?\s*$|\s*<h[1-6][^<>]*>"
    r"|\s*(?:section|part|chapter)\s+(?:\d+|[ivxlc]+)\b.{0,80}$",
    re.IGNORECASE,
)
THESIS = re.compile(r"\s*<(i|em)>([^<]*(?:<(?!/?(?:i|em)>)[^<]*)*)</\1>", re.IGNORECASE)


@dataclass(frozen=True)
class LineIndent(OodConstraint):
    """Each line is indented further than the one before it."""

    id = "format:line_indent"
    instruction = "Create stairs by incrementally indenting each new line."

    def check(self, text: str) -> bool:
        """Two lines or more, blank ones left out, and the indentation grows with each."""
        lines = (line.expandtabs(4) for line in text.split("\n") if line.strip())
        indents = [len(line) - len(line.lstrip()) for line in lines]
        return len(indents) > 1 and all(a < b for a, b in pairwise(indents))

    def reference(self, text: str) -> bool:
        """One line passes; of several blank lines in a row some count as lines; tabs do not indent.

        The published loop removes lines from the list it walks along, and so skips the next one.
        """
        lines = text.split("\n")
        index = 0
        while index < len(lines):
            if not lines[index].strip():
                lines.remove(lines[index])
            index += 1
        indents = [len(line) - len(line.lstrip(" ")) for line in lines]
        return all(a < b for a, b in pairwise(indents))

    def example(self) -> str:
        """Three steps."""
        return "one\n two\n  three"


@dataclass(frozen=True)
class ListMarker(OodConstraint):
    """A list whose items begin with a given mark."""

    id = "format:list"
    instruction = "Answer with a list of items, instead of bullet points use {sep}."

    sep: str

    def __post_init__(self) -> None:
        if not self.sep.strip():
            raise OlmesError("the argument 'sep' must not be blank; correct the item's kwargs.")

    def check(self, text: str) -> bool:
        """Two lines or more begin with the mark, and none with a usual bullet."""
        mark = self.sep.strip()
        lines = [line.strip() for line in text.split("\n")]
        others = (line for line in lines if not line.startswith(mark))
        return sum(line.startswith(mark) for line in lines) > 1 and not any(
            map(USUAL_BULLET.match, others)
        )

    def reference(self, text: str) -> bool:
        """The mark twice anywhere, also the dots or hyphens of running prose."""
        return text.count(self.sep) > 1

    def example(self) -> str:
        """Two items."""
        return f"{self.sep} river\n{self.sep} castle"

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of IFBench's four marks."""
        return cls(rng.choice(SEPARATORS))


@dataclass(frozen=True)
class BulletsAfterSentences(OodConstraint):
    """Two sentences, then two bullet points."""

    id = "format:no_bullets_bullets"
    instruction = (
        "Your answer must contain at least two sentences ending in a period followed by at least "
        "two bullet points denoted by *."
    )

    def check(self, text: str) -> bool:
        """Two sentences before the first of two bullets or more end in a period."""
        lines = text.split("\n")
        bullets = [number for number, line in enumerate(lines) if STAR_BULLET.match(line)]
        if len(bullets) < 2:
            return False
        before = "\n".join(lines[: bullets[0]])
        return sum(ending(sentence) == "." for sentence in sentences(before)) > 1

    def reference(self, text: str) -> bool:
        """Sentences may end as they like, but no line may follow the bullets.

        A blank line before the first bullet ends the sentences too.
        """
        running, spoken, bullets = True, 0, 0
        for line in text.split("\n"):
            if line.strip().startswith("*"):
                running = False
                bullets += 1
                if spoken < 2:
                    return False
            elif running:
                found = sentences(line.strip()) if line.strip() else []
                running = bool(found)
                spoken += len(found)
            else:
                return False
        return bullets > 1

    def example(self) -> str:
        """Two sentences and two bullets."""
        return "The river is calm. The wind is still.\n* boats\n* birds"


@dataclass(frozen=True)
class SubBullets(OodConstraint):
    """Bullet points, each with a point of its own below it."""

    id = "format:sub-bullets"
    instruction = (
        "Your response must include bullet points denoted by * and at least one sub-bullet point "
        "denoted by - for each bullet point."
    )

    def check(self, text: str) -> bool:
        """There is a line that begins with "*", and one with "-" before the next such line."""
        followed: list[bool] = []
        for line in text.split("\n"):
            if STAR_BULLET.match(line):
                followed.append(False)
            elif followed and DASH_BULLET.match(line):
                followed[-1] = True
        return bool(followed) and all(followed)

    def reference(self, text: str) -> bool:
        """A hyphen anywhere after each asterisk; a text without asterisks passes."""
        return all("-" in piece for piece in text.split("*")[1:])

    def example(self) -> str:
        """Two bullets with one sub-bullet each."""
        return "* river\n  - boats\n* forest\n  - birds"


@dataclass(frozen=True)
class Thesis(OodConstraint):
    """Each section begins with a statement in HTML italics."""

    id = "format:thesis"
    instruction = (
        "Each section must begin with a thesis statement in italics, use HTML to indicate the "
        "italics."
    )

    def check(self, text: str) -> bool:
        """Each section begins with `<i>` or `<em>`, closed, not blank, with text after it.

        Sections are what stands after a heading and before the first; without headings the text is
        one section.
        """
        return all(map(_has_thesis, _sections(text)))

    def reference(self, text: str) -> bool:
        """One passage in italics anywhere, followed by anything."""
        start = _first(text, "<i>", "<em>")
        if start < 0:
            return False
        text = text[start:]
        end = _first(text, "</i>", "</em>")
        return end >= 0 and bool(text[3:end].strip()) and bool(text[end + 4 :].strip())

    def example(self) -> str:
        """One section."""
        return "<i>Rivers shape towns.</i> They bring trade."


def _first(text: str, *tags: str) -> int:
    """Where the first of `tags` that occurs at all stands; -1 when none does."""
    return next((place for place in map(text.find, tags) if place >= 0), -1)


def _sections(text: str) -> Iterator[str]:
    """The sections of `text` without their headings; a heading right below another opens none."""
    lines: list[str] = []
    for line in text.split("\n"):
        if HEADING.match(line):
            if any(map(str.strip, lines)):
                yield "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    yield "\n".join(lines)


def _has_thesis(section: str) -> bool:
    found = THESIS.match(section)
    return bool(found and found[2].strip() and section[found.end() :].strip())
