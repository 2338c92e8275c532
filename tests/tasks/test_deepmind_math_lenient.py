"""DeepMind Mathematics, lenient metric: right answers in any dress, and near misses that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from olmes import Response
from olmes.benchmark.registry import load_task

TASK = load_task("deepmind_math")

# A kind of answer: the category, a question of it, the gold answer.
KINDS = {
    "number": ("algebra__linear_1d", "Solve 3*w = -36 for w.", "-12"),
    "large": ("arithmetic__mul", "What is 4 times 308642?", "1234568"),
    "decimal": ("arithmetic__add_or_sub", "What is 7 - 6.25?", "0.75"),
    "fraction": ("arithmetic__div", "Divide 12 by 7.", "12/7"),
    "sixth": ("arithmetic__mixed", "What is (1/2)/3?", "1/6"),
    "chance": ("probability__swr_p_sequence", "Calculate prob of sequence ab.", "1/4"),
    "tiny": ("numbers__round_number", "Round 0.000061 to 5 dps.", "0.00006"),
    "roots": ("algebra__polynomial_roots", "Solve x**2 - 3*x - 10 = 0 for x.", "-2, 5"),
    "opposite": ("algebra__polynomial_roots", "Solve x**2 = 9/4 for x.", "-3/2, 3/2"),
    "factors": ("numbers__list_prime_factors", "List the prime factors of 58604.", "2, 7, 13, 23"),
    "big factors": ("numbers__list_prime_factors", "List the prime factors.", "2, 3644947"),
    "sorted": ("comparison__sort", "Sort 7, -3, 0.5 in descending order.", "7, 0.5, -3"),
    "sorted names": ("comparison__sort_composed", "Let z = 3. Sort 4, z, -2.", "-2, z, 4"),
    "option": ("comparison__closest", "Which is the closest to 1?  (a) 9  (b) 3/4  (c) -5", "b"),
    "name": ("comparison__kth_biggest_composed", "Let z = 9. What is the biggest in z, 4?", "z"),
    "truth": ("numbers__is_prime", "Is 91 prime?", "False"),
    "truth too": ("comparison__pair", "Is 3 < 4?", "True"),
    "time": ("measurement__time", "What is 25 minutes after 6:40 PM?", "7:05 PM"),
    "span": ("measurement__time", "How many minutes are there between 1 PM and 2 PM?", "60"),
    "quantity": ("measurement__conversion", "Convert 3.8 litres to millilitres.", "3800"),
    "years": ("measurement__conversion", "How many years are there in 2 centuries?", "200"),
    "in base": ("numbers__base_conversion", "What is 8095 (base 10) in base 16?", "1f9f"),
    "in base 2": ("arithmetic__add_or_sub_in_base", "In base 2, what is -1 - 1001?", "-1010"),
    "polynomial": ("polynomials__add", "Give 2*f(n).", "-3*n**2 + 40*n - 6"),
    "many letters": ("calculus__differentiate", "Differentiate it wrt q.", "6*k*q - 28*l*q**3"),
    "expanded": ("polynomials__expand", "Expand (2*t + 1)*(t - 3).", "2*t**2 - 5*t - 3"),
    "collected": ("polynomials__collect", "Collect the terms in 5*u + 9 - 2*u - 9.", "3*u"),
    "factored": ("algebra__polynomial_roots_composed", "Factor it.", "2*(k - 7)**2*(k + 1)/9"),
    "power": ("polynomials__simplify_power", "Simplify (b**3/b)**(1/6).", "b**(-4438/45)"),
    "surd": ("arithmetic__simplify_surd", "Simplify it.", "-2*sqrt(3) + 7"),
    "root": ("arithmetic__simplify_surd", "Simplify it.", "5*sqrt(13)/6"),
}

RIGHT = {
    "number": [
        *("-12", "-12.0", "- 12", "\u221212", "$-12$", r"\(-12\)", r"\[-12\]", "**-12**", "`-12`"),
        *(r"\boxed{-12}", r"$\boxed{-12}$", "w = -12", "$w = -12$", r"w=\boxed{-12}", "-24/2"),
        *('"-12"', "-12 units", "(-12)", r"\text{-12}", "w = -36/3 = -12", "-1.2e1", "-12!"),
        "[-12]",
        *("-012", "-12,", "-12 = w", r"\mathbf{-12}", "w = -12.", "-12 ", "+-12"),
    ],
    "large": [
        *("1,234,568", "1 234 568", r"1{,}234{,}568", r"1\,234\,568", "1_234_568", "1234568.00"),
        *(r"1.234568 \times 10^6", "1.234568e6", "1.234568 * 10**6", "1\u202f234\u202f568"),
    ],
    "decimal": ["0.75", ".75", "3/4", r"\frac{3}{4}", "0.750", "75/100", r"\dfrac34", "7.5e-1"],
    "fraction": [
        *("12/7", r"\frac{12}{7}", r"\frac{24}{14}", "1 5/7", r"1\frac{5}{7}", "24/14"),
        *(r"1.\overline{714285}", "1.714285714285...", "1.(714285)", r"\tfrac{12}{7}"),
        *("12/7 \u2248 1.714", r"\frac{12}{7} \approx 1.714", "x = 12 / 7"),
    ],
    "sixth": ["1/6", r"0.1\overline{6}", "0.1666...", "0.1(6)", r"\frac16", "2/12"],
    "chance": ["1/4", "0.25", "25%", r"25\%", r"\frac{1}{4}", "25 %", "P = 1/4"],
    "tiny": ["0.00006", "6e-5", r"6 \times 10^{-5}", "6 * 10**-5", "0.000060"],
    "roots": [
        *("-2, 5", "5, -2", "-2 and 5", "5 or -2", "x = -2, x = 5", "x = -2, 5", "-2;5", "{-2, 5}"),
        *(r"\{-2, 5\}", "[-2, 5]", "x = -2 or x = 5", r"x = -2 \text{ or } x = 5", "$-2$ and $5$"),
        *(r"\left\{-2, 5\right\}", r"-2, \text{ and } 5", r"x = -2 \quad \text{or} \quad x = 5"),
        *("x_1 = -2, x_2 = 5", r"x \in \{5, -2\}", "-2.0, 5.0", "-2 (multiplicity 2), 5"),
        *("**-2** and **5**", r"\boxed{-2, 5}", "-2, and 5", "{x = -2, x = 5}"),
    ],
    "opposite": [
        *("-3/2, 3/2", r"\pm\frac{3}{2}", "\u00b13/2", r"x = \pm 1.5", "-1.5, 1.5"),
        r"-\frac{3}{2}, \frac{3}{2}",
    ],
    "factors": ["2, 7, 13, 23", "23, 13, 7, 2", "2, 7, 13 and 23", "{2,7,13,23}"],
    "big factors": ["2, 3644947", "2 and 3,644,947", "2, 3,644,947", "2,3644947"],
    "sorted": ["7, 0.5, -3", "7, 1/2, -3", "[7, 0.5, -3]", "7 > 0.5 > -3", r"7, \frac{1}{2}, -3"],
    "sorted names": ["-2, z, 4", "-2, z = 3, 4", "-2 < z < 4", "$-2, z, 4$", r"-2 < z \le 4"],
    "option": [
        "b",
        "[b]",
        "3/4 (b)",
        "3/4 (option b)",
        "(b)",
        "B",
        "b)",
        "option b",
        "(b) 3/4",
        "b: 3/4",
        "3/4",
        "0.75",
        r"\text{b}",
    ],
    "name": ["z", "z = 9", "$z$", "`z`", "(z)", "Z"],
    "truth": ["False", "false", "No", "no", "No, 91 = 7*13", "that it is False", "F", "**False**"],
    "truth too": ["True", "yes", "Yes", "yes, 3 < 4", "it is true", "T", r"\text{True}"],
    "time": [
        *("7:05 PM", "7:05 p.m.", "07:05 PM", "7:05PM", "19:05", "7:05 pm", "(7:05 PM)"),
        *("[7:05 PM]", "7:05 PM (the next day)"),
        *("7:05 PM the same day", r"7:05 \text{ PM}", "7.05 PM", "7:05 P.M"),
    ],
    "span": ["60", "60 minutes", "60 mins", "60 min", r"60 \text{ minutes}", "60 minutes (1 hour)"],
    "quantity": [
        *("3800", "3,800", "3800 millilitres", "3800 ml", "3800 mL", "3800 milliliters"),
        *(r"3800 \text{ ml}", "3.8 * 10**3", "3800.0 millilitres", r"3.8 \times 10^3 \text{ ml}"),
    ],
    "years": ["200", "200 years", "200.0 years", "200 yr"],
    "in base": [
        "1f9f",
        "1F9F",
        "0x1f9f",
        "1f9f_{16}",
        "1F9F (base 16)",
        "1f9f in base 16",
        "01f9f",
    ],
    "in base 2": ["-1010", "-1010_2", r"-1010_{2}", "-1,010", "-0b1010", "\u22121010"],
    "polynomial": [
        *("-3*n**2 + 40*n - 6", "-3n^2 + 40n - 6", "-3n^{2}+40n-6", "40n - 3n\u00b2 - 6"),
        *(r"-3 \cdot n^2 + 40 \cdot n - 6", "f(n) = -3n^2 + 40n - 6", "-6 + 40*n - 3*n^2"),
        *("-(3n^2 - 40n + 6)", "-3.0*n**2 + 40.0*n - 6.0", "-3*N**2 + 40*N - 6"),
        *(r"-3 \times n^2 + 40 \times n - 6", "-3*n*n + 40*n - 6", r"\left(-3n^2 + 40n - 6\right)"),
    ],
    "many letters": ["6kq - 28lq^3", "q(6k - 28lq^2)", "6*q*k - 28*q**3*l", r"6kq-28 l q^{3}"],
    "expanded": ["2t^2 - 5t - 3", "-3 - 5t + 2t^2", "2*t**2 + -5*t + -3", "2*t*t - 5*t - 3"],
    "collected": ["3u", "3*u", "3 u", "u*3", "3u + 0"],
    "factored": [
        *("2/9*(k - 7)**2*(k + 1)", r"\frac{2(k-7)^2(k+1)}{9}", "2(k-7)(k-7)(k+1)/9"),
        *(r"\frac{2}{9}(k-7)^2(k+1)", "(2/9)(k + 1)(7 - k)^2", r"\frac29 (k-7)^{2} (k+1)"),
    ],
    "power": [
        *("b**(-4438/45)", "b^{-4438/45}", r"b^{-\frac{4438}{45}}", "1/b**(4438/45)"),
        *(r"\frac{1}{b^{4438/45}}", "b^(-4438/45)", r"\frac{1}{\sqrt[45]{b^{4438}}}"),
    ],
    "surd": [
        *("-2*sqrt(3) + 7", "7 - 2*sqrt(3)", r"7 - 2\sqrt{3}", r"7-2\sqrt3", "7 - 2\u221a3"),
        *("7 - 2sqrt(3)", "7 - sqrt(3)*2", "7 - 2*3**(1/2)"),
    ],
    "root": [r"\frac{5\sqrt{13}}{6}", r"\frac{5}{6}\sqrt{13}", "5sqrt(13)/6", "5/6*sqrt(13)"],
}

WRONG = {
    "number": [
        *("12", "-12.000001", "-13", "-1.2", "x = -12 and y = 3", "-12, 5", "-12 or 12", "-12%"),
        *(
            "w != -12",
            "w > -12",
            "-11 - 1",
            "-36/3 - 0*2",
            "",
            "about -12",
            "-12x",
            "1 - 2",
            "-1 2",
        ),
        *("--12", "-12/-1", "w", "-12 = 3", "\u00b112", "-6*2", "not -12", "-12 w", "(-12, 5)"),
    ],
    "large": [
        "1,234,56",
        "1,234,567",
        "1 234 56 8",
        "1.234567e6",
        "1234.568",
        "12,34,568",
        "4*308642",
    ],
    "decimal": ["0.7", "0.76", "0,75", "75%", "7 - 6.25", "0.75...", "3/5"],
    "fraction": [
        "1.714285",
        "1.71428571",
        "7/12",
        "12",
        "1 5/8",
        "5/7",
        r"\frac{5}{7}",
        "1.7142857...",
    ],
    "sixth": ["0.1666", "0.16666666666666666", "0.17", "(1/2)/3", r"0.\overline{16}", "0.16..."],
    "chance": ["25", "0.25%", "2.5%", "3/4", "1/4%", "(1/2)*(1/2)", "24%", "1:4"],
    "tiny": ["6e-6", "0.0006", "6", r"6 \times 10^{5}", "0.000061"],
    "roots": [
        *(
            "2, -5",
            "-2",
            "5",
            "-2, 5, 5",
            "-2, 5, 0",
            "(x + 2)(x - 5)",
            "-2 to 5",
            "-25",
            "-2 < x < 5",
        ),
        *("x = -2", "-2, -5", "(x+2)*(x-5) = 0", "{-2}, {5, 6}", "x^2 - 3x - 10", "-2.5"),
    ],
    "opposite": ["3/2", r"\pm 3", "-3/2", r"\pm\frac{2}{3}", "0, 3/2"],
    "factors": ["2, 7, 13", "2, 2, 7, 13, 23", "2*2*7*13*23", "2, 7, 13, 24", "2**2, 7, 13, 23"],
    "big factors": ["2, 3, 644947", "23644947", "2 * 3644947", "2, 3644948"],
    "sorted": ["-3, 0.5, 7", "7, -3, 0.5", "7, 0.5", "7, 0.5, -3, 0", "7 and 0.5", "-3 < 0.5 < 7"],
    "sorted names": ["-2, 4, z", "-2, 3, 4", "-2, y, 4", "4, z, -2", "-2, z", "-2, y = z, 4"],
    "option": [
        "a",
        "3/4 (a)",
        "9 (b)",
        "c",
        "a, b",
        "a or b",
        "(b) 9",
        "-5",
        "9",
        "bb",
        "d",
        "b and c",
        "1",
        "not b",
    ],
    "name": ["4", "y", "y = z", "z, 4", "zz", "not z", "9"],
    "truth": [
        "True",
        "yes",
        "Yes, it is prime",
        "True or False",
        "not False",
        "0",
        "",
        "T",
        "perhaps",
    ],
    "truth too": [
        "False",
        "no",
        "not true",
        "it is not true",
        "1",
        "F",
        "true, false",
        "No, 3 < 4",
    ],
    "time": [
        "7:05 AM",
        "7:05",
        "7:06 PM",
        "19:06",
        "07:05",
        "7 PM",
        "6:65 PM",
        "19:05 AM",
        "5:07 PM",
    ],
    "span": ["60 hours", "61", "60 seconds", "1 hour", "1", "600", "60 PM", "60 apples"],
    "quantity": [
        "3.8",
        "3800 litres",
        "3.8 litres",
        "3800 ml or 4000 ml",
        "380",
        "3800 Ml",
        "38e3",
    ],
    "years": ["200 centuries", "200 months", "2", "2 centuries", "2000"],
    "in base": ["8095", "1f9e", "1f9f_{15}", "1f9f (base 10)", "f9f1", "0b1f9f", "1f9", "-1f9f"],
    "in base 2": ["1010", "-1010_3", "-10", "-1001 - 1", "-10100", "-1011"],
    "polynomial": [
        *("-3*n**2 + 40*n + 6", "3*n**2 + 40*n - 6", "-3*n**3 + 40*n - 6", "-3*x**2 + 40*x - 6"),
        *("-3n2 + 40n - 6", "40*n - 6", "-3*n**2 + 40*n", "2*f(n)", "-3^n + 40*n - 6", ""),
        *("n = -3*n**2 + 40*n - 7", "-3*n**2 + 40*n - 6.0001", "-3*n**2, 40*n, -6"),
    ],
    "many letters": ["6kq - 28l", "6*k*q - 28*q**3", "6*k*q - 28*i*q**3", "6k - 28lq^2"],
    "expanded": ["(2*t + 1)*(t - 3)", "2*t**2 - 6*t + t - 3", "t*(2*t - 5) - 3", "2*t**2 - 5*t"],
    "collected": ["5*u + 9 - 2*u - 9", "5*u - 2*u", "3", "3*u**2", "2u + u"],
    "factored": [
        *("2*(k - 7)*(k + 1)/9", "2*(k**2 - 14*k + 49)*(k + 1)/9", "(k - 7)**2*(k + 1)"),
        *("2*k**3/9 - 26*k**2/9 + 70*k/9 + 98/9", "7, -1", "-2*(k - 7)**2*(k + 1)/9"),
    ],
    "power": ["b**(4438/45)", "b**(-98.6)", "b**(-4438)/45", "b**2*b**(-4528/45)", "-4438/45"],
    "surd": ["7 - 2*sqrt(2)", "3.535898", "7 - sqrt(12)", "7 + 2*sqrt(3)", "5*sqrt(3)", "7 - 2*3"],
    "root": [
        r"\frac{5}{6\sqrt{13}}",
        "3.0046",
        "5*sqrt(13)",
        "sqrt(325/36)",
        r"\sqrt{\frac{325}{36}}",
    ],
}


def judged(kind: str, text: str, **response: Any) -> dict[str, Any]:
    category, question, gold = KINDS[kind]
    doc = {"question": f"b'{question}\\n'", "answer": f"b'{gold}\\n'", "subtask": category}
    return TASK.score(doc, Response(text=text, **response)).values


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(kind, answer) for kind, answers in table.items() for answer in answers]


@pytest.mark.parametrize(("kind", "answer"), cases(RIGHT))
def test_right_in_any_dress(kind: str, answer: str) -> None:
    text = f"Work.\nTherefore, the final answer is {answer}. I hope it is correct."
    assert judged(kind, text)["exact_match_lenient"] == 1


@pytest.mark.parametrize(("kind", "answer"), cases(WRONG))
def test_near_misses_are_wrong(kind: str, answer: str) -> None:
    text = f"Work.\nTherefore, the final answer is {answer}. I hope it is correct."
    assert judged(kind, text)["exact_match_lenient"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_both(kind: str) -> None:
    assert RIGHT[kind]
    assert WRONG[kind]


# Where the answer stands, for a gold of -12.
@pytest.mark.parametrize(
    "text",
    [
        "-12",
        "w = -12",
        "So w = -12.",
        "The final answer is: -12",
        "The final answer is -12",
        "**Final Answer:** -12",
        "## Final Answer\n\n-12\n",
        "Final answer:\n\\[\n\\boxed{-12}\n\\]\n",
        "The final answer is:\n$$\nw = -12\n$$",
        "Thus \\boxed{-12} is what we wanted.",
        "It is \\boxed{4}? No: \\boxed{-12}. I hope it is correct.",
        "Answer: -12",
        "The answer is -12. I hope it is correct.",
        "So the answer is **-12**.",
        "Therefore, the final answer is 999. I hope it is correct.\n"
        "Wait. Therefore, the final answer is -12. I hope it is correct.",
        "Therefore, the final answer is -12.\nI hope it is correct.",
        "Therefore, the final answer is -12! I hope it is correct.",
        "Therefore, the final answer is -12<|eot_id|>",
        "**Therefore, the final answer is -12. I hope it is correct.**",
        "Therefore, the final answer is -12. This follows from dividing by 3.",
        "First 3*w = -36.\nDividing by 3:\nw = -36/3 = -12",
        "Let me think. 3*w = -36 gives \\(w = -12\\).\n\nTherefore, the final answer is \\(-12\\).",
    ],
)
def test_an_evident_answer_is_found(text: str) -> None:
    assert judged("number", text)["exact_match_lenient"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Therefore, the final answer is -12. I hope it is correct.\n"
        "Wait. Therefore, the final answer is 4. I hope it is correct.",
        "We try w = -12. That is wrong.\nThe final answer is 5.",
        "\\boxed{-12} is a first guess.\nTherefore, the final answer is 7. I hope it is correct.",
        "The answer might be -12, but I am not sure.",
        "w = -12 or so",
        "The final answer is",
        "Therefore, the final answer is [answer]. I hope it is correct.",
        "Is it -12?\nI do not know.",
    ],
)
def test_no_other_place_counts(text: str) -> None:
    assert judged("number", text)["exact_match_lenient"] == 0


def test_the_last_line_of_a_response_that_was_cut_off_is_no_answer() -> None:
    assert judged("number", "Dividing:\nw = -12", finish="length")["exact_match_lenient"] == 0
    assert judged("number", "Dividing:\nw = -12", finish="stop")["exact_match_lenient"] == 1
