"""Whether a run's numbers are full, standard, complete numbers, and over which items."""

from __future__ import annotations

import math
from typing import Any

import pytest

from olmes.comparison.eligibility import (
    item_set,
    items_in_words,
    marks,
    reservations,
    why_not_ranked,
)
from olmes.records.check import run_record
from olmes.records.schema import FLAGS, RunRecord
from tests.factories import data_json, run_json, score_json, task_json


def run_of(tasks: dict[str, dict[str, Any]] | None = None, **fields: Any) -> RunRecord:
    return run_record(run_json(tasks, **fields))


def suite_json(**fields: Any) -> dict[str, Any]:
    """A suite of two tasks with a mean."""
    about = {"name": "two", "title": "Two", "held_out": False, "complete": True, "missing": []}
    return about | score_json(0.5) | {"tasks": ["one", "two"]} | fields


def repeated(n: int, items: int, **fields: Any) -> dict[str, Any]:
    """A task of 400 items, some of them asked."""
    return task_json(n=n, items=items, data=data_json(n=400), **fields)


def test_a_full_number_has_no_reservation() -> None:
    run = run_of({"one": repeated(400, 400)})
    assert reservations(run) == []
    assert item_set(run) == ""


@pytest.mark.parametrize(("n", "items"), [(150, 150), (450, 150), (1596, 399)])
def test_items_make_a_limit_and_not_responses(n: int, items: int) -> None:
    run = run_of({"one": repeated(n, items)}, limit=items)
    assert marks(run) == ["limited"]
    assert items_in_words(run) == f"{items} of 400 items of one"
    assert why_not_ranked(run) == []


def test_a_limit_that_leaves_nothing_out_is_none() -> None:
    run = run_of({"one": repeated(400, 400)}, limit=1000)
    assert marks(run) == []
    older = run_of({"one": task_json(n=400, data=data_json(n=400))}, limit=1000)
    assert marks(older) == []


def test_a_limit_on_several_tasks_is_said_once() -> None:
    tasks = {"one": repeated(200, 200), "two": repeated(600, 200), "small": repeated(400, 400)}
    assert items_in_words(run_of(tasks, limit=200)) == "200 items a task"


def test_the_set_of_items_is_that_of_the_items_not_of_the_limit() -> None:
    one = run_of({"one": repeated(200, 200, items_hash="aa" * 8)}, limit=200)
    same = run_of({"one": repeated(800, 200, items_hash="aa" * 8)}, limit=200)
    other = run_of({"one": repeated(200, 200, items_hash="bb" * 8)}, limit=200)
    assert item_set(one) == item_set(same) != item_set(other)


def test_older_records_go_by_limit_and_count() -> None:
    tasks = {"one": task_json(n=200, data=data_json(n=400))}
    assert item_set(run_of(tasks, limit=200)) == item_set(run_of(tasks, limit=200)) != ""
    assert item_set(run_of(tasks, limit=100)) != item_set(run_of(tasks, limit=200))


def test_a_member_without_a_number_is_named() -> None:
    run = run_of({"one": task_json()}, suite=suite_json())
    assert why_not_ranked(run) == ["no number for two"]
    run = run_of({"one": task_json(), "two": task_json(None)})
    assert why_not_ranked(run) == ["no number for two"]


@pytest.mark.parametrize("field", ["value", "stderr", "ci_low", "ci_high"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_not_finite_is_no_number(field: str, number: float) -> None:
    score = score_json(0.5) | {field: number}
    run = run_of({"one": task_json(metrics={"exact_match": score})})
    assert why_not_ranked(run) == ["no number for one"]


def test_responses_without_a_score_are_counted() -> None:
    counts = dict.fromkeys(FLAGS, 0) | {"crashed": 3, "failed": 2}
    run = run_of({"one": task_json(counts=counts), "two": task_json()}, complete=False)
    assert why_not_ranked(run) == ["incomplete: 5 of 900 responses of one have no score"]
    assert why_not_ranked(run, ["two"]) == []
    assert why_not_ranked(run, ["one", "two"]) == why_not_ranked(run)


def test_a_record_that_calls_itself_incomplete_is_believed() -> None:
    assert why_not_ranked(run_of(complete=False)) == [
        "incomplete: some responses or verdicts are missing"
    ]
    tasks = {"one": task_json(), "two": task_json()}
    run = run_of(tasks, suite=suite_json(complete=False))
    assert why_not_ranked(run) == ["incomplete suite"]


@pytest.mark.parametrize("aggregate", ["macro", "micro"])
def test_a_sub_task_that_left_a_macro_average_is_named(aggregate: str) -> None:
    groups = {
        "good": {"n": 9, "metrics": {"exact_match": score_json(0.5)}},
        "gone": {"n": 9, "metrics": {"exact_match": score_json(None)}},
    }
    run = run_of({"one": task_json(subtasks=groups, formulation={"aggregate": aggregate})})
    expected = ["incomplete: no number for gone of one"] if aggregate == "macro" else []
    assert why_not_ranked(run) == expected


def test_demo_data_and_another_formulation_are_marked_and_ranked() -> None:
    demo = task_json(data=data_json(origin="demo", official=False))
    run = run_of({"one": demo, "two": task_json(standard=False)})
    assert marks(run) == ["demo data", "!"]
    assert [one.sentence for one in reservations(run, ["two"])] == [
        "not the standard formulation of two"
    ]
    assert why_not_ranked(run) == []
