"""The score of a run without the items that overlap with the data of its model's training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes import Record
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import mean_line, overlap_line
from olmes.records.overlap import overlaps
from tests.factories import with_fields
from tests.olmes.comparison.sampled import sampled

DATA = "ab" * 32
"""The content hash of the data of `sampled`."""
TEN = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
"""0.7 of ten items; 0.6 of the last five."""


def entry(items: Sequence[int], **fields: Any) -> dict[str, Any]:
    """An overlap with items by their number."""
    return {
        "data_set": "tulu_sft",
        "data_hash": "cd" * 32,
        "rows": 1000,
        "task": "gsm8k",
        "task_data_hash": DATA,
        "n": 10,
        "overlapped": len(items),
        "items": [f"{at:016x}" for at in items],
        "matched_rows": len(items),
        "ngram": 8,
        "threshold": 0.5,
    } | fields


def lineage(*entries: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"base": "b"}, {"training": "sft", "step": 4, "overlap": list(entries)}]


def record(
    folder: Path, *entries: Mapping[str, Any], values: Sequence[float] = TEN, **fields: Any
) -> Record:
    return sampled(folder, "m", {"gsm8k": values}, lineage=lineage(*entries), **fields)


def line(found: Record) -> str:
    return overlap_line(run_overlap(found).tasks["gsm8k"])


def test_the_score_without_the_items_is_that_of_the_others(tmp_path: Path) -> None:
    one = run_overlap(record(tmp_path / "r", entry([0, 1, 2, 3, 4]))).tasks["gsm8k"]
    assert (one.n, one.overlapped, one.of_run, one.data_sets) == (10, 5, True, ("tulu_sft",))
    assert one.without is not None
    assert (one.without.value, one.without.n) == (0.6, 5)
    assert one.difference is not None
    assert math.isclose(one.difference.value, -0.1)
    # By hand: d of a kept item is (x - 0.6)/5 - (x - 0.7)/10, of another -(x - 0.7)/10.
    kept = [(x - 0.6) / 5 - (x - 0.7) / 10 for x in TEN[5:]]
    others = [-(x - 0.7) / 10 for x in TEN[:5]]
    squares = sum(d * d for d in [*kept, *others])
    assert math.isclose(one.difference.stderr or 0, math.sqrt(10 / 9 * squares))
    df = squares**2 / sum(d**4 for d in [*kept, *others]) - 1
    assert math.isclose(one.difference.df or 0, df)


def test_the_line_says_count_data_set_scores_and_that_they_are_paired(tmp_path: Path) -> None:
    said = line(record(tmp_path / "r", entry([0, 1, 2, 3, 4])))
    assert said.startswith(
        "5 of 10 items overlap with the training data (tulu_sft): 70.0 → 60.0 without them "
        "(paired −10.0 ["
    )
    assert said.endswith(", n = 5)")


def test_items_of_several_data_sets_count_once(tmp_path: Path) -> None:
    found = record(
        tmp_path / "r", entry([0, 1]), entry([1, 2], data_set="/home/me/dpo.jsonl"),
        entry([], data_set="clean"),
    )  # fmt: skip
    one = run_overlap(found).tasks["gsm8k"]
    assert one.overlapped == 3
    assert one.data_sets == ("tulu_sft", "dpo.jsonl")


def test_nothing_is_said_of_a_model_whose_data_nobody_compared(tmp_path: Path) -> None:
    found = sampled(tmp_path / "r", "m", {"gsm8k": TEN}, lineage=[{"base": "b"}])
    assert not run_overlap(found).tasks
    assert run_overlap(found).mean is None


def test_no_overlap_is_said_and_moves_nothing(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([]))
    assert line(found) == "0 of 10 items overlap with the training data (tulu_sft)"
    assert not run_overlap(found).marked


def test_of_a_limited_run_its_own_items_count(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([0, 8, 9, 70, 71], n=100), whole=100)
    one = run_overlap(found).tasks["gsm8k"]
    assert (one.n, one.overlapped) == (10, 3)
    assert one.without is not None
    assert one.without.n == 7


def test_a_limited_run_may_have_asked_none_of_them(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([70, 71], n=100), whole=100)
    assert line(found) == "0 of 10 items overlap with the training data (tulu_sft)"


def test_without_the_samples_there_are_counts_and_no_score(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([0, 1]))
    (found.folder / "samples/gsm8k.jsonl").unlink()
    said = line(found)
    assert said.startswith("2 of 10 items overlap with the training data (tulu_sft); ")
    assert "→" not in said


def test_without_samples_a_limited_run_speaks_of_the_whole_task(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([0, 1], n=100), whole=100)
    (found.folder / "samples/gsm8k.jsonl").unlink()
    assert line(found).startswith("2 of 100 items of the task overlap")


def test_other_data_than_the_runs_are_named(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([0, 1], task_data_hash="ef" * 32))
    one = run_overlap(found).tasks["gsm8k"]
    assert not one.compared
    assert "tulu_sft was compared with other items than this run's" in overlap_line(one)
    assert not run_overlap(found).marked


def test_the_data_decide_and_not_the_name(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([0], task="gsm8k_of_another_name"))
    assert run_overlap(found).tasks["gsm8k"].overlapped == 1


def test_where_all_items_overlap_none_is_left(tmp_path: Path) -> None:
    said = line(record(tmp_path / "r", entry(range(10))))
    assert said == (
        "10 of 10 items overlap with the training data (tulu_sft): "
        "no item is left for a score without them"
    )


def test_one_item_shows_nothing_for_certain(tmp_path: Path) -> None:
    one = run_overlap(record(tmp_path / "r", entry([0]))).tasks["gsm8k"]
    assert one.difference is not None
    assert one.difference.ci_low is not None
    assert one.difference.ci_high is not None
    assert one.difference.ci_low < 0 < one.difference.ci_high
    assert overlap_line(one).startswith("1 of 10 items overlaps with")


def test_the_mean_moves_by_its_tasks(tmp_path: Path) -> None:
    values = {"gsm8k": TEN, "math": [0.0, 1.0] * 5}
    found = sampled(tmp_path / "r", "m", values, lineage=lineage(entry([0, 1, 2, 3, 4])))
    found = with_fields(found, {"tasks.math.data.content_hash": "12" * 32})
    mean = run_overlap(found).mean
    assert mean is not None
    assert math.isclose(mean.score.value, 0.6)
    assert math.isclose(mean.without.value, 0.55)
    one = run_overlap(found).tasks["gsm8k"]
    assert one.difference is not None
    assert math.isclose(mean.difference.stderr or 0, (one.difference.stderr or 0) / 2)
    assert "60.0 → 55.0 without them" in mean_line(mean)


def test_a_look_has_its_score_without_them_and_names_no_item(tmp_path: Path) -> None:
    found = record(tmp_path / "r", entry([0, 1, 2, 3, 4]), held_out=True)
    said = line(found)
    assert "70.0 → 60.0" in said
    assert f"{1:016x}" not in said


@pytest.mark.parametrize(
    "bad",
    [
        {"items": ["<img src=x>"]},
        {"items": "0" * 16},
        {"overlapped": 11},
        {"overlapped": -1, "items": []},
        {"n": 10**30},
        {"rows": 2**80},
        {"data_set": ""},
        {"data_set": "x" * 2000},
        {"task": 3},
        {"threshold": float("nan")},
        {"items": [f"{at:016x}" for at in range(5)], "overlapped": 1},
    ],
)
def test_what_cannot_be_is_left_out(bad: dict[str, Any]) -> None:
    assert overlaps(lineage(entry([0]) | bad, entry([1]))) == overlaps(lineage(entry([1])))


@pytest.mark.parametrize("strange", [None, 3, "x", {"a": 1}, [3, None, [], {}]])
def test_a_strange_lineage_is_no_comparison(strange: Any) -> None:
    assert overlaps([{"training": "sft", "overlap": strange}, 3]) == []  # type: ignore[list-item]
