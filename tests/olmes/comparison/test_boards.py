"""Boards: what a number is of and which way it points decide on ranks, means and pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from olmes.comparison.best import shared_by_task
from olmes.comparison.boards import Board, boards_of, tags_of
from olmes.comparison.compare import compare_runs
from olmes.comparison.items import SharedItems
from olmes.comparison.pairs import pairwise
from olmes.export.tables import latex, markdown
from olmes.records.record import Record
from olmes.records.schema import ResponseRow
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.stats import PairedDifference, SuiteDifference
from tests.factories import data_json, response_row, run_json, score_json, task_json, written
from tests.known import known

Values = list[Any]


def task_of(name: str, values: Values, **fields: Any) -> dict[str, Any]:
    """A task over some items; a list of values is one item's parts."""
    unit = fields.pop("unit", "share")
    higher = fields.pop("higher_is_better", True)
    flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
    score = score_json(fields.pop("value", sum(flat) / len(flat)), n=len(flat))
    score |= {"unit": unit, "higher_is_better": higher}
    about: dict[str, Any] = {
        "n": len(values),
        "items": len(values),
        "data": data_json(n=len(values)),
    }
    metrics = {"exact_match": score}
    about |= fields
    return task_json(metrics=metrics, samples=f"samples/{name}.jsonl", **about)


def run_of(
    folder: Path,
    model: str,
    tasks: Mapping[str, tuple[Values, dict[str, Any]]],
    *,
    subtasks: Callable[[int], str] = lambda at: "",
    leave: frozenset[int] = frozenset(),
    **fields: Any,
) -> Record:
    """A run of tasks, by name their values and fields, with its samples but those of `leave`."""
    folder = folder / model
    for name, (values, _) in tasks.items():
        rows: list[ResponseRow] = [
            response_row(
                doc_id=at, doc_hash=f"{at:016x}", subtask=subtasks(at),
                values={"exact_match": value},
            )
            for at, value in enumerate(values) if at not in leave
        ]  # fmt: skip
        path = folder / f"samples/{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    described = {name: task_of(name, values, **more) for name, (values, more) in tasks.items()}
    return written(folder, run_json(described, model=model, id=model, **fields))


def names(board: Board) -> list[str]:
    return [record.run.model.name for record in board.records]


LOSS: dict[str, Any] = {"unit": "number", "higher_is_better": False}


def test_of_a_loss_the_lowest_is_the_best_everywhere(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path, model, {"loss": ([value, value + 0.01], LOSS)})
        for model, value in (("high", 1.218), ("low", 0.208), ("middle", 0.756))
    ]
    [board], left_out = boards_of(runs)
    assert left_out == []
    assert names(board) == ["low", "middle", "high"]
    table = markdown([board], []).splitlines()
    assert table[4].startswith("| low | **0.213 [")
    assert table[6].startswith("| high | 1.22 [")
    assert "loss: lower is better, a number, not a percentage.  " in table
    assert r"low & \textbf{0.213" in latex([board], [])
    # Nobody has said how near is near for a loss.
    assert {one.margin for one in pairwise(board.records).differences.values()} == {0.0}


def test_a_column_is_in_one_unit_though_one_run_alone_has_a_value_beyond_a_share(
    tmp_path: Path,
) -> None:
    # Schema 1 did not say units: what lay between 0 and 1 was taken for a share.
    runs = [
        run_of(tmp_path, "a", {"loss": ([1.2, 1.3], LOSS)}),
        run_of(tmp_path, "b", {"loss": ([0.7, 0.8], LOSS | {"unit": "share"})}),
    ]
    [board], _ = boards_of(runs)
    text = markdown([board], [])
    assert "**0.750 [" in text
    assert "75.0" not in text
    page = write_leaderboard_page(runs, tmp_path / "page.html").read_text("utf-8")
    assert "0.750" in page
    assert "75.0" not in page


@pytest.mark.parametrize("how", ["units", "directions"])
def test_tasks_of_two_kinds_have_no_mean_and_are_not_ranked_by_one(
    tmp_path: Path, how: str
) -> None:
    other: dict[str, Any] = LOSS if how == "units" else {"higher_is_better": False}
    runs = []
    for model, right, wrong in (("a", [1, 1, 0, 0], 0.9), ("b", [1, 1, 1, 0], 0.8)):
        tasks: dict[str, tuple[Values, dict[str, Any]]] = {
            "right": (right, {}), "wrong": ([wrong] * 4, other),
        }  # fmt: skip
        runs.append(run_of(tmp_path, model, tasks))
    [board], _ = boards_of(runs)
    assert names(board) == ["b", "a"]
    assert board.ranked_by == ["right"]
    assert [column.name for column in board.columns()] == ["right", "wrong"]
    text = markdown([board], [])
    assert "| model | right | wrong |" in text
    said = "In the order of right: these tasks have no mean, for their units or directions differ."
    assert said in text
    page = write_leaderboard_page(runs, tmp_path / "page.html").read_text("utf-8")
    assert said in page
    assert ">Mean<" not in page


