r"""Answers that are a sequence: closing brackets, words in order.

The reader of other answers (`olmes.scoring.answers.statement`) takes an unmatched bracket for the end
of a box, and a line for the end of a list; so these are read on their own.
"""

from __future__ import annotations

import re

from olmes.scoring.answers.statement import NEXT_QUESTION, READ
from olmes.scoring.answers.thought import spoken

ANNOUNCED = re.compile(r"\banswers?(?:\s(?:is|are)\b|[*_]*:)[*_]*:?", re.IGNORECASE)
DRESS = re.compile(r"\\(?:text|mathtt|texttt|mathrm)\b|[\\*`$\"“”]")
"""What stands around an answer without being one; apostrophes belong to words."""
BRACKETS = re.compile(r"[()\[\]{}<>]")
ONLY_BRACKETS = re.compile(r"[()\[\]{}<>,\s]+")
NUMBERING = re.compile(r"(?:\A|(?<=\s))(?:\d{1,3}[.)]|[-•–])\s+")
SENTENCE_END = re.compile(r"[.!](?=\s|\Z)")
BETWEEN_WORDS = re.compile(r"(?:\s|,|;|->|→|>|<)+")


def announced(text: str) -> str | None:
    """What follows the last announcement of an answer, else the last paragraph; None where none is.

    A box or `<answer>` goes before words such as "the answer is". Where the response marks a part as
    thought, only what follows it is read, and a question of the response's own ends it.
    """
    said = (spoken(text) or "")[-READ:].rstrip()
    following = NEXT_QUESTION.search(said)
    said = said[: following.start()] if following else said
    _, box, rest = said.rpartition("\\boxed{")
    if box:
        # An unmatched bracket may be the answer: the box ends with the last brace of its line.
        return rest.partition("\n")[0].rpartition("}")[0]
    _, tag, rest = said.rpartition("<answer>")
    if tag:
        return rest.partition("</answer>")[0].strip()
    announcements = list(ANNOUNCED.finditer(said))
    if announcements:
        return said[announcements[-1].end() :].strip()
    return said.rpartition("\n\n")[2].strip() or None


def stated_brackets(text: str) -> str | None:
    """The brackets that a response states as its answer, without blanks; None where there are none.

    They are the last line of what is announced that consists of brackets alone, or what stands behind
    that line's colon.
    """
    for line in reversed((announced(text) or "").split("\n")):
        plain = DRESS.sub("", line).strip().removesuffix(".")
        for part in (plain, plain.rpartition(":")[2]):
            if ONLY_BRACKETS.fullmatch(part) and BRACKETS.search(part):
                return "".join(BRACKETS.findall(part))
    return None


def stated_words(text: str) -> list[str]:
    """The words that a response lists as its answer, in lower case, up to the end of the sentence.

    Commas, arrows, numbers and bullets may stand between them, one a line or all in one.
    """
    said = NUMBERING.sub(" ", DRESS.sub("", announced(text) or ""))
    # A colon introduces the list: "the sorted words are: ...".
    said = said.rpartition(":")[2].lstrip(" .\n")
    end = SENTENCE_END.search(said)
    said = said[: end.start()] if end else said
    words = [word.strip("'‘’.").lower() for word in BETWEEN_WORDS.split(said)]
    return [word for word in words if word]
