"""Which stretch of a response states its answer, and what only looks like a statement."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmes.scoring.answers.mark import Origin
from olmes.scoring.answers.number import number_of
from olmes.scoring.answers.number_words import in_digits
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.answers.thought import spoken
from tests.known import known

STATED = {
    Origin.BOX: {
        r"Thus $\boxed{\frac{1}{2}}$.": r"\frac{1}{2}",
        r"Thus \fbox{5} it is": "5",
        r"Hence $\boxed 7$": "7",
        "The final answer is given below.\n\n$\\boxed{5}$": "5",
        r"We make sure the final answer is in simplest form. $\boxed{5}$": "5",
        r"The final answer is in lowest terms: \boxed{13}": "13",
        r"First $\boxed{4}$, but the final answer is $\boxed{5}$.": "5",
        r"The answers are $\boxed{-2}$ and $\boxed{5}$.": "-2, 5",
        r"The answer is either $\boxed{28}$ or $\boxed{27}$.": "28 or 27",
        r"So $x = -\boxed{5}$.": "-5",
        r"It is $\boxed{5}$ million.": "5  million",
        r"$\boxed{28}$ is the final answer.": "28",
        "So $\\boxed{5}$.\n\nThe final answer is 6? No: that is too many.": "5",
        "So $\\boxed{5}$.\n\nNote: some would say the answer is 6.": "5",
        r"So $\boxed{5}$. We may check our answer: 5 + 4 = 9, so our answer is correct.": "5",
    },
    Origin.TAG: {
        "Work.\n<answer>17</answer>": "17",
        "<final_answer> 1/2 </final_answer>": "1/2",
        "<answer>We add.\n17</answer> Done.": "17",
        "<answer>17": "17",
    },
    Origin.PHRASE: {
        "So the answer is 18.": "18",
        "The final answer, therefore, is 5.": "5",
        "So our answer comes out to 18.": "18",
        "The answer is - 12.": "- 12",
        "The answer is\n\\[\n18\n\\]": "18",
        "The answer is $-2$ and $5$.": "$-2$ and $5$",
        "The answer is 2.5. We can check: 2.5 + 1 = 3.5": "2.5",
        "The answer is 5, which is 2 more than 3.": "5, which is 2 more than 3",
        "The answer to how many people there are is 7.": "7",
        "Therefore, the final answer is -1, as required. I hope it is correct.": "-1",
        "THE FINAL ANSWER IS 5. I HOPE IT IS CORRECT.": "5",
        "Therefore, the final answer is 31. I hope it is correct.<|eot_id|>": "31",
        "The final answer is 7.\nThe final answer is correct since 7 < 8.": "7",
        "At first the answer is 3. But the answer is 4.": "4",
        "Thus, $28$ is the answer.": "$28$",
        "(so the answer is 5)": "5",
        "答案是2125。": "2125",
        "The answer is 5.\n\nQuestion: What is 2 + 2?\nAnswer: 4": "5",
        "The answer is 6!": "6!",
    },
    Origin.LABEL: {
        "**Answer:** 18": "18",
        "**Final Answer:**\n\n18 dollars": "18 dollars",
        "# Answer\n$28$": "$28$",
        "... \n#### 18": "18",
        '{"reasoning": "2+2", "answer": 5}': "5",
        '{"answer": 5, "sure": true}': "5",
        r"$\boxed{\text{Answer: } 1,3}$": "1,3",
        "Answer: 9\n\nExplanation: 3 + 6 = 9, and 9 - 2 = 7.": "9",
        "## Final Answer\n\nThe solution is c = 13.": "The solution is c = 13",
        "Answer: Monday": "Monday",
    },
    Origin.LINE: {
        "The value of c is 13.": "The value of c is 13",
        "Work.\n\n**-34**": "**-34**",
        "Answer: First we collect the terms.\nc = 13": "c = 13",
        "**Answer:**\n\nWe collect.\n\nc = 13": "c = 13",
        "## Final Answer\nWe check first.\n\n$c = 13$": "$c = 13$",
        "Answer: Step 1: 3 + 4 = 7.\nStep 2: 7 + 2 = 9.": "Step 2: 7 + 2 = 9",
        "Answer: 1. First add 3.\n2. Then 4.\nIt gives 7.": "It gives 7",
        "Answer: James slept 9 hours. Harry slept 9 - 6 = 3.": "Harry slept 9 - 6 = 3",
        "Answer: 3 + 4 = 7.\n7 + 2 = 9.": "7 + 2 = 9",
        "**Answer:** After 3 days, 5 eggs are left.": "After 3 days, 5 eggs are left",
        "The answer is not in dollars. She pays 18 cents.": "She pays 18 cents",
        "The answer is (B)? No, it is (A).": "No, it is (A)",
        "If the answer is 5, it is odd. It is 6.": "It is 6",
        "Hence:\n$$x = 28$$": "x = 28",
        "The result is $28$. (We used $n=7$ above.)": "The result is $28$",
        "It is 5.\n\nI hope this helps!": "It is 5",
        "<think>\nSo the final answer is 14.\n</think>\n\nIt is 13.": "It is 13",
        "#### 1. Add\n3\n#### 2. Sum\nIt is 5": "It is 5",
    },
}


@pytest.mark.parametrize(
    ("text", "stated", "origin"),
    [(text, stated, origin) for origin, them in STATED.items() for text, stated in them.items()],
)
def test_statements_are_found(text: str, stated: str, origin: Origin) -> None:
    found = known(stated_answer(text))
    assert (found.text, found.origin) == (stated, origin)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "<think>The answer is 18? But wait",
        "<reasoning>\nThe answer is 18.",
        "◁think▷18",
        "<think>The answer is 18.</think>\n",
        r"So far $\boxed{28}$. Continuing, the total is $\boxed{2",
        r"So far $\boxed{28}$, and so $\boxed{}$.",
    ],
)
def test_nothing_is_stated(text: str) -> None:
    assert stated_answer(text) is None


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("The answer is 18", None),
        ("The answer is 18.", None),
        ("The answer is 17. No, wait: the answer is 1", None),
        ("It is 18.\nIt is 19", None),
        ("<answer>18", None),
        ("<answer>18</answer>", "18"),
        (r"\boxed{18}", "18"),
        ("The answer is 18. Let us check: 3", "18"),
    ],
)
def test_what_may_be_cut_off_states_nothing(text: str, stated: str | None) -> None:
    found = stated_answer(text, complete=False)
    assert (found and found.text) == stated


def test_what_cannot_be_an_answer_of_the_kind_states_nothing() -> None:
    text = "So there are 18 eggs. The answer is surprising."
    assert known(stated_answer(text)).text == "surprising"
    digits = known(stated_answer(text, wanted=lambda said: any(map(str.isdigit, said))))
    assert digits.text == "there are 18 eggs"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("The value of c is 13.", "13"),
        ("Thus the value we want equals $5$.", "$5$"),
        ("So we get: 5", "5"),
        ("5 eggs", "5 eggs"),
    ],
)
def test_predicate(text: str, says: str) -> None:
    assert known(stated_answer(text)).predicate == says


@pytest.mark.parametrize("name", ["think", "thinking", "reasoning", "THINK"])
def test_thought(name: str) -> None:
    assert spoken(f"<{name}>a</{name}>b") == "b"
    assert spoken(f"a</{name}>b") == "b"
    assert spoken(f"<{name}>a</{name}>b<{name}>c") is None
    assert spoken("<b>a</b>") == "<b>a</b>"


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("thirteen", "13"),
        ("c equals Twenty-five", "c equals 25"),
        ("minus one hundred and five eggs", "-105 eggs"),
        ("seventy-five thousand four hundred and twelve", "75412"),
        ("two million", "2000000"),
        ("six or seven", "6 or 7"),
        ("often even someone", "often even someone"),
        ("one of 5", "one of 5"),
    ],
)
def test_numbers_in_words(text: str, digits: str) -> None:
    assert in_digits(text) == digits


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5 dollars in 2 days", 5),
        ("that after 3 days she has 5 eggs", 5),
        ("5 because 2 + 3 = 5 and 4 - 1 = 3", 5),
        ("2 bags * 366 = 732 / 2 = 366 apples", 366),
        (r"\$1{,}234.50", Fraction("1234.5")),
        (r"3\frac{1}{2}", Fraction(7, 2)),
        ("3½", Fraction(7, 2)),
        ("٧٠", 70),
        ("-$40", -40),
        ("1.2 million", 1_200_000),
        ("x \\geq 5", None),
        ("5 plus 3", None),
        ("5, 6", None),
        ("5/0", None),
        ("5/3/2020", None),
        ("half of 5", None),
        ("2^{5}", None),
        ("9" * 5000, None),
    ],
)
def test_the_number_of_a_statement(text: str, number: Fraction | int | None) -> None:
    assert number_of(text) == number


PIECES = (
    *("the answer is ", "Answer: ", "\\boxed{", "}", "$", "5", "-", " ", "\n", "(", ")", "####"),
    *("<answer>", "</think>", "\\[", "\\]", "**", "? No", "is the answer", "one hundred ", "1/2"),
    *("=", ".", "答案", ",", "1) "),
)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.booleans())
def test_any_text_is_read(text: str, complete: bool) -> None:
    found = stated_answer(text, complete=complete)
    if found is not None:
        assert found.text
        number_of(found.text)


@pytest.mark.parametrize("piece", PIECES)
def test_repetition_takes_no_time(piece: str) -> None:
    start = time.process_time()
    for text in (piece * 20_000, "The answer is " + piece * 20_000 + "5"):
        found = stated_answer(text)
        if found is not None:
            number_of(found.text)
    assert time.process_time() - start < 2