def suite_json(members: list[str], **fields: Any) -> dict[str, Any]:
    return {"name": "s", "title": "S", "tasks": members, **score_json(0.9), **fields}


def test_a_mean_of_an_older_record_over_two_kinds_is_read_and_not_shown(tmp_path: Path) -> None:
    tasks: dict[str, tuple[Values, dict[str, Any]]] = {
        "right": ([1, 0], {}),
        "loss": ([3.0, 4.0], LOSS),
    }
    mixed = suite_json(["right", "loss"]) | {"value": 2.0, "unit": "number"}
    [board], left_out = boards_of([run_of(tmp_path, "a", tasks, suite=mixed)])
    assert left_out == []
    assert board.mean_tasks == []
    assert "mean |" not in markdown([board], [])


def test_a_suite_says_which_tasks_its_mean_is_of(tmp_path: Path) -> None:
    tasks: dict[str, tuple[Values, dict[str, Any]]] = {
        "one": ([1, 0], {}), "two": ([1, 1], {}), "loss": ([3.0, 4.0], LOSS),
    }  # fmt: skip
    members = list(tasks)
    some = run_of(tmp_path, "a", tasks, suite=suite_json(members, mean=["one", "two"]))
    [board], _ = boards_of([some])
    assert board.ranked_by == ["one", "two"]
    assert "| model | one | two | loss | Mean of one, two |" in markdown([board], [])
    none = suite_json(members, mean=[]) | score_json(None)
    [board], left_out = boards_of([run_of(tmp_path, "b", tasks, suite=none)])
    assert left_out == []
    assert "these tasks have no mean, for their suite has none" in markdown([board], [])
    # Runs whose means are of other tasks are not ranked beside each other.
    alone = run_of(tmp_path, "c", tasks, suite=suite_json(members, mean=["one"]))
    assert len(boards_of([some, alone])[0]) == 2


def test_n_counts_items_and_names_responses(tmp_path: Path) -> None:
    metrics = {"exact_match": score_json(0.5, n=1200)}
    task = task_json(n=1200, items=400, data=data_json(n=400), metrics=metrics)
    runs = [written(tmp_path / model, run_json({"t": task}, model=model)) for model in "ab"]
    [board], _ = boards_of(runs)
    assert "| n | 400 (1,200 responses) |" in markdown([board], [])
    page = write_leaderboard_page(runs, tmp_path / "page.html").read_text("utf-8")
    assert "n 400 (1,200 responses)" in page


def test_where_n_differs_it_stands_beside_each_number(tmp_path: Path) -> None:
    def part(n: int) -> dict[str, Any]:
        metrics = {"exact_match": score_json(0.5, n=n)}
        return task_json(n=10, items=10, data=data_json(n=10), metrics=metrics)

    runs = [
        written(tmp_path / name, run_json({"t": part(n)}, model=name))
        for name, n in (("a", 30), ("b", 34))
    ]
    [board], _ = boards_of(runs)
    text = markdown([board], [])
    assert "(n 10 (30 parts))" in text
    assert "(n 10 (34 parts))" in text
    assert "| n |" not in text


def test_pairs_that_were_not_compared_are_not_called_alike_or_different(tmp_path: Path) -> None:
    values = [1, 0] * 20
    runs = [run_of(tmp_path, model, {"t": (values, {})}) for model in "abc"]
    compared = markdown(*boards_of(runs))
    assert "† no difference from the best is shown" in compared
    (runs[1].folder / "samples/t.jsonl").unlink()
    for text in (markdown(*boards_of(runs)), latex(*boards_of(runs))):
        assert "Not compared pair by pair: the samples of b are missing." in text
        assert "†" not in text
        assert "dagger" not in text
    page = write_leaderboard_page(runs, tmp_path / "page.html").read_text("utf-8")
    assert "Not compared pair by pair: the samples of b are missing." in page


def test_one_run_with_few_items_takes_none_from_the_other_pairs(tmp_path: Path) -> None:
    values = {"a": [1, 1, 1, 0] * 10, "b": [1, 0, 1, 0] * 10, "c": [0, 0, 1, 1] * 10}
    runs = [run_of(tmp_path, model, {"t": (own, {})}) for model, own in values.items()]
    runs += [run_of(tmp_path, "few", {"t": ([1, 0] * 20, {})}, leave=frozenset(range(5, 40)))]
    found = pairwise(runs).differences
    assert {pair: one.n for pair, one in found.items()} == {
        (0, 1): 40, (0, 2): 40, (1, 2): 40, (0, 3): 5, (1, 3): 5, (2, 3): 5,
    }  # fmt: skip
    assert found[0, 1].difference == pytest.approx(0.25)
    page = write_leaderboard_page(runs, tmp_path / "page.html").read_text("utf-8")
    assert {int(n) for n in re.findall(r"\(n = (\d+)\)", page)} == {40, 5}


