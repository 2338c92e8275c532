"""Whether a mathematical answer is the gold one, however it is written.

Every function here takes the gold answer in Python's notation and an answer that `written_math` has
tidied, and is exact: a rounded number is not the number. The work must be done as well: `42 + 1` is
not yet 43, and an expression to be expanded, factored or simplified must be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction

from olmes.scoring.expressions.expression import (
    Applied,
    Expression,
    Letter,
    Number,
    UnreadableExpressionError,
    letters,
    parse,
)
from olmes.scoring.expressions.notation import read
from olmes.scoring.expressions.value import NoValueError, same_function, value

LONGEST_LEFT_SIDE = 80
LARGEST_RADICAND = 10**8
SEPARATOR = re.compile(r"[,;]|\b(?:and|or)\b", re.IGNORECASE)
ORDERED_SEPARATOR = re.compile(r"[,;]|\b(?:and|then)\b|[<>]=?", re.IGNORECASE)
THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)")
CONDITION = re.compile(r",? \b(?:where|assuming)\b.*", re.IGNORECASE)
UNITS = re.compile(r" ?\bunits?$", re.IGNORECASE)
REPEATED = re.compile(
    r"\((?:[^()]*\b(?:multiplicity|double|triple|repeated|twice)\b[^()]*)\)", re.IGNORECASE
)

Form = Callable[[Expression, Expression], bool]
"""`(gold, found) -> bool`: whether the answer has the form that was asked for."""


def same_number(gold: str, answer: str, *, percent: bool = False) -> bool:
    """Whether an answer is one number and the gold one. `percent` lets 25% be 1/4."""
    return bool(number(answer, percent=percent) == value(parse(gold), {}))


def number(answer: str, *, percent: bool = False) -> Fraction | None:
    """The one number an answer is, exactly; None for anything else, such as a sum left standing."""
    text = side(THOUSANDS.sub(lambda found: found[0].replace(",", ""), answer))
    text, scale = UNITS.sub("", text), Fraction(1)
    if percent and text.endswith("%"):
        text, scale = text[:-1].strip(), Fraction(1, 100)
    try:
        expression = read(text)
        found = value(expression, {}) if is_number(expression) else None
    except (UnreadableExpressionError, NoValueError):
        return None
    return found * scale if isinstance(found, Fraction) else None


def is_number(expression: Expression) -> bool:
    """Whether an expression is a number as one writes numbers: 5, -2/7, 0.25, 3*10**8."""
    match expression:
        case Number():
            return True
        case Applied(operation="positive" | "negative", arguments=(inner,)):
            return is_number(inner)
        case Applied(operation="/", arguments=(above, below)):
            return is_whole(above) and is_whole(below)
        case Applied(operation="*", arguments=(times, power)):
            return is_whole(times) and is_power_of_ten(power)
    return is_power_of_ten(expression)


def is_whole(expression: Expression) -> bool:
    """Whether an expression is a number without a fraction, with or without a sign."""
    match expression:
        case Applied(operation="positive" | "negative", arguments=(inner,)):
            return is_whole(inner)
    return isinstance(expression, Number)


def is_power_of_ten(expression: Expression) -> bool:
    """Whether an expression is `10**n`."""
    match expression:
        case Applied(operation="**", arguments=(Number(value=base), exponent)):
            return base == 10 and is_whole(exponent)
    return False


def side(text: str, names: Collection[str] = ()) -> str:
    """The side of an equation that is the answer: of `x = 1/3 ≈ 0.33`, `1/3`.

    What follows a `≈` is a rounding. Of `5 = x` the answer is 5, unless `x` is one of `names`.
    """
    text = CONDITION.sub("", text.partition("≈")[0])
    sides = [part.strip() for part in re.split(r"(?<![<>!=])=(?!=)", text)]
    if len(sides) == 1 or any(len(part) > LONGEST_LEFT_SIDE for part in sides[:-1]):
        return sides[0] if len(sides) == 1 else ""
    last = sides[-1]
    return sides[-2] if re.fullmatch("[a-zA-Z]", last) and last not in names else last


def same_numbers(gold: str, answer: str) -> bool:
    """Whether an answer lists the gold numbers, each once, in any order."""
    wanted = sorted(value(parse(member), {}) for member in gold.split(","))
    answer = REPEATED.sub("", unbracketed(answer))
    for text in (answer, THOUSANDS.sub(lambda found: found[0].replace(",", ""), answer)):
        found = [number(each) for member in members(text, SEPARATOR) for each in signed(member)]
        if None not in found and sorted(filter(lambda one: one is not None, found)) == wanted:  # type: ignore[type-var]
            return True
    return False


def signed(member: str) -> Iterator[str]:
    """Both numbers where one is written with `±`."""
    if "±" in member:
        yield member.replace("±", "-")
        yield member.replace("±", "+")
    else:
        yield member


def same_order(gold: str, answer: str) -> bool:
    """Whether an answer lists the gold numbers and names in the gold order."""
    wanted = [member.strip() for member in gold.split(",")]
    answer = unbracketed(answer)
    for text in (answer, THOUSANDS.sub(lambda found: found[0].replace(",", ""), answer)):
        found = members(text, ORDERED_SEPARATOR)
        if len(found) == len(wanted) and all(map(same_member, wanted, found)):
            return not contradicted(wanted, text)
    return False


def contradicted(members: list[str], text: str) -> bool:
    """Whether the signs between numbers in their order say the opposite: `-2 > 1`."""
    numbers = [Fraction(each) for each in members if re.fullmatch(r"-?\d+(?:\.\d+|/\d+)?", each)]
    rising, falling = "<" in text, ">" in text
    return (rising and numbers != sorted(numbers)) or (
        falling and numbers != sorted(numbers, reverse=True)
    )


def same_member(wanted: str, found: str) -> bool:
    """Whether a member of a list is the wanted number or name; `z = 3` names `z`."""
    if wanted.isalpha():
        return found.partition("=")[0].strip(" ()").lower() == wanted.lower()
    return same_number(wanted, found)


def members(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts of a list, split where no bracket is open. Empty parts at its end are dropped."""
    parts, start, depth = [], 0, 0
    for token in re.finditer(
        rf"(?P<open>[(\[{{])|(?P<close>[)\]}}])|{separator.pattern}", text, re.IGNORECASE
    ):
        depth += bool(token["open"]) - bool(token["close"])
        if depth == 0 and not (token["open"] or token["close"]):
            parts.append(text[start : token.start()].strip())
            start = token.end()
    parts.append(text[start:].strip())
    # "1, 2, and 3" has nothing between a comma and the word.
    return [part for part in parts if part]


