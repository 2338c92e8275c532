"""The page of a comparison, as a file."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as with_fields

from olmes.comparison.compare import (
    Comparison,
    RefusedTask,
    TaskComparison,
    UnpairedTask,
    compare_runs,
)
from olmes.records.record import Record
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.flips import pack_flips


@pytest.fixture(scope="module")
def data(store: Path) -> Comparison:
    return compare_runs(Record.load(store / "100-dev"), Record.load(store / "400-dev"))


def words_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8").split("<header>")[1].split("<script")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_difference_stands_there(data: Comparison, tmp_path: Path) -> None:
    words = words_of(write_comparison_page(data, tmp_path / "page.html"))
    assert len(data.tasks) == 3
    for entry in data.tasks:
        found = entry.difference
        assert found is not None
        low, high, value = (
            f"{100 * (end or 0):+.1f}".replace("-", "−")
            for end in (found.ci_low, found.ci_high, found.difference)
        )
        assert f"{found.verdict} {value} −" in words or f"{value} [{low}, {high}]" in words
        assert f"[{low}, {high}] {found.p_adjusted:.3f}" in words
        assert f" {found.wins} {found.losses} {entry.n} " in words
    assert "Mean of 3 tasks" in words
    assert "model fingerprint 0000000000000000" in words


def unpaired(task: TaskComparison) -> UnpairedTask:
    """The same task as it would be with its samples under seal."""
    return UnpairedTask(
        name=task.name, title=task.title, metric=task.metric, unit=task.unit, a=task.a, b=task.b,
        higher_is_better=task.higher_is_better, mismatch=[], difference=None,
    )  # fmt: skip


def test_a_number_of_which_less_is_better_has_its_signs_and_is_not_drawn(
    data: Comparison, tmp_path: Path
) -> None:
    first, *others = data.tasks
    score = with_fields(first.a, value=466.7, unit="number", higher_is_better=False)
    assert first.difference is not None
    difference = replace(first.difference, difference=-12.34, ci_low=-20.0, ci_high=0.5)
    words_of_text = replace(
        first, a=score, b=score, unit="number", higher_is_better=False, difference=difference
    )
    page = write_comparison_page(replace(data, tasks=[words_of_text, *others]), tmp_path / "p.html")
    words = words_of(page)
    assert "exact_match ↓ #" in words
    assert "−12.3 [−20.0, +0.5]" in words
    assert "466.7" in words
    assert "↓ lower is better; # a number, not a percentage." in words
    line = page.read_text().partition("GSM8K<")[2].partition("</tr>")[0]
    assert "<svg" not in line
    alone = write_comparison_page(
        replace(data, tasks=[words_of_text], suite=None), tmp_path / "p.html"
    )
    assert "percentage points" not in words_of(alone)


def test_what_was_not_compared_is_said(data: Comparison, tmp_path: Path) -> None:
    changed = replace(
        data,
        tasks=[replace(data.tasks[1], mismatch=["the data differ"], only_a=3)],
        unpaired=[unpaired(data.tasks[0])],
        refused=[RefusedTask(name="x", title="X", reasons=["the formulations differ"])],
        only=[["drop"], []],
        runs=[replace(data.runs[0], demo_data=["gsm8k"]), data.runs[1]],
        suite=None,
    )
    words = words_of(write_comparison_page(changed, tmp_path / "page.html"))
    for text in (
        "Forced BIG-Bench Hard: the data differ.",
        "Not paired GSM8K:",
        "Refused X: not compared, because the formulations differ.",
        "Only in run A drop.",
        "Demo data: not comparable Run A used",
        "3 items only in A",
    ):
        assert text in words, text


def test_runs_that_are_alike_have_no_browser(store: Path, tmp_path: Path) -> None:
    record = Record.load(store / "100-dev")
    page = write_comparison_page(compare_runs(record, record), tmp_path / "page.html")
    words = words_of(page)
    assert "Nothing differs in how the numbers came about." in words
    assert "No item has another value in the other run" in words
    assert "blob-0" not in page.read_text()


def test_flips_come_back_whole(data: Comparison) -> None:
    packed = pack_flips(data.tasks)

    def unpack(blob: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(blob)))

    flips = [(task, flip) for task in data.tasks for flip in task.flips]
    index = unpack(packed.index)
    pairs = [pair for chunk in packed.chunks for pair in unpack(chunk)]
    assert packed.count == len(flips) == len(pairs) == len(index["id"]) == len(index["line"])
    for at, (task, flip) in enumerate(flips):
        assert index["task"][at] == task.name
        assert index["won"][at] == (flip.b > flip.a)
        for row, shown in zip((flip.row_a, flip.row_b), pairs[at], strict=True):
            assert shown["response"] == row["response"]
    for task in data.tasks:
        won = [w for name, w in zip(index["task"], index["won"], strict=True) if name == task.name]
        assert task.difference is not None
        assert won.count(True) == task.difference.wins
        assert won.count(False) == task.difference.losses


def test_held_out_scores_stand_with_their_looks(store: Path, tmp_path: Path) -> None:
    one, other = (Record.load(path.parent) for path in sorted(store.glob("*-unseen/run.json"))[:2])
    words = words_of(write_comparison_page(compare_runs(one, other), tmp_path / "page.html"))
    assert words.count("Look 3 of the family tulu-8b; dev score then 45.2 [42.0, 48.5]") == 2
