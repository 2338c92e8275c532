"""What an expression is worth where its letters have values, and whether two are one function.

Rational numbers stay exact (`Fraction`); everything else is 60 digits of mpmath. Two expressions are
the same function when they agree at three fixed points: two rational ones, where polynomials and
fractions are compared exactly, and for roots and the like one on the unit circle, where branches
differ.
Nothing here grows without bound: a number beyond 10 ** 30,000 has no value.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache, reduce
from math import comb, factorial, floor, gcd, lcm
from typing import Any

from olmes.scoring.expressions.expression import (
    Applied,
    Expression,
    Items,
    Letter,
    Number,
    Truth,
    letters,
)

DIGITS = 60
TOLERANCE_DIGITS = 40
MOST_BITS = 20_000
"""Of an exact numerator or denominator; a larger one continues as a rounded number."""
MOST_MAGNITUDE = 100_000
"""Bits before the point of a rounded number."""
LARGEST_FACTORIAL = 1000
FIELD_OPERATIONS = ("+", "-", "*", "/", "**", "positive", "negative")

Value = Any
"""A `Fraction`, or a real or complex number of mpmath."""


class NoValueError(Exception):
    """An expression has no value: division by zero, a list, or a number out of bounds."""


@lru_cache(maxsize=1)
def numbers() -> Any:
    """Rounded arithmetic, with a precision of its own."""
    from mpmath.ctx_mp import MPContext  # type: ignore[import-untyped]

    context = MPContext()
    context.dps = DIGITS
    return context


def same_function(left: Expression, right: Expression, *, positive: bool = False) -> bool:
    """Whether two expressions have equal values for all values of their letters.

    Decided at three points, so an inequality is certain and an equality is as good as certain. With
    `positive` the letters stand for positive numbers, and `sqrt(x**2)` is `x`.

    Raises:
        NoValueError: one of them has no value at such a point.
    """
    names = sorted(letters(left) | letters(right))
    exact = is_rational(left) and is_rational(right)
    for point in (rational_point(names, 0), rational_point(names, 1)):
        values = value(left, point), value(right, point)
        if not close(*values):
            return False
        exact = exact and all(isinstance(each, Fraction) for each in values)
        if not names:
            return True
    if exact:
        return True
    point = point_near_one(names) if positive else complex_point(names)
    return close(value(left, point), value(right, point))


def is_rational(expression: Expression) -> bool:
    """Whether an expression only adds, multiplies, divides and takes powers."""
    match expression:
        case Applied(operation=operation, arguments=arguments):
            return operation in FIELD_OPERATIONS and all(map(is_rational, arguments))
    return True


def close(left: Value, right: Value) -> bool:
    """Whether two values are equal: exactly, or to 40 digits where one of them is rounded."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    left, right = rounded(left), rounded(right)
    scale = max(1, abs(left), abs(right))
    return bool(abs(left - right) <= scale * numbers().mpf(10) ** -TOLERANCE_DIGITS)


def rational_point(names: list[str], number: int) -> dict[str, Fraction]:
    """Fixed values between 0 and 1 for letters, different ones for every `number`."""
    return {name: Fraction(1 + _digest(name, number) % 499, 503) for name in names}


def point_near_one(names: list[str]) -> dict[str, Value]:
    """Fixed values for letters where the largest power stays small."""
    return {name: 1 + fraction / 10_000 for name, fraction in rational_point(names, 2).items()}


def complex_point(names: list[str]) -> dict[str, Value]:
    """Fixed complex values for letters: on the unit circle, where the largest power stays small."""
    return {
        name: numbers().expjpi(rounded(Fraction(1, 2) + fraction / 2))
        for name, fraction in rational_point(names, 2).items()
    }


