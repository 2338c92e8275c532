"""Constraints on brackets and quotation marks (docs/protocol.md, section 4.6.1, `format:*`)."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.spoken import PUNCTUATION, STRAIGHT_QUOTES

CLOSERS = {")": "(", "]": "[", "}": "{"}
BRACKET_LEVELS, QUOTE_LEVELS = 5, 3
APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Parentheses(OodConstraint):
    """Brackets of any of the three kinds within brackets, five deep."""

    id = "format:parentheses"
    instruction = "Nest parentheses (and [brackets {{and braces}}]) at least 5 levels deep."

    def check(self, text: str) -> bool:
        """Five brackets stand within each other, and each of them is closed.

        A closing bracket without an opening one (a list's "1)") is passed over.
        """
        stack: list[tuple[str, int]] = []  # Opening brackets, and how deep the closed ones within.
        waiting = dict.fromkeys(CLOSERS.values(), 0)
        for char in text:
            if char in waiting:
                stack.append((char, 0))
                waiting[char] += 1
            elif char in CLOSERS and waiting[CLOSERS[char]]:
                depth = 0
                while True:
                    opener, within = stack.pop()
                    waiting[opener] -= 1
                    depth = max(depth, within)
                    if opener == CLOSERS[char]:
                        break
                if depth + 1 >= BRACKET_LEVELS:
                    return True
                if stack:
                    stack[-1] = (stack[-1][0], max(stack[-1][1], depth + 1))
        return False

    def reference(self, text: str) -> bool:
        """Five opened and one closed are enough; a bracket closed wrongly forgets the open ones."""
        opened: list[str] = []
        deepest = 0
        for char in text:
            if char in CLOSERS.values():
                opened.append(char)
                deepest = max(deepest, len(opened))
            elif char in CLOSERS:
                if opened and opened[-1] == CLOSERS[char]:
                    opened.pop()
                    if deepest >= BRACKET_LEVELS:
                        return True
                else:
                    opened, deepest = [], 0
        return False

    def example(self) -> str:
        """Five levels."""
        return "One (two [three {four (five [six])}])."


@dataclass(frozen=True)
class Quotes(OodConstraint):
    """Quotations within quotations, three deep, in double and single marks by turns."""

    id = "format:quotes"
    instruction = (
        "Include quotes within quotes within quotes, at least 3 levels deep, alternating between "
        "double quotes and single quotes."
    )

    def check(self, text: str) -> bool:
        """Three pairs of marks stand within each other, and each is closed.

        Curly marks count as straight ones. An apostrophe between letters is none of them.
        """
        stack: list[tuple[str, int]] = []
        for char in APOSTROPHE.sub("", text.translate(STRAIGHT_QUOTES)):
            if char not in "\"'":
                continue
            if not stack or stack[-1][0] != char:
                stack.append((char, 0))
                continue
            depth = stack.pop()[1] + 1
            if depth >= QUOTE_LEVELS:
                return True
            if stack:
                stack[-1] = (stack[-1][0], max(stack[-1][1], depth))
        return False

    def reference(self, text: str) -> bool:
        """Apostrophes open and close quotations as well, and curly marks do not."""
        stack: list[str] = []
        deepest = 0
        for char in text:
            if stack and char == stack[-1]:
                stack.pop()
                if deepest - len(stack) >= QUOTE_LEVELS:
                    return True
            elif char in ('"', "'"):
                stack.append(char)
                deepest = max(deepest, len(stack))
        return False

    def example(self) -> str:
        """Three levels."""
        return 'She wrote "he said \'they sang "go home" loudly\' twice" again.'


@dataclass(frozen=True)
class QuoteUnquote(OodConstraint):
    """After every quotation comes an explanation that is not quoted."""

    id = "format:quote_unquote"
    instruction = "Every quoted phrase must be followed by an unquoted explanation."

    def check(self, text: str) -> bool:
        """There is a quotation, and a word stands between each and the next or the end."""
        _, *after = QUOTED.split(text.translate(STRAIGHT_QUOTES))
        return bool(after) and all(any(map(str.isalpha, part)) for part in after)

    def reference(self, text: str) -> bool:
        """Passes without any quotation, and with marks alone between two of them."""
        text = text.translate(STRAIGHT_QUOTES).replace("'\"'", "")
        text = "".join(text.split())
        end = text.strip(string.digits + PUNCTUATION.replace('"', ""))
        return '""' not in text and not end.endswith('"')

    def example(self) -> str:
        """One quotation, explained."""
        return 'They say "time flies" and mean that years seem short.'
