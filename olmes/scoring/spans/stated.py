"""How far the spans or the number that a response states are those of an answer: DROP's honest reading.

The benchmark takes the whole response for one span: an answer of two spans cannot be matched, a full
stop behind 12.25 makes it 1225, and each word of "The answer is ..." costs precision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from olmes.scoring.answers.mark import Origin
from olmes.scoring.answers.number import number_of, stated_number
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.answers.thought import spoken
from olmes.scoring.spans.drop import aligned_f1, bag, bag_f1, is_number

NEXT = re.compile(
    r"\n[ \t]{0,9}(?:\n|(?:Passage|Question|Answer)\s?:)|(?<=\S)\s{0,9}(?:Passage|Question):"
)
"""Where a base model goes on with a passage or a question of its own."""
READ = 2000
"""Characters of a response that are read; the protocol has it stop after 50 tokens."""
LISTS = (
    re.compile(r"[;\n]"),
    re.compile(r"[,;\n]"),
    re.compile(r"\sand\s"),
    re.compile(r"[,;\n](?:\s?and\s)?|\s(?:and|&)\s"),
)
"""Ways to write several spans; names and places may have commas or "and" of their own."""
DRESS = re.compile(r"[*_`\"“”]|\A[-•]\s")
EDGE = " \t\n,;:"


def without_next_question(text: str) -> str:
    """The response up to where it goes on with a passage or question of its own."""
    return NEXT.split(text.strip(), maxsplit=1)[0][:READ].strip()


def stated_f1(text: str, gold: Sequence[str], *, complete: bool = True) -> float:
    """F1 of the spans that a response states, paired with a gold answer's; of a number 1 or 0.

    Args:
        text: the response. Where it marks a part as thought, only what follows is read.
        gold: the spans of one answer, at least one.
        complete: whether the response ended by itself.

    Returns:
        A share from 0 to 1.
    """
    said = (spoken(text) or "").strip()
    own = without_next_question(said)
    if not own:
        return 0.0
    # What was cut off is the passage of its own, or the last of several lines, and not the answer.
    complete = complete or len(own) < len(said)
    if not complete and (whole := own.rpartition("\n")[0].strip()):
        own, complete = whole, True
    if len(gold) == 1 and (wanted := _number(gold[0])) is not None:
        return float(stated_number(own, complete=complete) == wanted)
    spans = _listed(_given(own, complete=complete), len(gold))
    if len(gold) == 1:
        return bag_f1(bag(spans[0]), bag(gold[0]))
    return aligned_f1(spans, gold)


def _number(text: str) -> Fraction | None:
    """The value of a gold answer that is a number alone."""
    return number_of(text) if is_number(text.replace(",", "")) else None


def _given(own: str, *, complete: bool) -> str:
    """What is behind "the answer is", or in a box; where nothing announces it, everything."""
    stated = stated_answer(own, complete=complete)
    return own if stated is None or stated.origin is Origin.LINE else stated.text


def _listed(given: str, wanted: int) -> list[str]:
    """The spans of a list, by the first way to write one that gives as many as wanted."""
    plain = DRESS.sub("", given).strip(EDGE).removesuffix(".")
    if wanted == 1:
        return [plain]
    for pattern in LISTS:
        spans = [span for part in pattern.split(plain) if (span := part.strip(EDGE))]
        if len(spans) == wanted:
            break
    return spans or [plain]