def macro_of(values: Values) -> float:
    groups = [values[:9], values[9:12], values[12:]]
    return sum(sum(group) / len(group) for group in groups) / 3


PARTS: tuple[Values, Values] = (
    [[True], [True] * 3, [False, True], [True, False, False], [True] * 2] * 4,
    [[False], [True, False, True], [False, True], [True] * 3, [False] * 2] * 4,
)
MACRO: tuple[Values, Values] = (
    ([1, 0, 1] * 5 + [1] * 9)[:20],
    ([0, 0, 1] * 5 + [1, 0, 1] * 3)[:20],
)


@pytest.mark.parametrize("kind", ["parts", "macro"])
def test_board_comparison_and_training_give_one_answer_for_a_pair(
    tmp_path: Path, kind: str
) -> None:
    runs = []
    for model, values in zip("ab", PARTS if kind == "parts" else MACRO, strict=True):
        more: dict[str, Any] = {}
        if kind == "macro":
            more = {"formulation": {"aggregate": "macro"}, "value": macro_of(values)}
        tasks: dict[str, tuple[Values, dict[str, Any]]] = {"t": (values, more)}

        def subtask(at: int) -> str:
            return (
                "" if kind == "parts" else "first" if at < 9 else "second" if at < 12 else "third"
            )

        runs.append(run_of(tmp_path, model, tasks, subtasks=subtask))
    board = pairwise(runs).differences[0, 1]
    one = known(compare_runs(runs[1], runs[0]).tasks[0].difference)
    training = known(shared_by_task("t", runs, SharedItems()))
    best = training.best()
    recorded = runs[0].value("t") - runs[1].value("t")
    for found in (board.difference, one.difference):
        assert found == pytest.approx(recorded)
    assert best.score == pytest.approx(max(record.value("t") for record in runs))
    assert interval(board) == pytest.approx(interval(one))
    assert (board.stderr, board.df) == pytest.approx((one.stderr, one.df))


def test_board_and_comparison_give_one_answer_for_the_mean_of_unlike_tasks(tmp_path: Path) -> None:
    runs = []
    for model, parts, macro in zip("ab", PARTS, MACRO, strict=True):
        tasks: dict[str, tuple[Values, dict[str, Any]]] = {
            "parts": (parts, {}),
            "macro": (
                macro, {"formulation": {"aggregate": "macro"}, "value": macro_of(macro)}
            ),
            "alike": ([1] * 20, {}),
            "loss": ([3.5] * 20, LOSS),
        }  # fmt: skip
        suite = suite_json(list(tasks), mean=["parts", "macro", "alike"])
        run = run_of(
            tmp_path, model, tasks, suite=suite,
            subtasks=lambda at: "first" if at < 9 else "second" if at < 12 else "third",
        )  # fmt: skip
        runs.append(run)
    board = pairwise(runs, ["parts", "macro", "alike"]).differences[0, 1]
    mean = known(compare_runs(runs[1], runs[0]).suite)
    assert mean.tasks == ["parts", "macro", "alike"]
    assert board.difference == pytest.approx(mean.difference.value)
    assert (board.stderr, board.df) == pytest.approx((mean.difference.stderr, mean.difference.df))
    assert interval(board) == pytest.approx(interval(mean.difference))
    values = [sum(run.value(name) for name in mean.tasks) / 3 for run in runs]
    assert board.difference == pytest.approx(values[0] - values[1])
    assert (board.candidate, board.baseline) == pytest.approx(tuple(values))


def interval(found: PairedDifference | SuiteDifference) -> tuple[float, float]:
    return known(found.ci_low), known(found.ci_high)


def test_what_a_board_is_called_says_over_what_its_numbers_are(tmp_path: Path) -> None:
    task = task_json(
        standard=False, items=200, n=200,
        data=data_json(n=900, origin="demo", official=False),
    )  # fmt: skip
    [board], _ = boards_of([written(tmp_path / "a", run_json({"t": task}, limit=200))])
    assert tags_of(board) == ["demo data", "200 of 900 items of t", "not the standard formulation"]


def test_a_number_that_is_not_finite_is_ranked_and_written_nowhere(tmp_path: Path) -> None:
    good = written(tmp_path / "good", run_json({"t": task_json()}, model="good"))
    score = score_json(0.9) | {"value": float("nan")}
    bad = written(
        tmp_path / "bad",
        run_json({"t": task_json(metrics={"exact_match": score})}, model="bad", id="bad"),
    )
    [board], left_out = boards_of([good, bad])
    assert names(board) == ["good"]
    assert [(record.id, why) for record, why in left_out] == [("bad", "no number for t")]
    for text in (
        markdown(*boards_of([good, bad])),
        latex(*boards_of([good, bad])),
        write_leaderboard_page([good, bad], tmp_path / "page.html").read_text("utf-8"),
    ):
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)
