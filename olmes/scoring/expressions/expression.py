"""Mathematics in Python's notation, read without ever being evaluated.

`sympy.parse_expr`, which the protocol calls on what a model wrote, is Python's `eval`. Here the text
is cut into tokens; every number and every name becomes a place in a table; the grammar of Python
(`ast`, which only parses) is shown nothing but those places, operators, commas and round brackets;
and its tree is read over a short list of allowed nodes. What is not on the list is refused.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

MOST_CHARACTERS = 1000
"""The longest gold answer of any benchmark read here has 60."""
MOST_DEPTH = 60
LARGEST_EXPONENT = 400
"""Of ten, in a number such as `1e400`."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written, exactly."""

    value: Fraction
    decimal: bool = False
    """Written with a point or an exponent: a `Float` to sympy, and no structural equal of `2`."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A variable, or one of the constants `E`, `I` and `pi`."""

    name: str


@dataclass(frozen=True, slots=True)
class Applied:
    """An operator or a function with its arguments, in the order they are written."""

    operation: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list: what commas separate."""

    members: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """`True` or `False`."""

    value: bool


Expression: TypeAlias = Number | Letter | Applied | Items | Truth

FUNCTIONS = frozenset(
    (
        *("sqrt", "cbrt", "root", "exp", "log", "ln", "sin", "cos", "tan", "abs", "Abs"),
        *("factorial", "factorial2", "binomial", "gcd", "lcm", "floor", "ceiling"),
        *("Max", "Min", "max", "min", "pow", "Pow", "Add", "Mul"),
        *("Rational", "Integer", "Float", "S"),
    )
)
"""Functions of sympy's namespace (and of Python's that it lets through) with a value here."""
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitXor: "^",
    ast.UAdd: "positive",
    ast.USub: "negative",
    ast.And: "and",
    ast.Or: "or",
}
DIGITS = r"[0-9](?:_?[0-9])*"
EXPONENT = rf"[eE][-+]?{DIGITS}"
DECIMAL = rf"(?:(?:{DIGITS}\.(?:{DIGITS})?|\.{DIGITS})(?:{EXPONENT})?|{DIGITS}{EXPONENT})"
WHOLE = r"0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?0)*|[1-9](?:_?[0-9])*"
TOKEN = re.compile(
    rf"(?P<decimal>{DECIMAL})|(?P<whole>{WHOLE})|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<operator>\*\*|//|[-+*/%^(),])|(?P<factorial>!!?(?!=))|(?P<nothing>[ \t]+|\#.*$)"
)
"""Python's numbers and names. `05` is two numbers side by side, which is not an expression."""


class UnreadableExpressionError(Exception):
    """The text is not mathematics in this notation; the message says why in a few words."""


@lru_cache(maxsize=8192)
def parse(text: str) -> Expression:
    """The expression `text` is.

    Raises:
        UnreadableExpressionError: it is none, it is out of bounds, or it holds something that is
            not allowed.
    """
    if len(text) > MOST_CHARACTERS:
        raise UnreadableExpressionError(f"longer than {MOST_CHARACTERS} characters")
    source, table = _tabled(text.strip())
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise UnreadableExpressionError("not an expression") from None
    return _read(tree.body, table, 0)


def _tabled(text: str) -> tuple[str, list[Expression]]:
    """`text` with numbers and names replaced by `_0`, `_1`, ..., and the table of what they are."""
    source: list[str] = []
    table: list[Expression] = []
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            raise UnreadableExpressionError(f"{text[at]!r} is not allowed")
        at, kind, word = token.end(), token.lastgroup, token.group()
        if kind == "operator" or word in ("and", "or"):
            source.append(word)
        elif kind == "factorial":
            source = _with_factorial(source, "factorial" if word == "!" else "factorial2", table)
        elif kind != "nothing":
            source.append(f"_{len(table)}")
            table.append(_operand(word, kind))
    return " ".join(source), table


def _operand(word: str, kind: str | None) -> Expression:
    if kind == "whole":
        return Number(Fraction(int(word, 0)))
    if kind == "decimal":
        digits, _, exponent = word.replace("_", "").lower().partition("e")
        if len(exponent) > 5 or abs(int(exponent or 0)) > LARGEST_EXPONENT:
            raise UnreadableExpressionError(f"an exponent beyond {LARGEST_EXPONENT}")
        return Number(Fraction(digits) * Fraction(10) ** int(exponent or 0), decimal=True)
    if word in ("True", "False"):
        return Truth(word == "True")
    if keyword.iskeyword(word) or word.startswith("_"):
        raise UnreadableExpressionError(f"{word!r} is not allowed")
    return Letter(word)


def _with_factorial(source: list[str], name: str, table: list[Expression]) -> list[str]:
    """`source` with its last operand, or its last bracket and the function's name, in a call."""
    start, depth = len(source) - 1, 0
    while start >= 0:
        depth += (source[start] == ")") - (source[start] == "(")
        if depth <= 0:
            break
        start -= 1
    if start < 0 or depth < 0 or not (source[start] == "(" or source[start].startswith("_")):
        raise UnreadableExpressionError("a factorial of nothing")
    if source[start] == "(" and start and source[start - 1].startswith("_"):
        start -= 1
    table.append(Letter(name))
    return [*source[:start], f"_{len(table) - 1}", "(", *source[start:], ")"]


def _read(node: ast.AST, table: list[Expression], depth: int) -> Expression:
    """The expression of a node of Python's tree, when the node is on the list."""
    if depth > MOST_DEPTH:
        raise UnreadableExpressionError(f"nested deeper than {MOST_DEPTH}")
    parts: list[ast.expr] = []
    match node:
        case ast.Name(id=place):
            return table[int(place[1:])]
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            operation, parts = OPERATORS[type(node.op)], [operand]
        case ast.BinOp(left=left, right=right) if type(node.op) in OPERATORS:
            operation, parts = OPERATORS[type(node.op)], [left, right]
        case ast.BoolOp(values=parts):
            operation = OPERATORS[type(node.op)]
        case ast.Tuple(elts=parts):
            return Items(tuple(_read(part, table, depth + 1) for part in parts))
        case ast.Call(func=ast.Name(id=place), args=parts, keywords=[]):
            function = table[int(place[1:])]
            if not (isinstance(function, Letter) and function.name in FUNCTIONS):
                raise UnreadableExpressionError("a call of something that is no known function")
            operation = function.name
        case _:
            raise UnreadableExpressionError(f"a {type(node).__name__} is not allowed")
    return Applied(operation, tuple(_read(part, table, depth + 1) for part in parts))


def letters(expression: Expression) -> frozenset[str]:
    """The names of the variables that are written in an expression."""
    match expression:
        case Letter(name=name):
            return frozenset((name,))
        case Applied(arguments=parts) | Items(members=parts):
            return frozenset[str]().union(*map(letters, parts))
    return frozenset()