def unbracketed(text: str) -> str:
    """A list without a name before it and brackets around it: of `x = {1, 2}`, `1, 2`."""
    found = re.fullmatch(
        r"(?:[a-zA-Z](?: ?\([a-zA-Z]\))? ?(?:=|in|∈) ?)?([(\[{]+)(.*?)([)\]}]+)", text
    )
    if found and len(found[1]) == len(found[3]) and not re.search(r"[()\[\]{}].*,", found[2]):
        return found[2]
    return text


def same_expression(gold: str, answer: str, form: Form | None = None) -> bool:
    """Whether an answer is the gold function of its letters, in the form that was asked for."""
    wanted = parse(gold)
    try:
        found = read(side(answer, letters(wanted)), letters(wanted))
        in_form = form is None or form(wanted, found)
        return in_form and same_function(wanted, found, positive=True)
    except (UnreadableExpressionError, NoValueError):
        return False


def expanded(gold: Expression, found: Expression) -> bool:
    """Whether nothing is left to multiply out or to collect: as many monomials as the gold has."""
    return all(map(is_monomial, terms(found))) and len(terms(found)) <= len(terms(gold))


def factored(gold: Expression, found: Expression) -> bool:
    """Whether a product has as many factors with letters as the gold one, each counted as often."""
    return factors(found) >= factors(gold)


def simplified(gold: Expression, found: Expression) -> bool:
    """Whether each letter stands as seldom as in the gold answer, with hardly more numbers."""
    more_letters = count(found, Letter) - count(gold, Letter)
    return more_letters <= 0 and count(found, Number) - count(gold, Number) <= 2


def surd(gold: Expression, found: Expression) -> bool:
    """Whether roots are drawn and collected: no more numbers than a little over the gold answer's.

    The number under a root has no square factor.
    """
    roots = [part for part in parts(found) if is_root(part)]
    wanted = [part for part in parts(gold) if is_root(part)]
    return (
        len(roots) <= len(wanted)
        and all(map(is_drawn, roots))
        and count(found, Number) - count(gold, Number) <= 2
    )


def is_root(expression: Expression) -> bool:
    """Whether an expression is a root, as a function or as a power."""
    match expression:
        case Applied(operation="sqrt" | "root"):
            return True
        case Applied(operation="**", arguments=(_, exponent)):
            return not isinstance(exponent, Number)
    return False


def is_drawn(root: Expression) -> bool:
    """Whether no square can be drawn out of a root."""
    match root:
        case Applied(arguments=(Number(value=radicand), *_)):
            whole = radicand.numerator
            return whole < LARGEST_RADICAND and all(
                whole % (factor * factor) for factor in range(2, int(whole**0.5) + 1)
            )
    return False


def parts(expression: Expression) -> Iterator[Expression]:
    """The expression and every expression in it."""
    yield expression
    if isinstance(expression, Applied):
        for argument in expression.arguments:
            yield from parts(argument)


def count(expression: Expression, kind: type[Expression]) -> int:
    """How often a number, or a letter, is written in the expression."""
    return sum(isinstance(part, kind) for part in parts(expression))


def terms(expression: Expression) -> list[Expression]:
    """What a sum adds, without signs."""
    match expression:
        case Applied(operation="+" | "-", arguments=arguments):
            return [term for argument in arguments for term in terms(argument)]
        case Applied(operation="positive" | "negative", arguments=(inner,)):
            return terms(inner)
    return [expression]


def is_monomial(expression: Expression) -> bool:
    """Whether an expression is a number times powers of letters."""
    match expression:
        case Number() | Letter() | Applied(operation="**", arguments=(Letter(), Number())):
            return True
        case Applied(operation="*" | "positive" | "negative", arguments=arguments):
            return all(map(is_monomial, arguments))
        case Applied(operation="/", arguments=(above, Number())):
            return is_monomial(above)
    return False


def factors(expression: Expression) -> int:
    """How many factors with letters a product has, powers counted by their exponent."""
    if not letters(expression):
        return 0
    match expression:
        case Applied(operation="*", arguments=(left, right)):
            return factors(left) + factors(right)
        case Applied(operation="positive" | "negative", arguments=(inner,)):
            return factors(inner)
        case Applied(operation="/", arguments=(above, below)) if not letters(below):
            return factors(above)
        case Applied(operation="**", arguments=(base, Number(value=exponent))):
            return factors(base) * int(exponent)
    return 1
