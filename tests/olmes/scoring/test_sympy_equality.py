"""Equality as `sympy.parse_expr` and `.equals` decide it, without letting them near hostile text.

Sympy itself is asked here, about texts this file writes.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import sympy

from olmes.scoring.expressions.expression import UnreadableExpressionError, parse
from olmes.scoring.expressions.sympy_equality import compare
from olmes.scoring.expressions.value import NoValueError, same_function, value


def sympy_says(gold: str, answer: str) -> bool:
    """The reference's decision (docs/protocol.md, section 4.4), at a fixed point, not a random one."""
    if gold.lower() == answer.lower():
        return True
    try:
        wanted, found = sympy.parse_expr(gold), sympy.parse_expr(answer)
    except Exception:  # the protocol: whatever sympy raises, the answer is wrong
        return False
    if not (isinstance(wanted, sympy.Expr) and isinstance(found, sympy.Expr)):
        return bool(wanted == found)
    if wanted.free_symbols != found.free_symbols:
        return False
    point = dict(zip(sorted(wanted.free_symbols, key=str), (0.5488, 0.7152, 0.6028), strict=False))
    try:
        left, right = complex(wanted.subs(point)), complex(found.subs(point))
    except TypeError:  # of an unknown function, say
        return False
    close = abs(left - right) <= 1e-8 + 1e-5 * abs(right)
    return close and bool(wanted.equals(found))


# (gold, answer): what the text of an answer may look like and what sympy makes of it.
WRITTEN = [
    *(("5", text) for text in ("5.0", "5.", "+5", "--5", "10/2", "4+1", "05", "5,", "(5)", "5e0")),
    *(("5", text) for text in ("5!", "5 # five", "5%", "5 units", "x = 5", "0b101", "0x5", "[5]")),
    *(("5", text) for text in ("0 or 5", "2 and 5", "5 and 2", "5 or 6", "'5'", "0x + 5", "five")),
    *(("5", text) for text in ("x - x + 5", "0*x + 5", "6^3", "11//2", "12%7", "abs(-5)", "5j")),
    *(("5", text) for text in ("sqrt(25)", "25**(1/2)", "Max(5, 2)", "gcd(10, 15)", "x(5)", "5 5")),
    *(("5", text) for text in ("S(5)", "Integer(5)", "floor(11/2)", "log(E**5)", "-5", "")),
    *(
        ("1", text)
        for text in ("True", "1!", "0!", "x**0", "2-1", "1_0/1_0", "-1*-1", "E/E", "1/0")
    ),
    *(("0", text) for text in ("False", "-0", "00", "0!", "1 and 0", "0**1", "sin(0)", "1-1.0")),
    *(("0", text) for text in ("sqrt(x - x)", "(0/x)**0 - 1", "x**0 - 1", "0*I")),
    *(("6", text) for text in ("3!", "3! ", "(2+1)!", "3!!", "6!", "2*3!", "3!/1", "-3!")),
    *(("1000", text) for text in ("1e3", "1E3", "10**3", "1,000", "1_000", "1000.000", "0.1e4")),
    *(("-2/7", text) for text in ("-4/14", "2/-7", "-(2/7)", "Rational(-2, 7)", "-0.2857142857")),
    *(("0.06", text) for text in (".06", "6e-2", "3/50", "0.060", "0.06000001", "6/100", "0,06")),
    *(("8, 14", text) for text in ("8,14", "(8, 14)", "[8, 14]", "{8, 14}", "14, 8", "8.0, 14")),
    *(
        ("8, 14", text)
        for text in ("8, 14,", "(8), (14)", "16/2, 14", "8 and 14", "8; 14", "8, 14!")
    ),
    *(("1/2, x", text) for text in ("0.5, x", "2/4, x", "1/2, y", "x, 1/2", "1/2, 1*x", "1/2")),
    *(("0.5, x", text) for text in ("1/2, x", "0.50, x", ".5, x", "5e-1, x", "0.5, x, x")),
    *(("2*(k - 7)**2", text) for text in ("2*k**2 - 28*k + 98", "2*(7-k)**2", "2(k-7)**2", "k")),
    *(("2*(k - 7)**2", text) for text in ("2*(k-7)^2", "2*(K - 7)**2", "2*(z - 7)**2", "4*k")),
    *(("2*(k - 7)**2", text) for text in ("2.0*(k - 7)**2", "(k - 7)**2 + (k-7)*(k-7)")),
    *(("x**2", text) for text in ("x*x", "x**2.0", "x**3/x", "x^2", "x**2 + 0*y", "x**2!", "x²")),
    *(
        ("sqrt(2)/2", text)
        for text in ("1/sqrt(2)", "2**(-1/2)", "sqrt(1/2)", "0.70710678", "√2/2")
    ),
    *(("b**(1/6)", text) for text in ("b**(1/3)*b**(-1/6)", "sqrt(b**(1/3))", "root(b, 6)", "b")),
    *(("b**(-17/4)", text) for text in ("b**(-4.25)", "b**(-4.2500001)", "b**-4.25", "b**4.25")),
    *(("b**(17/4)", text) for text in ("b**4.25", "b**4*b**(1/4)", "b**(4+1/4)", "b**4.3")),
    *(("b", text) for text in ("sqrt(b**2)", "(b**3)**(1/3)", "b**1", "b**2/b", "abs(b)", "B")),
    *(("-5*x - 6", text) for text in ("-6 - 5*x", "-(5*x + 6)", "-5x - 6", "-5*x-6.0", "-5*y - 6")),
    ("a", "a or b"),
    ("True", "yes"),
    ("False", "NO"),
    ("True", "1"),
    ("7:05 PM", "7:05 pm"),
    ("7:05 PM", "07:05 PM"),
    ("1f9f", "1F9F"),
    ("2e3", "2000"),
]


