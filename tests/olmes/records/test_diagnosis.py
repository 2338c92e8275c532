"""What the format cost: right answers that the protocol's metric does not see, by reason."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.records.diagnosis import Diagnosis
from olmes.records.schema import DiagnosisCounts, ResponseRow
from olmes.runs.score_sheet import REFUSAL, ScoreSheet
from olmes.scoring.process.job import Outcome
from olmes.types import Response
from tests.factories import response_row

DEEPMIND = {"question": "What is 1/2 + 1/4?", "answer": "3/4", "subtask": "arithmetic__add_sub"}


def diagnose(task: Task, rows: list[ResponseRow]) -> DiagnosisCounts:
    """What a record would say of the rows."""
    diagnosis = Diagnosis(task)
    for row in rows:
        diagnosis.add(row)
    return diagnosis.counted()


def rows_of(name: str, docs: list[dict[str, Any]], texts: list[str]) -> list[ResponseRow]:
    """Sample rows as a run would have them, scored by the task itself."""
    task = load_task(name)
    rows = [response_row(doc_id=i, gold=task.gold(doc)) for i, doc in enumerate(docs)]
    sheet = ScoreSheet(task, docs, rows)
    for i, text in enumerate(texts):
        truncated = text.endswith("...")
        response = Response(text=text, finish="length" if truncated else "stop")
        sheet.responded(i, response)
        for scorer in task.scorers:
            sheet.scored(i, scorer, Outcome(getattr(task, scorer)(docs[i], response)))
    return rows


def test_answers_lost_to_the_format_by_reason() -> None:
    closing = "Therefore, the final answer is {}. I hope it is correct."
    texts = [
        closing.format("3/4"),  # right
        closing.format(r"$\frac{3}{4}$"),  # LaTeX where plain text was asked for
        "My answer is 3/4.\n\nAsk me if you need more.",  # right, without the closing phrase
        closing.format("5/4"),  # wrong however it is read
        "I'm sorry, but I cannot help with that.",
        "First we add, then ...",
        "",
    ]
    found = diagnose(load_task("deepmind_math"), rows_of("deepmind_math", [DEEPMIND] * 7, texts))
    assert found.n == 7
    assert found.flags == {"truncated": 1, "refusal": 1, "empty": 1, "unparsed": 3}
    assert found.lost == sum(found.lost_by.values())
    assert found.lost_by["latex"] == 1


def test_gold_in_latex_is_not_lost_to_latex() -> None:
    doc = {"problem": "?", "solution": r"so $\boxed{\frac34}$", "level": "", "type": ""}
    text = r"We get $\frac{3}{4}$, that is, the answer is $\frac{3}{4}$"
    found = diagnose(load_task("math"), rows_of("math", [doc], [text]))
    assert "latex" not in found.lost_by


def test_instructions_are_lost_to_the_check_that_misses_them() -> None:
    """Though the response ends in a dollar sign, or was cut."""
    ids = ["punctuation:no_comma", "detectable_format:number_bullet_lists"]
    doc = {"key": 1, "prompt": "p", "instruction_id_list": ids, "kwargs": [{}, {"num_bullets": 2}]}
    texts = [
        "+ rain\n+ sun",  # right, and to the published check no bullet
        "+ rain for $5\n+ sun for $6...",  # so is this, though it was cut
        "* rain\n* sun",  # right
        "+ rain, wind\n+ sun",  # wrong, for the comma
    ]
    found = diagnose(load_task("ifeval"), rows_of("ifeval", [doc] * 4, texts))
    assert (found.n, found.wrong, found.lost) == (4, 3, 2)
    assert found.lost_by == {"detectable_format:number_bullet_lists": 2}


def test_a_task_without_a_lenient_reading_says_so() -> None:
    task = load_task("ifeval_ood_fresh")
    row = response_row(
        values={task.primary: 0.0}, flags=["truncated"], response=Response(text="x").to_json()
    )
    found = diagnose(task, [row, response_row(flags=["failed"])])
    assert found.lost is None
    assert (found.n, found.wrong, found.flags["truncated"]) == (1, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I can’t do this.",
        "\n I cannot assist with this request.",
        "As an AI language model, I do not have opinions.",
        "I am unable to answer.",
        "Sorry, no.",
        "I can not tell.",
    ],
)
def test_refusals_are_seen(text: str) -> None:
    assert REFUSAL.match(text)


@pytest.mark.parametrize(
    "text",
    ["I can explain: the answer is 3.", "The clerk said: I'm sorry.", "Sorryville is a town.", ""],
)
def test_answers_are_not_refusals(text: str) -> None:
    assert not REFUSAL.match(text)
