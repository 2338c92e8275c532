"""The honest judgement of mathematical answers: the library's own cases, and what it gets wrong."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest

from olmes.scoring.latex import mathverify


def test_the_librarys_own_cases(shared_data: Path) -> None:
    path = shared_data / "math/outputs/math_verify_cases.every3rd.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        cases = [json.loads(line) for line in stream]
    judged = [case for case in cases if case.get("expected") in (0, 1)]
    assert len(judged) == 85
    wrong = {
        (case["gold"], case["pred"])
        for case in judged
        if mathverify.verified(case["gold"], case["pred"]) != bool(case["expected"])
    }
    assert wrong == {
        # A gold answer is LaTeX here, in which a comma is no decimal point.
        ("1,22", "1.22"),
        # True only with options that the library has switched off by default.
        (r"$x \in [-2,7]$", r"$-2 \\le x \\le 7$"),
        ("$f(x)$", "$f(y)$"),
    }


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("5", r"so \boxed{5}"),
        ("5", "The answer is 5."),
        ("5", "5"),
        (r"\frac12", "Final Answer: The final answer is 0.5. I hope it is correct."),
        (r"\frac{11}{7}", r"Final Answer: The final answer is \frac{11}{7}. I hope it is correct."),
        ("(4,5)", r"we get $\left(4, 5\right)$."),
        ("[2,5)", r"\boxed{[2,5)}."),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"$\boxed{\begin{bmatrix}1\\2\end{bmatrix}}$"),
        ("1,-3", r"$\boxed{-3, 1}$"),
        ("3", r"$\boxed{x=3}$"),
        (r"17,\!280", r"$\boxed{17{,}280}$"),
        (r"17,\!280", r"$\boxed{x = 17\,280}$"),
        ("10000", r"\boxed{10,000}"),
        (r"198\%", r"\boxed{198}"),
        (r"90^\circ", r"\boxed{90}"),
        (r"\$18.90", r"\boxed{18.9}"),
        (r"\text{Saturday}", r"\boxed{saturday}"),
        (r"\frac\pi4+2", r"$\boxed{\frac{\pi}{4}+2}$"),
        (r"\frac{1}{2}", r"Hence \fbox{\frac{1}{2}}"),
        (r"\frac{3}{4}", r"$\boxed{\textbf{\frac{3}{4}}}$"),
        ("7", r"$\boxed{7.}$"),
        ("7", r"\boxed 7$"),
        ("2,-3,4", r"\boxed{12345} then \boxed{2, -3, 4}"),
        (r"\frac{155}{2}", r"$\boxed{77\frac{1}{2}}$"),
        (r"\frac13", r"$\boxed{0.333333}$"),
        ("204_5", r"$\boxed{204_5}$"),
        ("204_5", r"$\boxed{204}$"),
    ],
)
def test_right_answers(gold: str, response: str) -> None:
    assert mathverify.verified(gold, response)


@pytest.mark.parametrize(
    ("gold", "response"),
    [
        ("1,-3", r"\boxed{1}"),
        ("2,-3,4", r"\boxed{2,-3}"),
        ("x=5", r"\boxed{-x=5}"),
        ("5", r"\boxed{5} Final Answer: The final answer is $6$. I hope it is correct."),
        ("5", r"\boxed{5} then \boxed{6}"),
        ("204_5", r"$\boxed{204_6}$"),
        (r"\frac\pi4+2", r"$\boxed{\frac\pi4+3}$"),
        (r"\frac \pi4 + 2 - \sqrt2", r"$\frac \pi4 + 2 - \sqrt2+1$"),
        ("(4,5)", r"\boxed{(5,4)}"),
        ("(3,-2)", r"\boxed{(5,1)}"),
        ("[2,5)", r"\boxed{(2,5)}"),
        (r"\frac13", r"\boxed{0.33}"),
        ("5", r"\boxed{-5}"),
        (r"\text{A}", r"\boxed{\text{B}}"),
        ("x^2", r"\boxed{x^3}"),
        ("1", r"\boxed{\int_0^1 2x dx}"),
        ("5", ""),
        ("5", "I do not know."),
    ],
)
def test_wrong_answers(gold: str, response: str) -> None:
    assert not mathverify.verified(gold, response)


@pytest.mark.parametrize(
    "response",
    [
        "9**9**9**9", "9^9^9^9", r"\boxed{9^{9^{9^9}}}", r"$-9^{99999999}$", r"\boxed{99999999!}",
        r"$\binom{999999999}{499999999}$", r"$\sum_{n=1}^{10^9}\frac{1}{n^2+1}$",
        r"$\begin{pmatrix}1&2\\3&4\end{pmatrix}^{99999999}$", "[" * 1_000_000, "$" + "(" * 3000 + "$",
        r"\boxed{" + "(" * 1_000_000 + "}", "Final Answer: The final answer is " * 30_000, "$" * 9000,
        "9" * 1_000_000, "1," * 200_000, "\0", "\ud800 7", "answer is " * 5000, r"\boxed{\ud800}",
        r"\boxed{9^{x}|_{x=99999999}}",
    ],
)  # fmt: skip
def test_hostile_responses_are_wrong_soon(response: str) -> None:
    mathverify.verified("x+1", "1+x")
    started = time.perf_counter()
    assert not mathverify.verified("x+5", response)
    # Under two seconds on an idle machine.
    assert time.perf_counter() - started < 10


def test_nothing_a_model_wrote_is_executed(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = f"__import__('pathlib').Path('{canary}').touch()"
    for text in (code, f"${code}$", rf"\boxed{{{code}}}", f"answer: {code}", f"1+{code}*2"):
        mathverify.verified("5", text)
        mathverify.verified(text, "5")
    assert not canary.exists()