@pytest.mark.parametrize(("gold", "answer"), WRITTEN)
def test_decides_as_sympy(gold: str, answer: str) -> None:
    if gold in ("True", "False"):  # no sympy here: the protocol compares words
        expected = answer.lower() in ({"True": ("true", "yes")}.get(gold, ("false", "no")))
    else:
        expected = sympy_says(gold, answer)
    assert compare(gold, answer).equal == expected


# The last table of docs/deepmind-math-agreement.md's first part: gold, answer, sympy, here.
DIFFERENT = [
    ("0.3", "0.1 + 0.2", False, True),
    ("1/11", "0.09090909090909091", True, False),
    ("sqrt(7)", "sqrt(7.0)", False, True),
    ("0", "x == 5", True, False),
]


@pytest.mark.parametrize(("gold", "answer", "theirs", "ours"), DIFFERENT)
def test_differences_are_the_documented_ones(
    gold: str, answer: str, theirs: bool, ours: bool
) -> None:
    assert (sympy_says(gold, answer), compare(gold, answer).equal) == (theirs, ours)


def generated(random_: random.Random, depth: int = 3) -> str:
    """An expression without decimals."""
    kind = random_.random()
    if depth == 0 or kind < 0.25:
        return random_.choice(("x", "x", "2", "7", "1/3", "sqrt(5)", "12", "3!", "(-4)"))
    inner = generated(random_, depth - 1)
    if kind < 0.7:
        return f"{inner} {random_.choice('+-*/')} {generated(random_, depth - 1)}"
    if kind < 0.85:
        return f"({inner})**{random_.choice(('2', '3', '(1/3)', '-1'))}"
    return random_.choice((f"({inner})", f"-{inner}", f"sqrt({inner})"))


@pytest.mark.parametrize("seed", range(12))
def test_decides_as_sympy_on_generated_expressions(seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(15):
        text = generated(random_)
        gold = sympy.parse_expr(text)
        if gold.has(sympy.zoo, sympy.nan) or not gold.free_symbols:
            continue
        other = random_.choice((sympy.expand, sympy.factor, sympy.together, lambda it: it + 1))
        for answer in (text, str(other(gold)), generated(random_)):
            assert compare(str(gold), answer).equal == sympy_says(str(gold), answer), (gold, answer)


def test_two_runs_decide_alike() -> None:
    pairs = [("(x + 1)**2", "x**2 + 2*x + 1"), ("sqrt(x)", "x**(1/2)"), ("x", "x + 10**-9")]
    parse.cache_clear()
    assert [compare(*pair).equal for pair in pairs] == [True, True, False]


HOSTILE = {
    "import": "__import__('os').system('touch {path}')",
    "attribute": "().__class__.__bases__[0].__subclasses__()",
    "lambda": "(lambda: 0)()",
    "comprehension": "[x for x in range(10**9)]",
    "walrus": "(x := 5)",
    "f-string": "f'{{open(1)}}'",
    "function of the builtins": "eval(5)",
    "power tower": "9**9**9**9",
    "power": "9**999999999",
    "negative power": "2**-999999999",
    "power of a letter": "x**9**9**9",
    "factorial": "13604000!",
    "factorials": "9!!!!!!!!",
    "binomial": "binomial(10**9, 10**8)",
    "exponentials": "exp(exp(exp(exp(9))))",
    "sine of much": "sin(10**999)",
    "decimal": "1e999999999",
    "brackets": "(" * 1_000_000,
    "closed brackets": "(" * 400 + "5" + ")" * 400,
    "minus signs": "-" * 900 + "5",
    "digits": "9" * 1_000_000,
    "some digits": "9" * 999,
    "letters": "x" * 1_000_000,
    "NUL": "5\0",
    "lone surrogate": "\ud8005",
    "other digits": "\u0665",
    "newline": "5\n+1",
    "division by zero": "5/(1-1)",
    "zero to a negative power": "0**-1",
    "tuple times number": "(5,)*10**9",
    "call of a number": "5(5)",
    "keyword argument": "Max(5, key=5)",
    "string": "'5'*10**9",
}


@pytest.mark.parametrize("gold", ["5", "x**2", "1, 2", "b**(-4438/45)"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_wrong_at_once(name: str, gold: str, tmp_path: Path) -> None:
    target = tmp_path / "touched"
    text = HOSTILE[name].replace("{path}", str(target))
    parse.cache_clear()
    start = time.process_time()
    found = compare(gold, text)
    assert time.process_time() - start < 5  # anything but linear takes minutes
    assert not found.equal
    assert not target.exists()


@pytest.mark.parametrize(
    "text", ["x.y", "x[0]", "x if y else z", "x < y", "not x", "*x", "x; y", "x:"]
)
def test_what_is_not_on_the_list_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableExpressionError):
        parse(text)


def test_values_are_exact() -> None:
    assert value(parse("1/3 + 1/6"), {}) == sympy.Rational(1, 2)
    assert not same_function(parse("1/3"), parse("0.3333333333333333333333333333333333333333333"))
    assert same_function(parse("w**(-9956/5)"), parse("1/w**(9956/5)"))
    assert not same_function(parse("w**(-9956/5)"), parse("w**(-9956/5) + 1/3"))


@pytest.mark.parametrize(
    "text", ["1/0", "x, y", "9**9**9", "1001!", "log(0)", "gcd(1/2, 3)", "sqrt()"]
)
def test_what_has_no_value_says_so(text: str) -> None:
    with pytest.raises(NoValueError):
        value(parse(text), {"x": 1, "y": 1})
