"""The honest judgement of mathematical answers: kinds of answers, and the library's own cases."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest

from olmes.scoring.latex import honest
from olmes.scoring.latex.minerva import boxed_answer


def test_the_librarys_own_cases(shared_data: Path) -> None:
    path = shared_data / "math/outputs/math_verify_cases.every3rd.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        cases = [json.loads(line) for line in stream]
    judged = [case for case in cases if case.get("expected") in (0, 1)]
    assert len(judged) == 85
    wrong = set()
    for case in judged:
        gold = boxed_answer(case["gold"]) or case["gold"]
        if honest.verified(gold, case["pred"]) != bool(case["expected"]):
            wrong.add((gold[:60], case["pred"][-60:]))
    assert wrong == {
        # A gold answer is LaTeX here, in which a comma is no decimal point.
        ("1,22", "1.22"),
        # The work is not done, or the number is rounded.
        ("$10$", r"Answer \( (9+1) \)"),
        ("$x < 1$", "$-x > -1$"),
        (
            r"$\begin{pmatrix}6 & 8 \\ 10 & 12\end{pmatrix}$",
            r"\ 3 & 4\end{pmatrix} + \begin{pmatrix}5 & 6 \\ 7 & 8\end{pmatrix}$"[-60:],
        ),
        (r"$\frac{1}{12}$", "$0.0833333333333333$"),
        # Letters behind a number are a unit only after a blank: `99m` is a product.
        ("1000.99", "so the number is 10 which is 1,000.99m²"),
        # Two answers to two questions.
        ("$$(3, 3), (1, 1)$$", r"$$\boxed{(3, 3)} \text{ for part (a) and } \boxed{(1, 1)}$$"),
        ("4", "${35 cm,4}$"),
        # A sentence, where the label announces no answer.
        ("$3$", "g Sphere 3 hours ago. I hope it is correct. <|im_start|>user"),
        # True only with an option that the library has switched off by default.
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
        (r"\frac13", r"$\boxed{0.333...}$"),
        ("204_5", r"$\boxed{204_5}$"),
        ("204_5", r"$\boxed{204}$"),
        # Plain text.
        ("(2,4)", "We add.\n\nTherefore, the answer is (2, 4)."),
        (r"(-\infty, 0]", "We add.\n\nTherefore, the answer is (-∞, 0]."),
        (r"[6,\infty)", "The answer is [6, infinity)."),
        (r"(-\infty,-8)\cup (8,\infty)", "The answer is (-infinity, -8) U (8, infinity)."),
        (r"4\sqrt{2}", "The answer is 4√2."),
        (r"4\sqrt{2}", "The answer is 4sqrt(2)."),
        (r"72\pi\sqrt{3}", "The answer is 72pisqrt(3)."),
        (r"8\pi", "The answer is 8 pi."),
        ("5x-3", "The answer is 5x - 3."),
        ("3R^2", "The answer is 3R²."),
        ("4,6,8", "The answer is 4, 6, 8."),
        ("1,3", "The answer is 1 and 3."),
        (r"\text{Monday}", "The answer is Monday."),
        (r"\text{(C)}", "The answer is C."),
        (r"\frac{14}{3}", "We add.\n\nTherefore, the answer is 14/3."),
        (r"\frac{14}{3}", "The answer is **4 2/3**."),
        (r"-\frac{3}{2}", r"$\boxed{-1\frac12}$"),
        (r"\frac{7}{2}", "The answer is 3½."),
        (r"\frac{14}{3}", r"$\boxed{4.\overline{6}}$"),
        ("28", r"$\boxed{２８}$"),
        ("12", "The answer is that there are 12 ways to do so."),
        # Dress.
        ("(2,4)", r"$\boxed{\bigl( 2, 4 \bigr)}$"),
        (r"\left[-\frac12,\frac12\right]", r"$\boxed{\Bigl[-\frac12,\frac12\Bigr]}$"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"$\boxed{\begin{pmatrix}1\\[4pt]2\end{pmatrix}}$"),
        (r"\frac{\sqrt{65}}{2}", r"$\boxed{\boldsymbol{\frac{\sqrt{65}}{2}}}$"),
        (r"\frac{\sqrt{65}}{2}", r"$\boxed{\bm{{\frac{\sqrt{65}}{2}}}}$"),
        ("(3,2)", r"$\boxed{{{(3,2)}}}$"),
        ("-5+4i", r"$\boxed{4\,i-5}$"),
        ("-5+4i", r"$\boxed{-5+4\cdot i}$"),
        (r"\frac{3}{2}+\frac{3}{2}i", r"$\boxed{\frac{3+3i}{2}}$"),
        (r"\frac{3}{2}+\frac{3}{2}i", r"$\boxed{1.5 + 1.5 i}$"),
        (r"\text{C, F, H}", r"$\boxed{C, F, H}$"),
        (r"\text{June 20}", r"$\boxed{June 20th}$"),
        (r"\text{1:03 PM}", r"$\boxed{1:03 \text{ p.m.}}$"),
        (r"45^\circ, 135^\circ", r"$\boxed{45, 135}$"),
        (r"\cos 58^\circ", r"$\boxed{\cos 58\text{ degrees}}$"),
        ("(2,-1,2)", r"$\boxed{\langle 2,-1,2\rangle}$"),
        ("7", r"$\boxed{\textcolor{red}{7}}$"),
        ("7", "The answer is seven."),
        # Units, percent, dollars.
        ("5", r"$\boxed{5 \text{ red marbles}}$"),
        ("5000000", r"$\boxed{5 \text{ million}}$"),
        (r"99\pi \text{ square inches}", r"$\boxed{99\pi \text{ in}^2}$"),
        ("0.54", r"$\boxed{54\%}$"),
        (r"\frac34", r"$\boxed{75\%}$"),
        # What says the same.
        (r"2\sqrt3", r"$\boxed{\sqrt{12}}$"),
        ("(3,4]", r"$\boxed{3 < x \le 4}$"),
        ("y = 2x + 3", r"$\boxed{2x - y + 3 = 0}$"),
        ("y = 2x + 3", r"$\boxed{2x + 3}$"),
        (r"1 \pm \sqrt{19}", r"$\boxed{1+\sqrt{19}, 1-\sqrt{19}}$"),
        (r"\frac{1}{2004!}", r"$\boxed{1/2004!}$"),
        ("x+11", r"$\boxed{11+x}$ or $\boxed{x+11}$"),
        (r"\log_2 3", r"$\boxed{\frac{\log 3}{\log 2}}$"),
        ("2112_6", r"$\boxed{2112_{\text{six}}}$"),
        (r"\sin 2x", r"$\boxed{2 \sin x \cos x}$"),
        # A gold answer that only the library reads.
        (r"\left|x\right|+1", r"$\boxed{1+|x|}$"),
    ],
)
def test_right_answers(gold: str, response: str) -> None:
    assert honest.verified(gold, response)


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
        # What follows is not passed over.
        ("5", r"$\boxed{5 \text{ million}}$"),
        ("5", "The answer is 5 million."),
        ("5", r"$\boxed{\geq 5}$"),
        ("5", r"$\boxed{5\text{ feet }6\text{ inches}}$"),
        ("5", r"$\boxed{5 \text{ or more}}$"),
        ("5", r"$\boxed{\text{at least } 5}$"),
        ("5", "The answer is at least 5."),
        ("5", r"$\boxed{5 \mod 7}$"),
        ("5", r"$\boxed{5, \ldots}$"),
        ("5", r"$\boxed{5!}$"),
        ("5", r"$\boxed{[0, 5]}$"),
        ("402", r"$\boxed{[0,402]}$"),
        ("2", "The answer is 2√2."),
        ("9", "The answer is 9π."),
        ("4", r"$\boxed{4\sqrt(2)}$"),
        ("3", r"$\boxed{3½}$"),
        ("37", r"$\boxed{37i}$"),
        (r"15\text{ cm}^2", r"$\boxed{15\text{ cm}^3}$"),
        (r"5.4\text{ cents}", r"$\boxed{\$5.4}$"),
        (r"9\text{ a.m.}", r"$\boxed{9\text{ p.m.}}$"),
        # Exact values stay exact.
        (r"\frac{1}{2004!}", r"$\boxed{\frac{1}{2006!}}$"),
        (r"\frac{1}{2004!}", r"$\boxed{-\frac{1}{2004!}}$"),
        (r"\frac{1}{2004!}", r"$\boxed{0.0}$"),
        (r"\frac{4036082}{4036081}", r"$\boxed{1.00}$"),
        (r"\frac13", r"$\boxed{0.333333}$"),
        (r"\pi", r"$\boxed{3.141593}$"),
        (r"\cos 13^\circ", r"$\boxed{\cos 13}$"),
        # The work must be done.
        ("5", r"$\boxed{4+1}$"),
        ("8", r"$\boxed{2^3}$"),
        ("5", r"$\boxed{\sqrt{25}}$"),
        ("28", r"$\boxed{\binom{8}{6}}$"),
        (r"\frac{\sqrt3}{2}", r"$\boxed{\sin 60^\circ}$"),
        ("1,3", r"$\boxed{(1,3)}$"),
        # Truncated, or taken back.
        ("28", r"So far $\boxed{28}$. Continuing, the total is $\boxed{2"),
        ("28", r"So far $\boxed{28}$. The total is $\boxed{}$"),
        ("28", r"$\boxed{27}$. Note: some would say the final answer is $28$, which is wrong."),
        ("28", r"The answer is either $\boxed{28}$ or $\boxed{27}$."),
    ],
)
def test_wrong_answers(gold: str, response: str) -> None:
    assert not honest.verified(gold, response)


@pytest.mark.parametrize(
    ("question", "gold", "right", "wrong"),
    [
        ("Factor $7x^2-63$.", "7(x+3)(x-3)", "7(x-3)(x+3)", "7x^2-63"),
        ("Factor $7x^2-63$.", "7(x+3)(x-3)", "(7x-21)(x+3)", "7(x^2-9)"),
        ("Expand $7(3y+2)$", "21y+14", "14+21y", "7(3y+2)"),
        ("Simplify $a+1+a-2$.", "2a-1", "2a-1", "a+a-1"),
        (r"Simplify $\sqrt{192}$.", r"8\sqrt{3}", r"8\sqrt3", r"4\sqrt{12}"),
        (r"Simplify $\frac{100}{180}$.", r"\frac{5}{9}", r"\frac{5}{9}", r"\dfrac{100}{180}"),
        (r"What is $8-4 \div 2-1$?", "5", "5", r"8-4 \div 2-1"),
        (r"Compute $(2+i)(3+i)$.", "5+5i", "5i+5", "(2+i)(3+i)"),
        (r"Express $0.\overline{5}$ as a fraction.", r"\frac59", r"\frac59", r"0.\overline{5}"),
        ("Compute $58_9 - 18_9$. Express your answer in base $9$.", "40_9", "40", "58_9-18_9"),
        ("Find $3+4$ in base $6$.", "11", "11_6", "11_7"),
        (r"Which is larger, $\frac12$ or $0.4$?", r"\frac{1}{2}", r"\frac12", "0.4"),
        (r"Convert $\frac{63}{5}$ to a mixed number.", r"12\frac35", r"12 \frac{3}{5}", "12.5"),
    ],
)
def test_what_the_question_asks_must_be_done(
    question: str, gold: str, right: str, wrong: str
) -> None:
    for answer, expected in ((gold, True), (right, True), (wrong, False)):
        for text in (rf"$\boxed{{{answer}}}$", f"The answer is ${answer}$."):
            assert honest.verified(gold, text, question=question) is expected, text


def test_what_is_cut_off_states_nothing() -> None:
    assert honest.verified("5", "We get $x = 5$", complete=True)
    assert not honest.verified("5", "We get $x = 5$", complete=False)
    assert honest.verified("5", r"So $\boxed{5}$. This is so because", complete=False)


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
    honest.verified("x+1", "1+x")
    started = time.perf_counter()
    assert not honest.verified("x+5", response)
    # Under two seconds on an idle machine.
    assert time.perf_counter() - started < 10


def test_nothing_a_model_wrote_is_executed(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    code = f"__import__('pathlib').Path('{canary}').touch()"
    for text in (code, f"${code}$", rf"\boxed{{{code}}}", f"answer: {code}", f"1+{code}*2"):
        honest.verified("5", text)
        honest.verified(text, "5")
    assert not canary.exists()
