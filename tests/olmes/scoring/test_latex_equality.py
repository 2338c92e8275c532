"""The fast ways to equality of LaTeX answers give what parsing and simplifying give."""

from __future__ import annotations

import time

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.parsing.latex import parse_latex

from olmes.scoring.latex import (
    bounds as latex_bounds,
)
from olmes.scoring.latex import (
    equality as latex,
)
from olmes.scoring.latex import (
    parser as latex_parser,
)
from olmes.scoring.latex import (
    point as latex_point,
)
from olmes.scoring.latex import (
    size as latex_size,
)

GOLDS = [
    "5", "-3", "0.75", "01", r"\frac{11}{7}", r"2\sqrt{3}", r"14+7\sqrt{2}", "x^2-4x+3", "(x-3)(x-1)",
    r"\frac{9\pi}{2}", r"\tan^2(y)+1", "1,-3", "(4,5)", r"\le(1,2\right)", "[2,5)", "2112_6", "even",
    r"\begin{pmatrix}1\2\end{pmatrix}", r"\log_23", "-cos2t", "11:21",
]  # fmt: skip
ANSWERS = [
    *GOLDS, "5.0", "4+1", "1", "2", "-x^2", "3/4", "0.750", r"\frac{22}{14}", r"\sqrt{12}", "x^2",
    r"7(2+\sqrt{2})", "(1-x)(3-x)", r"4.5\pi", r"\sec^2(y)", "2112_6+1", "enev", "1/0", "", "x=", "{5",
    "5}", "5.", r"\approx5", "--5", "2x3", "f(5)", r"\frac{d}{dx}x", "3<5", "dx", "14+7√2", "²",
]  # fmt: skip


def equal_by_sympy(left: str, right: str) -> bool:
    """The reference's procedure, written plainly and without its time limit."""
    try:
        difference = parse_latex(left) - parse_latex(right)
        return bool(sympy.simplify(difference) == 0)
    except Exception:
        return False


def test_pairs_are_judged_as_sympy_judges_them() -> None:
    for place, gold in enumerate(GOLDS):
        for answer in {gold, *ANSWERS[place % 3 :: 3]}:
            assert latex.equal(answer, gold) == equal_by_sympy(answer, gold), (answer, gold)


def test_what_sympy_reads() -> None:
    for text in {*GOLDS, *ANSWERS}:
        try:
            expected = parse_latex(text)
        except Exception:
            assert latex.parsed(text) is None
        else:
            assert latex.parsed(text) == expected


def test_matrix_delimiters_are_not_checked_first() -> None:
    # sympy 1.14 refuses this, sympy 1.13.3 (the reference) reads it as a product of letters.
    broken = r"\begin{pmatrix11\-36\end{pmatrix}}"
    whole = r"\begin{pmatrix}11\-36\end{pmatrix}"
    assert latex.equal(broken, whole)


letters = st.sampled_from([*"12", "10", "7", *"xyabdein", r"\pi", r"\theta"])
expressions = st.recursive(
    letters,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "", "/", r"\cdot", ":"]), inner).map("".join),
        inner.map("-{}".format),
        inner.map("({})".format),
        inner.map(r"\sqrt{{{}}}".format),
        st.tuples(inner, inner).map(lambda pair: r"\frac{{{}}}{{{}}}".format(*pair)),
        st.tuples(inner, inner).map(lambda pair: "{}^{{{}}}".format(*pair)),
    ),
    max_leaves=8,
)


@given(expressions)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_bounds_hold_what_sympy_reads(text: str) -> None:
    bounds, read = latex_bounds.bounds(text), latex.parsed(text)
    if bounds is None or read is None:
        return
    try:
        value = latex_point.enclosure(read)
    except latex_bounds.UnclearError:
        return
    assert not bounds.b < value.a
    assert not value.b < bounds.a


@given(expressions, expressions)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_disjoint_answers_are_unequal(left: str, right: str) -> None:
    read = [latex.parsed(text) for text in (left, right)]
    if all(map(latex_size.moderate, filter(None, read))) and latex_bounds.disjoint(left, right):
        assert not equal_by_sympy(left, right)


def test_most_answers_have_bounds() -> None:
    covered = ["5", "-3.25", r"\frac{11}{7}", r"2\sqrt{3}", "x^2-4x+3", r"\frac{9\pi}{2}", "even"]
    assert all(latex_bounds.bounds(text) is not None for text in covered)
    read_otherwise = ["2x3", "f(x)", "dx", "1,2", "x'", "5!", "1/0", r"\sqrt{-1}", "9^{9^{9^9}}"]
    assert all(latex_bounds.bounds(text) is None for text in read_otherwise)


@pytest.mark.parametrize("text", ["0", "7", "-12", "3.50", r"\frac{3}{4}", r"-\frac{10}{7}"])
def test_plain_numbers_equal_themselves(text: str) -> None:
    assert latex.PLAIN.fullmatch(text)
    assert equal_by_sympy(text, text)


@pytest.mark.parametrize(
    "text", ["3^{2007}", r"\frac{1}{2004!}", r"\begin{pmatrix}11\-4\end{pmatrix}"]
)
def test_golds_that_sympy_reads_equal_themselves(text: str) -> None:
    assert latex.equal(text, text)


@pytest.mark.parametrize("text", ["01", "007.5", r"\frac{1}{0}", ".5", "1,000"])
def test_other_numbers_are_not_plain(text: str) -> None:
    assert not latex.PLAIN.fullmatch(text)


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9^9}}", "9^9^9^9^9", "-9^{99999999}", "(9^{99999})^{99999}", "(10^9)!", "9!!!!!!",
        r"\binom{999999999}{499999999}", "(x+y+z)^{9999}", "9" * 5000, "1" + "+1" * 2000, "x" * 5000,
        "(" * 5000, "|x+" * 30 + "1" + "|" * 30, "f(" * 60 + "1" + ")" * 60, r"\frac" * 1000,
        r"9^{x}|_{x-99999999}", "__import__('os').system('x')", "\0", "\ud800", "{" * 1_000_000,
    ],
)  # fmt: skip
def test_hostile_answers_are_unequal_soon(text: str) -> None:
    latex.equal("x+1", "1+x")
    started = time.perf_counter()
    assert not latex.equal(text, "x+5")
    # Under two seconds on an idle machine.
    assert time.perf_counter() - started < 10


def test_a_readable_beginning_is_read_however_long_the_rest() -> None:
    assert latex.equal("5_" + "x" * 5000, "5")
    assert latex.parsed("x" * 5000) is None
    assert latex_parser.within_limits("|" * 50) == "|" * latex_parser.MOST_BRANCHES


def test_the_largest_golds_are_moderate() -> None:
    for text in ("3^{2007}", r"\frac{1}{2004!}", r"2\cdot1999^{-1}", "x^{2010}"):
        assert latex_size.moderate(latex.parsed(text))
    assert not latex_size.moderate(latex.parsed("(10^9)!"))


def test_sums_and_products_are_bounded_without_sympy() -> None:
    """What the bounds cannot read is left to sympy, which is slow: these they must read."""
    for text, value in (
        (r"1+2", 3),
        (r"10-4-3", 3),
        (r"-\frac{1}{2}+1", 0.5),
    ):
        found = latex_bounds.bounds(text)
        assert found is not None, text
        assert float(found.a) <= value <= float(found.b), text
