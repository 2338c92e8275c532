r"""Rigorous bounds on the value of a plain LaTeX expression, without parsing it with sympy.

Two expressions whose bounds are disjoint are not equal: an answer that takes microseconds where
sympy takes tens of milliseconds. The bounds are intervals (mpmath), so they hold whatever rounding
does, and every letter stands for one fixed positive number, so that expressions equal for all
letters have overlapping bounds. Text outside the small grammar has no bounds and is left to sympy.

The grammar is the part of sympy's LaTeX grammar that reads in one way only; where the two could
differ, as in `f(x)`, `d x` or `2x3` (where sympy drops the `x`), this one gives up.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
"""A decimal is read only when it is all there is: sympy's floats round, and a sum of them may
swallow a small term."""
TOKEN = re.compile(r"\\[a-zA-Z]+|[0-9]+|[-+*/:^(){}]|[a-zA-Z]")
SYMBOLS = {r"\alpha", r"\beta", r"\gamma", r"\theta", r"\lambda", r"\mu", r"\pi", r"\phi"}
TIMES = {"*", r"\cdot", r"\times"}
OVER = {"/", ":", r"\div"}
FRACTIONS = {r"\frac", r"\dfrac", r"\tfrac"}
MOST_CHARACTERS = 200
MOST_DEPTH = 12
LARGEST_EXPONENT = 10_000
PRECISION = 120
"""Bits of the interval ends."""


class UnclearError(Exception):
    """The text is not in the grammar, or its value has no finite bounds."""


@lru_cache(maxsize=1)
def intervals() -> Any:
    """The interval arithmetic of mpmath, with a precision of its own."""
    from mpmath.ctx_iv import MPIntervalContext  # type: ignore[import-untyped]

    context = MPIntervalContext()
    context.prec = PRECISION
    return context


def disjoint(left: str, right: str) -> bool:
    """Whether both have bounds, and no number lies in both."""
    low, high = bounds(left), bounds(right)
    return low is not None and high is not None and bool(low.b < high.a or high.b < low.a)


@lru_cache(maxsize=8192)
def bounds(text: str) -> Any | None:
    """An interval that holds the value of `text`; None when the grammar does not cover it."""
    if len(text) > MOST_CHARACTERS:
        return None
    if DECIMAL.fullmatch(text):
        # As wide as the rounding of a 15-digit float, many times over.
        return intervals().mpf(text) * (1 + intervals().mpf(["-1e-9", "1e-9"]))
    tokens = TOKEN.findall(text)
    if "".join(tokens) != text:
        return None
    try:
        value = Reader(tokens).everything()
    except (UnclearError, ZeroDivisionError, ValueError, OverflowError):
        return None
    inside = value.a > -intervals().inf and value.b < intervals().inf  # False for nan too
    return value if inside else None


class Reader:
    """Recursive descent over tokens; each method reads one rule and returns an interval."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, ""]
        self.at = 0
        self.depth = 0

    @property
    def _next(self) -> str:
        return self.tokens[self.at]

    def _take(self, *accepted: str) -> str:
        token = self._next
        if accepted and token not in accepted:
            raise UnclearError
        self.at += 1
        return token

    def everything(self) -> Any:
        """The value of all tokens."""
        value = self._sum()
        self._take("")
        return value

    def _enclosed(self, opening: str, closing: str) -> Any:
        self._take(opening)
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise UnclearError
        value = self._sum()
        self.depth -= 1
        self._take(closing)
        return value

    def _sum(self) -> Any:
        value = self._product()
        while self._next in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> Any:
        value = self._signed()
        while self._next in TIMES or self._next in OVER:
            value = value * self._signed() if self._take() in TIMES else self._over(value)
        return value

    def _over(self, value: Any) -> Any:
        return quotient(value, self._signed())

    def _signed(self) -> Any:
        sign = 1
        while self._next in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        return sign * self._juxtaposed()

    def _juxtaposed(self) -> Any:
        """Factors without a sign between them: these bind tighter than a written product."""
        start, value, factors = self.at, self._factor(), 1
        inner_x = False
        while self._starts_factor():
            inner_x = inner_x or (factors > 1 and self._is_x(start))
            start = self.at
            value = value * self._factor()
            factors += 1
        if inner_x:
            raise UnclearError
        return value

    def _is_x(self, start: int) -> bool:
        """Whether the factor read from `start` is a bare `x`: sympy may take it for a times sign."""
        return "".join(self.tokens[start : self.at]).strip("{}()") == "x"

    def _starts_factor(self) -> bool:
        token = self._next
        command = token.startswith("\\") and token not in TIMES and token not in OVER
        return command or token.isalnum() or token in ("(", "{")

    def _factor(self) -> Any:
        value = self._primary()
        while self._next == "^":
            self._take()
            exponent = self._enclosed("{", "}") if self._next == "{" else self._atom()
            value = power(value, exponent)
        return value

    def _primary(self) -> Any:
        if self._next == "(":
            return self._enclosed("(", ")")
        if self._next == "{":
            return self._enclosed("{", "}")
        if self._next in FRACTIONS:
            self._take()
            above = self._enclosed("{", "}")
            return quotient(above, self._enclosed("{", "}"))
        if self._next == r"\sqrt":
            self._take()
            return power(self._enclosed("{", "}"), intervals().mpf("0.5"))
        return self._atom()

    def _atom(self) -> Any:
        name = self._take()
        if name.isdigit():
            return intervals().mpf(int(name))
        if not (name in SYMBOLS or name.isalpha()) or self._next == "(":
            raise UnclearError  # `f(` is a function
        if name == "d" and self._next[-1:].isalpha():
            raise UnclearError  # `dx` is a differential
        return letter(name)


@lru_cache(maxsize=128)
def letter(name: str) -> Any:
    """The number a letter stands for: positive, no integer, its own for each single one."""
    code = sum(ord(character) * 131**place for place, character in enumerate(name.strip("\\")))
    return 1 + intervals().mpf(code * 7919 % 104729) / 65537


def quotient(above: Any, below: Any) -> Any:
    """`above / below` where zero is not among the values of `below`."""
    if below.a <= 0 <= below.b:
        raise UnclearError
    return above / below


def power(base: Any, exponent: Any) -> Any:
    """`base ** exponent`, the real principal value, for exponents of moderate size."""
    if not (exponent.a > -LARGEST_EXPONENT and exponent.b < LARGEST_EXPONENT):
        raise UnclearError
    if exponent.a == exponent.b and exponent.a == int(exponent.a):
        whole = int(exponent.a)
        if whole < 0 and base.a <= 0 <= base.b:
            raise UnclearError
        return base**whole
    if base.a <= 0:
        raise UnclearError
    return intervals().exp(exponent * intervals().log(base))
