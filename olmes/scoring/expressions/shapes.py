"""What kind of answer a tidied text is: a number, a list, a pair, an interval, an equation, a word.

`shape` reads one; nothing is compared here (see `same_answer`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from olmes.scoring.expressions.answer_math import LONGEST_LEFT_SIDE, SEPARATOR, members
from olmes.scoring.expressions.asked import NUMBER_WORDS
from olmes.scoring.expressions.expression import UnreadableExpressionError
from olmes.scoring.expressions.implied import CONSTANTS, GREEK, OF_PRODUCTS, ROOTS, read
from olmes.scoring.expressions.kinds import (
    Based,
    Clock,
    Equation,
    Grid,
    Group,
    Shape,
    Union,
    Value,
    Words,
)
from olmes.scoring.expressions.notation import ROW_END
from olmes.scoring.expressions.units import Quantity, quantity

MATHEMATICAL = frozenset((*CONSTANTS, *GREEK, *ROOTS, *OF_PRODUCTS, "oo"))
"""Words that are no units."""
LABEL = re.compile(
    r"^(?:(?:the|my|final|correct) )*(?:answer|solution|value|result)s?(?: is| are)?\s?[:=]?\s+"
    r"|^(?:option|choice|answer) (?=\(?[A-Z]\)?$)|^[:=]\s*",
    re.IGNORECASE,
)
OPENING, CLOSING = "([{", ")]}"
RELATION = re.compile(r"(<=|>=|<|>|=|≠|∈)")
NAME = re.compile(
    r"[a-zA-Z] ?\([a-zA-Z0-9]\)|[a-zA-Z]+(?:_\w+)?|\([a-z](?:, ?[a-z])*\)"
    r"|[|()/:\s\d_]*[A-Z][|()/:\s\d_A-Z]*"
)
"""What an equation may give the value of: `x`, `f(x)`, `AB`, `(x, y)`, `|AB|/|CD|`."""
VARIABLE = re.compile(r"[a-zA-Z](?: ?\([a-zA-Z]\))?|theta")
UNION = re.compile(r"∪|(?<=[)\]}])\s?(?:U|or|and)\s?(?=[(\[{])")
CLOCK = re.compile(r"(\d{1,2})(?:[:.]([0-5]\d))?(?::00)? ?([ap])\.? ?m\b\.?", re.IGNORECASE)
BASED = re.compile(r"([+-]?[0-9a-zA-Z.]*[0-9A-Z])_ ?\(?([a-zA-Z]+|\d+)\)?")
RATIO = re.compile(r"[1-9][\d.]*(?: ?: ?[1-9][\d.]*)+")
WORDS = re.compile(r"[A-Z]{2,}|[a-zA-Z]{3,}|[a-zA-Z']+(?:[ -][a-zA-Z']+)+")
ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
REALS = ("all real numbers", "all reals")


def shape(text: str, depth: int = 0) -> Shape:
    """The shape of a tidied text.

    Raises:
        UnreadableExpressionError: it has none.
    """
    if depth > 8:
        raise UnreadableExpressionError("nested too deeply")
    text = LABEL.sub("", text.strip()).strip()
    text = text if text.endswith("..") else text.rstrip(".,;: ")
    text = str(NUMBER_WORDS.get(text.lower(), text))
    if not text:
        raise UnreadableExpressionError("nothing")
    if (inner := enclosed(text, "({[")) is not None and not members_of(inner)[1:]:
        return shape(inner, depth + 1)
    for reader in (_grid, _union, _listed, _bracketed, _related):
        if (found := reader(text, depth)) is not None:
            return found
    return _written(text) or _value(text)


def enclosed(text: str, openings: str) -> str | None:
    """What stands between the first and the last character, if they are brackets that match."""
    if text[:1] not in openings or not text[:1]:
        return None
    depth = 0
    for at, character in enumerate(text):
        depth += (character in OPENING) - (character in CLOSING)
        if depth == 0:
            return text[1:-1].strip() if at == len(text) - 1 else None
    return None


def members_of(text: str) -> list[str]:
    """The parts of a list."""
    return members(text, SEPARATOR)


def _grid(text: str, depth: int) -> Shape | None:
    """A matrix, maybe with a name before it."""
    found = re.fullmatch(r"(?:[^⟦⟧=]{1,20}=\s*)?[(\[{]*\s*⟦([^⟦⟧]*)⟧\s*[)\]}]*", text)
    if not found:
        if "⟦" in text:
            raise UnreadableExpressionError("more than a matrix")
        return None
    return Grid(
        tuple(
            tuple(shape(cell, depth + 1) for cell in row.split("&"))
            for row in found[1].split(ROW_END)
        )
    )


def _union(text: str, depth: int) -> Shape | None:
    """Sets joined, maybe with `x ∈` before them."""
    _, within, text = text.rpartition("∈")
    text = text.strip()
    if text in REALS or (within and text == "R"):
        return shape("(-oo, oo)", depth + 1)
    parts = [part.strip() for part in UNION.split(text)]
    if len(parts) < 2 or not ("∪" in text or all(map(is_set, parts))):
        return None
    return Union(tuple(_set(part, depth + 1) for part in parts))


def is_set(text: str) -> bool:
    """Whether a text is something in brackets that a comma parts, or in braces."""
    inner = enclosed(text, "([{")
    return inner is not None and (text[0] == "{" or len(members_of(inner)) > 1)


def _set(text: str, depth: int) -> Shape:
    inner = enclosed(text, "{")
    return Group((shape(inner, depth),)) if inner is not None else shape(text, depth)


def _listed(text: str, depth: int) -> Shape | None:
    """What commas and words separate, in braces or without."""
    inner = enclosed(text, "{")
    name, equals, rest = text.partition("=")
    if inner is None and equals and NAME.fullmatch(name.strip()):
        inner = enclosed(rest.strip(), "{")
    parts = members_of(text if inner is None else inner)
    if len(parts) == 1 and inner is None:
        parts = list(plus_and_minus(text))
        if len(parts) == 1:
            return None
        return Group(tuple(shape(part, depth + 1) for part in parts))
    brackets = ("", "") if inner is None else ("{", "}")
    found: list[Shape] = []
    for part in parts:
        found += [shape(each, depth + 1) for each in plus_and_minus(part)]
    if len(found) > 1 and any(isinstance(each, Group) and is_interval(each) for each in found):
        return Union(tuple(found))
    return Group(tuple(found), brackets)


def plus_and_minus(text: str) -> Iterator[str]:
    """Both texts where one is written with `±`."""
    text = text.replace("+/-", "±")
    if "±" in text:
        yield text.replace("±", "+")
        yield text.replace("±", "-")
    else:
        yield text


def is_interval(group: Group) -> bool:
    """Whether a group can be nothing but an interval."""
    return "[" in group.brackets or "]" in group.brackets or any(map(is_infinite, group.members))


def is_infinite(found: Shape) -> bool:
    """Whether something is infinity, with or without a sign."""
    return isinstance(found, Value) and "oo" in str(found.expression)


def _bracketed(text: str, depth: int) -> Shape | None:
    """A pair, a triple or an interval, maybe with a name before it."""
    found = re.fullmatch(r"(?:[^=∈<>]{1,20}[=∈]\s*)?([(\[].*[)\]])", text)
    inner = enclosed(found[1], "([") if found else None
    if found is None or inner is None:
        return None
    parts = members_of(inner)
    if len(parts) < 2:
        return None
    brackets = (found[1][0], found[1][-1])
    return Group(tuple(shape(part, depth + 1) for part in parts), brackets)


def _related(text: str, depth: int) -> Shape | None:
    """An equation, or an inequality, which is an interval of its letter."""
    sides = [side.strip() for side in RELATION.split(text.partition("≈")[0])]
    signs, sides = sides[1::2], sides[::2]
    if not signs:
        return None
    if set(signs) == {"="}:
        return _equation(sides)
    if signs == ["∈"]:
        return shape(sides[1], depth + 1)
    if signs == ["≠"]:
        return Union(
            (shape(f"(-oo, {sides[1]})", depth + 1), shape(f"({sides[1]}, oo)", depth + 1))
        )
    if len(signs) == 1 and NAME.fullmatch(sides[0]):
        less = signs[0].startswith("<")
        closed = signs[0].endswith("=")
        if less:
            return shape(f"(-oo, {sides[1]}{']' if closed else ')'}", depth + 1)
        return shape(f"{'[' if closed else '('}{sides[1]}, oo)", depth + 1)
    if len(signs) == 1 and NAME.fullmatch(sides[1]):
        return shape(sides[1] + signs[0].translate(str.maketrans("<>", "><")) + sides[0], depth + 1)
    if len(signs) == 2 and VARIABLE.fullmatch(sides[1]) and signs[0][0] == signs[1][0] != "=":
        low, high = (0, 1) if signs[0][0] == "<" else (1, 0)
        opening = "[" if signs[low].endswith("=") else "("
        closing = "]" if signs[high].endswith("=") else ")"
        return shape(f"{opening}{sides[2 * low]}, {sides[2 * high]}{closing}", depth + 1)
    return Words(key(text))


def _equation(sides: list[str]) -> Shape:
    if any(len(side) > LONGEST_LEFT_SIDE for side in sides[:-1]) or not all(sides[1:]):
        raise UnreadableExpressionError("more than an equation")
    return Equation(sides[0] if NAME.fullmatch(sides[0]) else sides[-2], sides[-1])


def _written(text: str) -> Shape | None:
    """A time, digits in a base, or a word."""
    if found := CLOCK.fullmatch(text):
        hour, minute = int(found[1]), int(found[2] or 0)
        if not 1 <= hour <= 12:
            raise UnreadableExpressionError("no hour")
        return Clock(hour % 12 * 60 + minute + (720 if found[3].lower() == "p" else 0))
    if (found := BASED.fullmatch(text)) and re.search(r"\d", found[1]):
        base = NUMBER_WORDS.get(found[2].lower(), 0) or int("0" + re.sub(r"\D", "", found[2]))
        return Based(re.sub(r"^\+", "", found[1].upper()), base)
    words = text.split() if WORDS.fullmatch(text) else []
    if any(len(word) > 1 for word in words) and not MATHEMATICAL.intersection(words):
        return Words(key(text))
    return None


def _value(text: str) -> Shape:
    """An expression with its unit, or else words."""
    if RATIO.fullmatch(text):
        text = "/".join(f"({part})" for part in text.split(":"))
    if any(name in text for name in OF_PRODUCTS):
        found = Quantity(re.sub(r"\s*degrees?\b", "°", text))
    else:
        found = quantity(text, MATHEMATICAL)
    try:
        expression = read(found.value, None)
    except UnreadableExpressionError:
        if re.search(r"[^\W\d_]{3}|∅", text) and not re.search(r"[=<>±?*]", text):
            return Words(key(text))
        raise
    return Value(expression, found, key(text))


def key(text: str) -> str:
    """What two spellings of a word have in common: letters, digits and signs, in lower case."""
    return re.sub(r"[\s.,;:'()\[\]{}]", "", ORDINAL.sub("", text)).casefold()
