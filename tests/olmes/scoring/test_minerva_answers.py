"""Finding and normalising answers as the Minerva protocol does, in linear time."""

from __future__ import annotations

import time

import pytest

from olmes.scoring.latex import hendrycks, minerva

CLOSED = "Final Answer: The final answer is $5$. I hope it is correct."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (CLOSED, "$5$"),
        ("So.\n" + CLOSED + "\nMore.", "$5$"),
        ("Final Answer: The final answer is 5", None),
        # The words that generation may have been cut before are put after every response.
        ("Final Answer: The final answer is 5. ", "5"),
        ("Final Answer: The final answer is\n5. I hope it is correct.", None),
        ("Final Answer: The final answer is 5? I hope it is correct!", "5"),
        (CLOSED + "\n" + CLOSED.replace("5", "6"), "$5$"),
        ("final answer: the final answer is 5. I hope it is correct.", None),
        ("", None),
    ],
)
def test_closing_line(text: str, answer: str | None) -> None:
    assert minerva.minerva_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} or $\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (r"so \boxed 7$ and", "7"),
        (r"\boxed{3} \boxed 7 and more", "7 and more"),
        (r"\boxed{\frac{1}{2}", None),
        (r"\fbox{4}", None),
        (r"\boxed{4} \fbox{5}", "4"),
        (r"\boxed", None),
        (r"\boxed5", None),
        ("none", None),
    ],
)
def test_last_box(text: str, answer: str | None) -> None:
    assert minerva.boxed_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [("$a$ and $b$", "b"), ("$1 $2", "1 "), ("costs $5", None), ("$$x$$", "")],
)
def test_last_dollars(text: str, answer: str | None) -> None:
    assert minerva.between_dollars(text) == answer


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("x = 5", "5"),
        ("$3$ or $4$", "3"),
        (r"1{,}000", "1000"),
        ("1,000", "1000"),
        ("0,1", "01"),
        ("1,-3", "1,-3"),
        (r"\frac12", r"\frac{1}{2}"),
        (r"\sqrt3", r"\sqrt{3}"),
        (r"\frac \pi4", r"\frac{\}{p}i4"),
        (r"\left(1,2\right)", r"\le(1,2\right)"),
        (r"(-\infty,3)", r"(-\iny,3)"),
        (r"45^\circ", "45"),
        (r"90\text{ square" + "\n" + "units}", "90"),
        (r"\text{Monday}", "Monday"),
        (r"\mbox{12 cm}", "12"),
        (r"\$\textbf{7}", "7"),
        (r"\overline{AB}", "AB"),
        ("a dozen", "dozen"),
        ("5.$", "5"),
        (r"\boxed{9}", "9"),
        (r"5\%", r"5\%"),
        ("", ""),
    ],
)
def test_normal_form(answer: str, normal: str) -> None:
    assert minerva.normalized(answer) == normal


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1/2", r"\frac12", True),
        ("0.5", r"\tfrac{1}{2}", True),
        ("-1/2", r"\frac{-1}{2}", True),
        (".5", "0.5", True),
        ("x=3", "3", True),
        ("abc=3", "3", False),
        (r"5\text{ cm}", "5", True),
        (r"50\%", "50", True),
        (r"\left(1, 2\right)", "(1,2)", True),
        (r"\sqrt2", r"\sqrt{2}", True),
        (r"90^{\circ}", "90", True),
        ("2/4", "1/2", False),
        ("10 000", "10000", True),
        ("01", "1", False),
        ("", "", True),
        # Where the reference raises, it compares the strings as they are.
        ("x/2", "x/2", True),
        ("x/2", "x /2", False),
        (r"\frac", r"\frac", True),
        (r"\sqrt", r"\sqrt{}", False),
        (r"1\text{ a}\text{ b}", "1", False),
        ("9" * 5000 + "/2", "1/2", False),
    ],
)
def test_string_equality(left: str, right: str, same: bool) -> None:
    assert hendrycks.equal(left, right) is same
    assert hendrycks.equal(right, left) is same


@pytest.mark.parametrize(
    "piece",
    [r"\text{", r"\boxed{", "$", minerva.LINE, "{", "\n", r"\frac", r"\sqrt", "a ", "\0", "\ud800"],
)
def test_a_megabyte_takes_no_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    normal = minerva.normalized(text)
    minerva.minerva_answer(text)
    minerva.boxed_answer(text)
    hendrycks.equal(normal, "5")
    # Two seconds on a slow machine; the reference's regular expressions take days.
    assert time.perf_counter() - started < 10
