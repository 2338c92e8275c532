r"""Whether an answer is the gold one: both read by `shapes`, and compared exactly.

A number must be a number: `4 + 1` is not 5, six decimals are not 1/3. Lists have no order, pairs
have one, intervals have ends. An equation is its own multiples, and `x = 5` is 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from olmes.scoring.answers.clause import predicate
from olmes.scoring.expressions.answer_math import THOUSANDS, Form, is_number
from olmes.scoring.expressions.expression import (
    Applied,
    Expression,
    Letter,
    UnreadableExpressionError,
    letters,
)
from olmes.scoring.expressions.implied import read
from olmes.scoring.expressions.kinds import (
    Based,
    Equation,
    Grid,
    Group,
    Shape,
    Union,
    Value,
    Words,
)
from olmes.scoring.expressions.notation import tidied
from olmes.scoring.expressions.shapes import NAME, enclosed, is_interval, members_of, shape
from olmes.scoring.expressions.units import DOLLARS, compatible
from olmes.scoring.expressions.value import (
    NoValueError,
    applied,
    close,
    rational_point,
    same_function,
    value,
)

LOOSE_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:, ?\d{3})+(?!\d)")
LISTS = (("", ""), ("{", "}"), ("[", "]"))
"""Around what has no order; the last only where no interval is meant."""
TRIGONOMETRIC = frozenset(("sin", "cos", "tan"))
LOGARITHMS = frozenset(("log", "ln"))
STEPS = frozenset(("factorial", "factorial2", "binomial", "exp", *TRIGONOMETRIC, *LOGARITHMS))
"""Functions that are worked out in an answer, unless the gold one has them too."""


class Comparison:
    """Compares answers in the light of a question.

    Args:
        form: what an expression must look like, where the question asks for it.
        base: whether the question speaks of a base of numerals.
    """

    def __init__(self, form: Form | None = None, bases: frozenset[int] = frozenset()) -> None:
        self.form = form
        self.bases = bases

    def same(self, gold: Shape, found: Shape) -> bool:
        """Whether `found` is the gold answer."""
        match gold, found:
            case Equation(), Equation():
                return self.same_equation(gold, found)
            case Equation(left=left, right=right), _:
                return bool(NAME.fullmatch(left)) and self.same(shape(right), found)
            case _, Equation():
                return self.same(gold, shape(solved(found)))
            case (Based(), Based() | Value()) | (Value(), Based()):
                return self.same_numeral(gold, found)
            case _, Group(members=given, brackets=("", "")) if not isinstance(gold, Group):
                # The same answer twice: "3/2 or 1.5".
                return all(self.same(gold, each) for each in given)
            case Value(), Value():
                return self.same_value(gold, found)
            case Group(), Group():
                return self.same_group(gold, found)
            case Union(parts=wanted), Union(parts=given):
                return self.match_up(wanted, given)
            case Grid(rows=wanted), Grid(rows=given):
                return len(wanted) == len(given) and all(map(self.in_order, wanted, given))
            case (Words(key=wanted), Words(key=given) | Value(key=given)) | (
                Value(key=wanted),
                Words(key=given),
            ):
                return wanted == given
        return gold == found

    def match_up(self, wanted: tuple[Shape, ...], given: tuple[Shape, ...]) -> bool:
        """Whether each of `given` is another one of `wanted`, in any order."""
        if len(wanted) != len(given):
            return False
        left = list(wanted)
        for each in given:
            at = next((at for at, one in enumerate(left) if self.same(one, each)), None)
            if at is None:
                return False
            del left[at]
        return True

    def in_order(self, wanted: tuple[Shape, ...], given: tuple[Shape, ...]) -> bool:
        """Whether each of `given` is the one of `wanted` in its place."""
        return len(wanted) == len(given) and all(map(self.same, wanted, given))

    def same_group(self, gold: Group, found: Group) -> bool:
        """Whether a list has the gold members, or a pair or interval also their order and ends."""
        if gold.brackets in LISTS[:2]:
            listed = found.brackets in LISTS
            return listed and self.match_up(gold.members, found.members)
        bare = found.brackets in LISTS[:2] and not is_interval(gold)
        return (bare or found.brackets == gold.brackets) and self.in_order(
            gold.members, found.members
        )

    def same_numeral(self, gold: Shape, found: Shape) -> bool:
        """Whether digits are the gold ones, in the gold base where one is given."""
        match gold, found:
            case Based(), Based():
                return gold == found
            case Based(digits=digits), Value(key=words):
                return words.upper() == digits.replace(".", "").upper()
            case Value(key=words), Based(digits=digits, base=base):
                return base in {10, *self.bases} and words.upper() == digits.replace(".", "")
        return False

    def same_value(self, gold: Value, found: Value) -> bool:
        """Whether a number or an expression has the gold value, in the form that is wanted."""
        wanted, given = gold.quantity, found.quantity
        if not compatible(wanted, given):
            return False
        alike = wanted.scale == given.scale and wanted.percent == given.percent
        if alike and gold.expression == found.expression:
            return True
        try:
            if is_number(gold.expression):
                return self.same_number(gold, found)
            if given.percent != wanted.percent or not done(gold.expression, found.expression):
                return False
            if self.form and not self.form(gold.expression, found.expression):
                return False
            return same_function(gold.expression, found.expression, positive=True)
        except NoValueError:
            return False

    def same_number(self, gold: Value, found: Value) -> bool:
        """Whether a number is the gold one; 44% is 44 and 0.44 where the other has no sign."""
        if not is_number(found.expression):
            return False
        wanted = value(gold.expression, {}) * gold.quantity.scale
        given = value(found.expression, {}) * found.quantity.scale
        if gold.quantity.percent == found.quantity.percent:
            return bool(wanted == given)
        if gold.quantity.percent:
            return bool(given in (wanted, wanted / 100))
        # What per cent it is may have been asked for, but nobody asks for 11/7 %.
        return bool(wanted == given / 100 or (wanted == given and not is_fraction(gold.expression)))

    def same_equation(self, gold: Equation, found: Equation) -> bool:
        """Whether two equations say the same: each side, or one as a multiple of the other."""
        if NAME.fullmatch(gold.left) and NAME.fullmatch(found.left):
            return self.same(shape(gold.right), shape(found.right))
        try:
            wanted = Applied("-", (read(gold.left, None), read(gold.right, None)))
            given = Applied("-", (read(found.left, None), read(found.right, None)))
            return proportional(wanted, given)
        except UnreadableExpressionError:
            return bool(NAME.fullmatch(gold.left)) and self.same(
                shape(gold.right), shape(solved(found))
            )
        except (NoValueError, ZeroDivisionError):
            return False


def is_fraction(expression: Expression) -> bool:
    """Whether a number is written as a fraction."""
    return "/" in operations(expression)


def proportional(left: Expression, right: Expression) -> bool:
    """Whether an expression is a constant times another one: tried at three rational points."""
    names = sorted(letters(left) | letters(right))
    points = [rational_point(names, number) for number in range(3)]
    first = value(left, points[0]), value(right, points[0])
    if 0 in first:
        return False
    return all(
        close(
            applied("*", [first[0], value(right, point)]),
            applied("*", [first[1], value(left, point)]),
        )
        for point in points[1:]
    )


def solved(equation: Equation) -> str:
    """The side of an equation that is the answer: of `5 = x` the 5, else the right one."""
    lone = NAME.fullmatch(equation.right) and len(equation.right) == 1
    return equation.left if lone and not NAME.fullmatch(equation.left) else equation.right


def done(gold: Expression, found: Expression) -> bool:
    """Whether nothing is left to work out that the gold answer does not leave either."""
    wanted, given = set(operations(gold)), set(operations(found))
    for family in (TRIGONOMETRIC, LOGARITHMS):
        if wanted & family:
            given -= family
    return not (given & STEPS) - wanted


def operations(expression: Expression) -> Iterator[str]:
    """The operators and functions of an expression."""
    if isinstance(expression, Applied):
        yield expression.operation
        for argument in expression.arguments:
            yield from operations(argument)
    elif isinstance(expression, Letter) and expression.name == "oo":
        yield "oo"


def same_answer(
    gold: str, answer: str, comparison: Comparison | None = None, *, formula: bool = True
) -> bool | None:
    """Whether an answer is the gold one.

    Args:
        gold: the gold answer, as LaTeX.
        answer: the stated one, in whatever notation.
        comparison: what the question asks for.
        formula: whether the answer is a formula and no sentence.

    Returns:
        None where the gold answer cannot be read, and nothing is said.
    """
    comparison = comparison or Comparison()
    wanted = shapes(gold, THOUSANDS)
    if not wanted:
        return None
    for each in shapes(answer, LOOSE_THOUSANDS, formula=formula):
        for one in wanted:
            try:
                if comparison.same(one, each):
                    return True
            except UnreadableExpressionError:
                continue
    return False


@lru_cache(maxsize=4096)
def in_words(gold: str) -> bool:
    """Whether a gold answer is a name, a day or the like, or cannot be read."""
    return all(isinstance(each, Words) for each in shapes(gold, THOUSANDS))


def of_its_kind(stated: str, *, in_words: bool) -> bool:
    """Whether what a response states can be an answer; words can where the gold answer is in words."""
    if in_words or any(not isinstance(each, Words) for each in shapes(stated, THOUSANDS)):
        return True
    last = predicate(stated)
    return last != stated and of_its_kind(last, in_words=False)


@lru_cache(maxsize=4096)
def shapes(text: str, thousands: re.Pattern[str], *, formula: bool = True) -> tuple[Shape, ...]:
    """What a text can be read as: `1,234` is a number, and a list of two.

    Args:
        text: an answer.
        thousands: groups of digits that may be one number.
        formula: as `same_answer` has it.
    """
    try:
        plain = tidied(text, formula=formula, currency=DOLLARS)
    except UnreadableExpressionError:
        return ()
    joined = plain
    inner = enclosed(plain, "([")
    if inner is None or len(members_of(inner)) == 1:
        joined = thousands.sub(lambda found: found[0].replace(",", "").replace(" ", ""), plain)
    found = []
    for reading in dict.fromkeys((plain, joined)):
        with suppress(UnreadableExpressionError):
            found.append(shape(reading))
    return tuple(found)
