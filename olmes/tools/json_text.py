"""JSON that came from elsewhere: what every later step can hold, show and send on, or a refusal.

A text may hold anything that JSON can say, lone surrogates too: `olmes.tools.jsonl` writes them
escaped. A number is one that a double holds, and nesting has an end.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

DEEPEST = 60
"""Levels of nesting; a record of ours has about ten."""
LARGEST_DOUBLE = int(sys.float_info.max)


class JsonTextError(ValueError):
    """A text is not JSON as it is taken.

    Args:
        field: dotted name of the part at fault; '' for the whole.
        why: what is wrong with it, to stand behind the name.
    """

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field or 'it'} {why}")


def parse(content: bytes | str, *, any_number: bool = False) -> Any:
    """The value of a JSON text.

    Args:
        content: the text.
        any_number: whether NaN and numbers beyond a double pass, as records of some olmes hold them.

    Raises:
        JsonTextError: it is not UTF-8 or not JSON, is nested too deeply, or holds a number that is
            none (NaN) or beyond a double (1e999, 10**400).
    """
    words: list[str] = []

    def constant(word: str) -> float:
        words.append(word)
        return float(word)

    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        value = json.loads(text, parse_constant=constant)
    except RecursionError:
        raise JsonTextError("", f"is nested deeper than {DEEPEST} levels") from None
    except ValueError as error:
        raise JsonTextError("", f"is not JSON ({said(error)})") from None
    try:
        check(value, any_number=any_number)
    except JsonTextError as error:
        if words and error.field:
            raise JsonTextError("", f"is not JSON ({words[0]} at {error.field})") from None
        raise
    if words and not any_number:  # where a later member of the same name took its place
        raise JsonTextError("", f"is not JSON ({words[0]})")
    return value


def said(error: ValueError) -> str:
    """What a parser says, without advice for programmers."""
    text = str(error)
    return "a number has thousands of digits" if text.startswith("Exceeds the limit") else text


def check(value: Any, *, any_number: bool = False) -> None:
    """Hold a value that another parser read against the same limits.

    Raises:
        JsonTextError: it is nested too deeply, or a number is not finite or beyond a double.
    """
    path: list[str] = []
    if why := fault(value, path, any_number):
        if len(path) >= DEEPEST:
            raise JsonTextError("", f"{why} (in {'.'.join(path[:8])})")
        raise JsonTextError(".".join(path), why)


def fault(value: Any, path: list[str], any_number: bool) -> str:
    """What is wrong within a value, '' for nothing; `path` then leads to it."""
    if isinstance(value, (dict, list)):
        if len(path) >= DEEPEST:
            return f"is nested deeper than {DEEPEST} levels"
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            if member.__class__ is str:
                continue
            path.append(str(key))
            if why := fault(member, path, any_number):
                return why
            path.pop()
    elif any_number:
        return ""
    elif isinstance(value, float):
        return "" if math.isfinite(value) else "is not finite"
    elif isinstance(value, int) and not -LARGEST_DOUBLE <= value <= LARGEST_DOUBLE:
        return "is too large a number"
    return ""
