r"""The stretch of a response that states its final answer.

The last of all marks counts: a box, `<answer>`, "the answer is", "18 is the answer", "Answer:", a
heading, `####`. A mark behind which no answer stands ("Answer: First we add", "the answer is given
below") states nothing, nor does one that is only supposed or is taken back. Without a mark it is the
last line. Where the last mark is cut off, as an open box is, nothing is stated: what stood before was
not final.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from olmes.scoring.answers.clause import last_sentences, predicate
from olmes.scoring.answers.enclosed import boxes, tags
from olmes.scoring.answers.mark import Mark, Origin
from olmes.scoring.answers.thought import spoken
from olmes.scoring.answers.worded import afterwards, hashes, nouns

READ = 30_000
"""Characters from the end within which a response is taken to state its answer."""
MOST_MARKS = 100
"""Marks looked at, from the last; a response with more is a loop."""
NEXT_QUESTION = re.compile(
    r"(?<=\S)\s{0,9}\n[ *#]{0,9}(?:(?:Question|Problem|Q|Human|User)\s?\d{0,3}\s?:|<\|im_start\|>user)"
)
"""Where a response goes on with a question of its own, as base models do."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a response states as its answer."""

    text: str
    """As it is written, LaTeX and Markdown included, without the mark and without what follows its
    sentence."""
    origin: Origin

    @property
    def predicate(self) -> str:
        """What the sentence says: of "The value of c is 13", `13`. What is in a box stays whole."""
        return self.text if self.origin is Origin.BOX else predicate(self.text)


def stated_answer(
    text: str, *, complete: bool = True, wanted: Callable[[str], bool] = bool
) -> Statement | None:
    """The last statement of an answer in a response; None when it states none.

    Args:
        text: the response. Where it marks a part as thought, only what follows is read.
        complete: whether it ended by itself. What stands at the very end of one that was cut off
            may be cut, and its last line states nothing.
        wanted: whether a stretch can be an answer of the task's kind; what cannot states nothing.
    """
    said = spoken(text)
    if said is None:
        return None
    said = said[-READ:].rstrip()
    following = NEXT_QUESTION.search(said)
    own = said[: following.start()] if following else said
    found = _marked(own, complete=complete or following is not None, wanted=wanted)
    if found is None and following:
        found = _marked(said, complete=complete, wanted=wanted)
    if found is None and complete:
        lines = filter(wanted, last_sentences(said))
        found = next((Statement(line, Origin.LINE) for line in lines), None)
    return found if found and found.text else None


def _marked(text: str, *, complete: bool, wanted: Callable[[str], bool]) -> Statement | None:
    """What the last mark that states something states; without text where that one is cut off."""
    marks = sorted(_marks(text), key=lambda mark: mark.at, reverse=True)
    for mark in marks[:MOST_MARKS]:
        found = mark.read()
        if found is None:
            continue
        # A full stop does not tell: `18.` may have been about to become `18.5`.
        ended = complete or found.origin is Origin.BOX or text[found.end :].strip(".,")
        if found.cut or not ended:
            return Statement("", found.origin)
        if wanted(found.text):
            return Statement(found.text, found.origin)
    return None


def _marks(text: str) -> Iterator[Mark]:
    for finder in (boxes, tags, nouns, hashes, afterwards):
        yield from finder(text)
