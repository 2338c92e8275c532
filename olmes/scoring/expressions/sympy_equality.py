"""Whether two answers are equal to sympy, as the DeepMind Mathematics protocol decides it.

The reference compares case-insensitively, lets yes and no stand for True and False, and hands the
rest to `sympy.parse_expr` (Python's `eval`): expressions are equal when they have the same letters,
agree at one random point and `.equals()` says so; lists and truth values are compared with `==`
(docs/protocol.md, section 4.4). The same verdicts are had here without evaluating what a model wrote,
without randomness and without sympy: docs/deepmind-math-agreement.md has the argument, the measured
agreement and the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from olmes.scoring.expressions.expression import (
    Applied,
    Expression,
    Items,
    Number,
    Truth,
    UnreadableExpressionError,
    letters,
    parse,
)
from olmes.scoring.expressions.value import NoValueError, same_function, value

WORDS = {"true": ("true", "yes"), "false": ("false", "no")}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether an answer is the gold one."""

    equal: bool
    unread: str = ""
    """Why the answer (or the gold one) is not an expression; empty when both were compared."""


def compare(gold: str, answer: str) -> Comparison:
    """Whether the reference calls `answer` equal to `gold`.

    `unread` is what the reference counts as `answer_parse_error`, and what it would have evaluated
    but nobody should.
    """
    if gold.lower() in WORDS:
        return Comparison(answer.lower() in WORDS[gold.lower()])
    if gold.lower() == answer.lower():
        return Comparison(equal=True)
    try:
        return Comparison(equal_expressions(parse(gold), parse(answer)))
    except UnreadableExpressionError as error:
        return Comparison(equal=False, unread=str(error))


def equal_expressions(gold: Expression, found: Expression) -> bool:
    """Equality of two parsed answers: by value for expressions, by structure for lists."""
    if isinstance(gold, Items | Truth) or isinstance(found, Items | Truth):
        return identical(gold, found)
    if undecided(gold) or undecided(found):
        return False
    try:
        return same_function(gold, found)
    except NoValueError:
        return False


def identical(left: Expression, right: Expression) -> bool:
    """Equality as `==` has it: lists member by member, and 2.0 is not 2."""
    if isinstance(left, Items) and isinstance(right, Items):
        return len(left.members) == len(right.members) and all(
            map(identical, left.members, right.members)
        )
    if isinstance(left, Items) or isinstance(right, Items):
        return False
    # To Python, True is 1 and False is 0.
    left, right = (
        Number(Fraction(each.value)) if isinstance(each, Truth) else each for each in (left, right)
    )
    return decimal(left) == decimal(right) and equal_expressions(left, right)


def undecided(expression: Expression) -> bool:
    """Whether sympy could not tell: to it `x**2.0` is neither `x**2` nor surely another function.

    It can where the exponent is negative.
    """
    match expression:
        case Applied(operation="**", arguments=(base, exponent)) if decimal(exponent):
            return undecided(base) or (bool(letters(base)) and not negative(exponent))
        case Applied(arguments=arguments):
            return any(map(undecided, arguments))
    return False


def negative(expression: Expression) -> bool:
    """Whether an expression is a negative number."""
    try:
        return not letters(expression) and bool(value(expression, {}) < 0)
    except (NoValueError, TypeError):  # TypeError: a complex number
        return False


def decimal(expression: Expression) -> bool:
    """Whether a number in the expression makes it a decimal one, as sympy's `Float` does."""
    match expression:
        case Number(decimal=written):
            return written
        case Applied(arguments=arguments):
            return any(map(decimal, arguments))
    return False
