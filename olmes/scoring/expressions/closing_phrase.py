"""The answer of a response that ends in a phrase it was told to end in.

Source: DeepMind Mathematics in OLMES, prompt v3 (docs/protocol.md, section 4.4), faults included.
Every step takes time linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OPENING = re.compile(r"(?i)Therefore, the final answer is ")
CLOSING = re.compile(r"(?i)\. I hope it is correct.")
"""The dot after the last word stands for any character, as in the reference."""
LOOSE_OPENINGS = ("the final answer is", "answer is")
HOPE = "I hope it is correct"
END_TOKENS = ("<end_of_turn>", "<", "eot_id", ">", "<s>", "</s>")
r"""Removed in this order. The reference removes `<|eot_id|>` as a regular expression, which takes
away `<`, `eot_id` and `>` and leaves the bars: `-3<|eot_id|>` becomes `-3||`."""
WRAPPINGS = (("$", "$"), (r"\(", r"\)"), ("**", "**"), ("***", "***"), (r"\[", r"\]"))


@dataclass(frozen=True, slots=True)
class Closing:
    """What the protocol finds in a response."""

    answer: str
    """Empty when there is none."""
    in_form: bool
    """Whether the whole closing sentence is there."""


def closing(text: str) -> Closing:
    """The last closing sentence's answer, or what follows the first words that resemble one."""
    found = last_between(text)
    if found is not None:
        return Closing(cleaned(found), in_form=True)
    for opening in LOOSE_OPENINGS:
        _, matched, rest = text.partition(opening)
        if matched:
            line = rest.strip().partition("\n")[0]
            return Closing(cleaned(line.removesuffix(".")), in_form=False)
    return Closing("", in_form=False)


def last_between(text: str) -> str | None:
    """What stands between the last opening and closing words, which are on one line."""
    found, at = None, 0
    while opening := OPENING.search(text, at):
        at = text.find("\n", opening.end())
        at = len(text) if at < 0 else at
        if end := CLOSING.search(text, opening.end(), at):
            found, at = text[opening.end() : end.start()], end.end()
    return found


def cleaned(answer: str) -> str:
    """An answer without the words after it, end-of-turn tokens, full stop and one wrapping."""
    before, hope, _ = answer.partition(HOPE)
    if hope:
        answer = before.rstrip().removesuffix(".").rstrip()
    for token in END_TOKENS:
        answer = answer.replace(token, "")
    if answer.rstrip().endswith("."):
        answer = answer.rstrip()[:-1]
    answer = answer.strip()
    for left, right in WRAPPINGS:
        wrapped = answer.startswith(left) and answer.endswith(right)
        if wrapped and len(answer) >= len(left) + len(right):
            return answer[len(left) : len(answer) - len(right)].strip()
    return answer
