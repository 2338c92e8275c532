"""What models wrote, taken out of its form; constraints drawn; code and assertions read."""

from __future__ import annotations

import pytest

from olmes.synthesis.code import assertions, code_of, executed, name_in, signature_of
from olmes.synthesis.drawn_constraints import Drawing, stated, strictly
from olmes.synthesis.mathematics import filled
from olmes.synthesis.near_duplicates import NearDuplicates
from olmes.synthesis.personas import read_personas
from olmes.synthesis.replies import after, trouble
from olmes.types import Response

SIX = [
    "Describe the harbour at dawn to a child who has never seen the sea",
    "Describe the harbour at dawn to a child who has never seen the sea.",
    "DESCRIBE the harbour, at dawn, to a child who has never seen the sea!",
    "Explain how a tide table is read by somebody who rows to work",
    "Describe the harbour at dusk",
    "Short",
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("User instruction: Write.", "Write."),
        ('**User instruction:** "Write."', "Write."),
        ("**User instruction**: Write.", "Write."),
        ("User instruction: **Write** this.", "**Write** this."),
        ("user  Instruction :Write.\nTwice.", "Write.\nTwice."),
        ("Sure!\n\n## User instruction:\nWrite **this** now.", "Write **this** now."),
        ("User instruction:", ""),
        ("Write.", ""),
        ('User instruction: Say "a" and "b"', 'Say "a" and "b"'),
        ("User instruction: “Write.”", "Write."),
    ],
)
def test_what_follows_a_label(text: str, found: str) -> None:
    assert after("User instruction:", text) == found


def test_only_whole_answers_are_answers() -> None:
    assert trouble(Response(text="a")) == ""
    assert trouble(Response(text="a", finish="length")) == "cut off at its limit"
    assert trouble(Response(text="", unfinished_thinking=True)) == "ended inside its thought"
    assert trouble(Response(error="no", finish="error")) == "the request failed"
    assert trouble(Response(text=" \n")) == "empty"


def test_which_duplicate_is_kept_does_not_depend_on_the_order() -> None:
    orders = [SIX, SIX[::-1], [*SIX[3:], *SIX[:3]]]
    kept = [
        {order[place] for place in NearDuplicates(0.7, 3, seed=5).keep(order)} for order in orders
    ]
    assert kept[0] == kept[1] == kept[2]
    assert len(kept[0]) == 4
    other = [{SIX[n] for n in NearDuplicates(0.7, 3, seed=s).keep(SIX)} for s in range(20)]
    assert len({frozenset(one) for one in other}) > 1


def test_later_texts_are_held_against_earlier_ones() -> None:
    found = NearDuplicates(0.7, 3, seed=0)
    assert found.keep(SIX[:1]) == [0]
    assert found.keep([SIX[2], SIX[3]]) == [1]


def test_constraints_are_drawn_by_seed_and_can_be_met_together() -> None:
    drawing = Drawing("ifeval", 7, 2, 3)
    persona = "A retired lighthouse keeper who collects barometers"
    for number in range(8):
        drawn = drawing.of(number, persona)
        assert drawn == Drawing("ifeval", 7, 2, 3).of(number, persona)
        assert drawn
        assert 2 <= len(drawn.told) + len(drawn.late) <= 3
        doc = drawing.doc("Write about it", drawn.told, drawn.late)
        text = drawing.task.meeting(doc)
        assert text
        assert strictly(drawing.task.score(doc, Response(text=text)).parts)


def test_the_request_to_be_repeated_is_the_whole_request_before_it() -> None:
    drawing = Drawing("ifeval", 1, 1, 3)
    [repeat] = drawing.late
    assert repeat.id == "combination:repeat_prompt"
    doc = drawing.doc("Write about bees.", (), [repeat])
    assert doc["kwargs"] == [{"prompt_to_repeat": "Write about bees."}]
    assert doc["prompt"].startswith("Write about bees.\nFirst repeat the request")


def test_whether_an_instruction_speaks_of_a_constraint() -> None:
    build = Drawing("ifeval", 1, 1, 3).task.catalog.build
    bullets = build("detectable_format:number_bullet_lists", {"num_bullets": 3})
    assert stated("Give exactly three bullet points in markdown, such as this point", bullets)
    assert not stated("Give exactly four bullet points in markdown, such as this point", bullets)
    words = build("keywords:existence", {"keywords": ["barometer"]})
    assert not stated("Write about the weather with keywords in the response", words)
    assert stated("Include the keywords barometer in the response", words)


def test_code_is_what_defines_a_function_and_assertions_call_it() -> None:
    code = code_of("Here:\n```python\ndef f(a, b=1):\n    return a\n```\nIt works.")
    assert (name_in(code), signature_of(code)) == ("f", "def f(a, b=1)")
    assert code_of("I cannot.") == ""
    text = "```python\nassert f(1) == 1\nassert True\nimport os\nos.remove('x')\n```"
    assert assertions(text, "f") == "assert f(1) == 1"
    assert assertions("assert g(1) == 1", "f") == ""


def test_what_a_model_wrote_is_executed_in_the_sandbox(bubblewrap_program: str) -> None:
    from olmes.sandbox.program import Program

    good = Program(source="def f(a):\n    return a", tests="assert f(1) == 1")
    bad = Program(source="import os\n\ndef f(a):\n    return os.getppid()", tests="assert f(1) > 1")
    assert [one.passed for one in executed([good, bad, good])] == [True, False, True]


def test_an_item_is_filled_in_one_pass() -> None:
    assert filled(r"\boxed{{answer}} {problem}", "{answer}", "{problem}") == (
        r"\boxed{{problem}} {answer}"
    )


def test_the_bundled_personas_are_many_and_different() -> None:
    found = read_personas("", 0)
    assert len({text.lower() for text in found.texts}) == len(found.texts) >= 300
    assert len({found.of("if", n)[0] for n in range(len(found.texts))}) == len(found.texts)
    assert found.of("if", len(found.texts))[1] == 1
