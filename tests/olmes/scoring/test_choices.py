"""The letter a response states: what counts as a statement, and what only looks like one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmes.scoring.choices.letter import first_match, last_match, stated_letter
from olmes.scoring.choices.options import Options

OPTIONS = (
    "12 red apples",
    "A kite factory",
    "none of them can swim",
    "the price of copper rose by half",
    "5/6",
)

STATED = {
    "C": [
        "Therefore, the answer is (C)",
        "Therefore, the answer is ( C ).",
        "Therefore, the answer is\n\n(C)",
        "Therefore, the answer is (C)<|eot_id|>",
        "THEREFORE, THE ANSWER IS (C)",
        "the answer is (c)",
        "The answer is C. The rest is clear.",
        "The answer is C because the others fail.",
        'The answer is "C"',
        "The answer is (C): (D) is wrong.",
        "The answer is (C), since A and B are wrong",
        "The answer should be (C) rather than (D).",
        "Answer: **C**",
        "**Answer:** C",
        "Answer - C",
        "Answer:\n\nC",
        "ANSWER: C",
        "### Final Answer\n\n**(C)**",
        "Final answer: C) none of them can swim",
        "The answer is:\n\n$$\\boxed{C}$$",
        "Therefore, the answer is $\\boxed{\\text{(C)}}$.",
        "Answer to question 5: (C)",
        "The answer choice that fits best is (C)",
        "Correct answer: option C.",
        "The right choice here, all considered, is (C).",
        "I'd go with C.",
        "We choose option (C) here",
        "Hence option C is the correct answer.",
        "C is the most likely choice",
        "So, C is right.",
        "(A) is wrong; (C) is right.",
        "C",
        "(C)",
        "c)",
        " (C) none of them can swim",
        "(A) 12 red apples\n(B) A kite factory\n(C) none of them can swim\n\n(C)",
        "A) 12 red apples do not fit.\nB) A kite factory does not either.\nSo it is (C).",
        "C\n\nThe others:\n(A) 12 red apples\n(B) A kite factory",
        "C. none of them can swim\n\nExplanation: they fear water.",
        "The answer is (B).\nWait, no. The answer is (C).",
        "(A) is correct. (B) is correct. (D) is correct. So (C).",
        "That cannot be, so what remains is (C).",
        "the answer is 'none of them can swim'.",
        "The answer is none of them can swim.",
        "It follows that none of them can swim.",
        "<think>The answer is (A)? Or (B).</think> (C)",
        "答案是C",
        "正确答案是 C。",
        "答案：（C）",
    ],
    "B": [
        "The answer is A kite factory.",
        "\\boxed{(B) A kite factory}",
        "The answer is (B) and (C) is wrong.",
    ],
    "E": ["Therefore the result is 5/6.", "\\boxed{5/6}", "My answer would be (E) 5/6."],
    "A": ["12 red apples", "The answer is (A), not (B).", "A is the correct answer."],
}


@pytest.mark.parametrize(
    ("text", "letter"), [(text, letter) for letter, texts in STATED.items() for text in texts]
)
def test_statements_are_found(text: str, letter: str) -> None:
    assert stated_letter(text, OPTIONS) == letter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I do not know.",
        # A capital letter that is no label.
        "A good question. I cannot say.",
        "The answer is A good one, they say.",
        "The answer is a mystery.",
        "I think that the answer is because of A. C. Clarke and B. F. Skinner",
        "The answer is C. S. Lewis",
        "The answer is D-glucose",
        "The answer is D = 5",
        "Vitamin C is the answer to scurvy",
        "The temperature is 50^\\circ \\mathrm{C}",
        "Choose 2 of 10: C(10, 2) = 45",
        # A letter the question does not have.
        "The answer is (F)",
        # Named, not stated.
        "The answer is not (B).",
        "If the answer is (A), we are wrong.",
        "Suppose that the answer is (A).",
        "Answer choices: (A) apples (B) kites",
        "Let us answer step by step:\nA. This is about apples",
        "(A) is about apples.\n(B) is about kites.\n(C) is about swimming.",
        "(A) is wrong.",
        "It is not true that the price of copper rose by half.",
        # More than one.
        "The answer is (A) or (B).",
        "The answer is either A or B.",
        "The answer is (A), (B), and (C).",
        "The answer is (A)(B)",
        "The answer is A/B",
        "The correct answer is A, B",
        "The order is (D) the price of copper rose by half, (A) 12 red apples",
        "Both (A) and (B) are correct.",
        "(A) 12 red apples\n(B) A kite factory\n(C) none of them can swim",
        "\n".join(f"The answer is ({letter})." for letter in "ABCDE"),
        "(A)\n(B)\n(C)",
        # Part of another number, or cut within one.
        "Therefore the result is 35/6.",
        "so that x = 5/6",
    ],
)
def test_nothing_is_made_up(text: str) -> None:
    assert stated_letter(text, OPTIONS) is None


def test_options_that_are_letters_themselves() -> None:
    assert stated_letter("The answer is G.", ["F", "G", "L", "M"]) == "B"
    assert stated_letter("The answer is B.", ["F", "G", "B", "M"]) == "B"


def test_the_longest_text_counts() -> None:
    assert stated_letter("The answer is 10.5.", ["10", "10.5", "5", "0.5"]) == "B"
    assert stated_letter("The answer is 10.", ["10", "10.5", "5", "0.5"]) == "A"


def test_a_numbered_line_is_no_answer() -> None:
    assert stated_letter("12. Then we add\n13. Then we stop", ["12", "13", "25", "1"]) is None


def test_equal_texts_decide_nothing() -> None:
    assert stated_letter("The answer is red wine.", ["red wine", "red wine", "beer"]) is None


def test_as_many_letters_as_options() -> None:
    options = [f"option number {n}" for n in range(18)]
    assert stated_letter("So the answer is (R).", options) == "R"
    assert stated_letter("So the answer is (R).", options[:17]) is None


def test_a_loop_concludes_nothing() -> None:
    said = "The volume of the flask is 5/6."
    assert stated_letter(said, OPTIONS) == "E"
    assert stated_letter(" ".join([said] * 4), OPTIONS) is None


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(max_size=300), st.sampled_from("ABCDE"))
def test_the_closing_sentence_wins_over_all_before_it(before: str, letter: str) -> None:
    text = f"{before}\nTherefore, the answer is ({letter})."
    assert stated_letter(text, OPTIONS) == letter


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(), st.lists(st.text(), max_size=12))
def test_any_text_is_read(text: str, options: list[str]) -> None:
    letter = stated_letter(text, options)
    assert letter is None or letter in Options(options).letters


@pytest.mark.parametrize(
    "piece",
    [
        "the answer is ",
        "\\boxed{",
        "answer: (",
        "(A) ",
        "((((",
        "\n",
        "the answer is (A) or ",
        "答案",
    ],
)
def test_long_text_takes_no_longer_than_its_end(piece: str) -> None:
    begin = time.process_time()
    stated_letter(piece * (5_000_000 // len(piece)), OPTIONS)
    assert time.process_time() - begin < 4


def test_matches_of_the_protocol() -> None:
    text = "the answer is (A). No: the answer is (B)."
    assert first_match(r"answer is \(([A-E])\)", text) == "A"
    assert last_match(r"answer is \(([A-E])\)", text) == "B"
    assert last_match(r"\([A-E]\)", text) == "(B)"
    assert first_match(r"[F-J]", text) is None
    assert last_match(r"[F-J]", text) is None