def _digest(name: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{number}:{name}".encode()).digest()[:8], "big")


def value(expression: Expression, point: Mapping[str, Value]) -> Value:
    """The value of an expression where each letter has the value `point` gives.

    Raises:
        NoValueError: there is none.
    """
    match expression:
        case Number(value=number):
            return number
        case Letter(name=name):
            return _constant(name) if name in CONSTANTS else point[name]
        case Applied(operation="and" | "or" as word, arguments=arguments):
            return _chosen(word, arguments, point)
        case Applied(operation=operation, arguments=arguments):
            return applied(operation, [value(argument, point) for argument in arguments])
        case Items() | Truth():
            raise NoValueError
    raise NoValueError


def _chosen(word: str, arguments: tuple[Expression, ...], point: Mapping[str, Value]) -> Value:
    """What Python's `and` and `or` yield: one of their operands."""
    found: Value = None
    for argument in arguments:
        found = value(argument, point)
        if bool(found == 0) == (word == "and"):
            return found
    return found


def applied(operation: str, values: list[Value]) -> Value:
    """An operator or a function of values.

    Raises:
        NoValueError: it has no value there, or takes another number of arguments.
    """
    try:
        found = OPERATIONS[operation](*values)
    except (TypeError, ValueError, ArithmeticError, NotImplementedError, KeyError):
        # TypeError: a complex number where a real one is needed, or a missing argument.
        raise NoValueError from None
    return bounded(found)


def bounded(found: Value) -> Value:
    """`found`, rounded where it is too long to stay exact.

    Raises:
        NoValueError: it is infinite, not a number, or out of bounds.
    """
    if isinstance(found, int):
        found = Fraction(found)
    if isinstance(found, Fraction):
        if max(found.numerator.bit_length(), found.denominator.bit_length()) <= MOST_BITS:
            return found
        found = rounded(found)
    if not numbers().isfinite(found) or (found != 0 and numbers().mag(found) > MOST_MAGNITUDE):
        raise NoValueError
    return found


def rounded(found: Value) -> Value:
    """`found` as a number of mpmath."""
    if isinstance(found, Fraction):
        return numbers().mpf(found.numerator) / found.denominator
    return found


def power(base: Value, exponent: Value) -> Value:
    """The principal value of `base ** exponent`; 1 where the exponent is 0, as sympy has it."""
    if exponent == 0:
        return Fraction(1)
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if base in (0, 1) and exponent > 0:
            return base
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent.denominator == 1 and bits * abs(exponent) <= MOST_BITS:
            return base ** int(exponent)
    base, exponent = rounded(base), rounded(exponent)
    if base == 0 and exponent.real > 0:
        return Fraction(0)
    if base == 0 or numbers().mag(exponent) > 40:
        raise NoValueError
    return numbers().power(base, exponent)


def _arithmetic(function: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    def applied_to(left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return function(left, right)
        return function(rounded(left), rounded(right))

    return applied_to


def _whole(number: Value) -> int:
    if isinstance(number, Fraction) and number.denominator == 1:
        return int(number)
    raise NoValueError


def _of_wholes(function: Callable[..., int]) -> Callable[..., int]:
    return lambda *values: function(*map(_whole, values))


def _factorial(number: Value, step: int = 1) -> int:
    whole = _whole(number)
    if not 0 <= whole <= LARGEST_FACTORIAL:
        raise NoValueError
    return factorial(whole) if step == 1 else reduce(operator.mul, range(whole, 0, -step), 1)


def _binomial(number: Value, taken: Value) -> int:
    if max(_whole(number), _whole(taken)) > LARGEST_FACTORIAL:
        raise NoValueError
    return comb(_whole(number), _whole(taken))


def _floor(number: Value) -> Value:
    return Fraction(floor(number)) if isinstance(number, Fraction) else numbers().floor(number)


def _of_mpmath(name: str) -> Callable[[Value], Value]:
    def function(argument: Value) -> Value:
        if argument != 0 and numbers().mag(rounded(argument)) > 40:
            raise NoValueError
        return getattr(numbers(), name)(rounded(argument))

    return function


def _logarithm(argument: Value, *base: Value) -> Value:
    return numbers().log(*map(rounded, (argument, *base)))


def _constant(name: str) -> Value:
    return getattr(numbers(), CONSTANTS[name]) * 1


CONSTANTS = {"E": "e", "I": "j", "pi": "pi"}
_add, _multiply = _arithmetic(operator.add), _arithmetic(operator.mul)
OPERATIONS: dict[str, Callable[..., Value]] = {
    "+": _add,
    "-": _arithmetic(operator.sub),
    "*": _multiply,
    "/": _arithmetic(operator.truediv),
    "//": _arithmetic(operator.floordiv),
    "%": _arithmetic(operator.mod),
    "**": power,
    "^": _of_wholes(operator.xor),
    "positive": operator.pos,
    "negative": operator.neg,
    "sqrt": lambda number: power(number, Fraction(1, 2)),
    "cbrt": lambda number: power(number, Fraction(1, 3)),
    "root": lambda number, degree: power(number, applied("/", [Fraction(1), degree])),
    "exp": _of_mpmath("exp"),
    "log": _logarithm,
    "ln": _logarithm,
    "sin": _of_mpmath("sin"),
    "cos": _of_mpmath("cos"),
    "tan": _of_mpmath("tan"),
    "abs": abs,
    "Abs": abs,
    "factorial": _factorial,
    "factorial2": lambda number: _factorial(number, 2),
    "binomial": _binomial,
    "gcd": _of_wholes(gcd),
    "lcm": _of_wholes(lcm),
    "floor": _floor,
    "ceiling": lambda number: -_floor(-number),
    "Max": max,
    "max": max,
    "Min": min,
    "min": min,
    "pow": power,
    "Pow": power,
    "Add": lambda *terms: reduce(_add, terms, Fraction(0)),
    "Mul": lambda *factors: reduce(_multiply, factors, Fraction(1)),
    "Rational": _arithmetic(operator.truediv),
    "Integer": _floor,
    "Float": operator.pos,
    "S": operator.pos,
}
