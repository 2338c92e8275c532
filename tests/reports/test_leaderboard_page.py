"""The leaderboard: who is ranked, on which board, and who differs beyond chance."""

from __future__ import annotations

import html
import json
import re
import shutil
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from olmes.comparison import boards
from olmes.comparison.pairs import pairwise
from olmes.records.aggregate import run_mean
from olmes.records.items import mean_value as value_of_row
from olmes.records.record import Record
from olmes.reports.leaderboard_page import write_leaderboard_page
from tests.known import known

Change = Callable[[dict[str, Any]], None]


def records(store: Path) -> list[Record]:
    return [Record.load(path.parent) for path in sorted(store.glob("*-dev/run.json"))]


@pytest.fixture
def copied(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / "store"))


def mean_value(record: Record) -> float:
    return known(known(run_mean(record.run)).value)


def change(run: Path, action: Change) -> None:
    data = json.loads((run / "run.json").read_text())
    action(data)
    (run / "run.json").write_text(json.dumps(data))


def test_the_best_mean_comes_first(store: Path) -> None:
    (board,), left_out = boards.boards_of(records(store))
    means = [mean_value(record) for record in board.records]
    assert means == sorted(means, reverse=True)
    assert len(means) == 4
    assert left_out == []


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (lambda run: run.update(complete=False), "incomplete: some responses"),
        (lambda run: run["suite"].update(complete=False), "incomplete suite"),
        (lambda run: run["suite"].update(complete=False, missing=["math"]), "no number for math"),
    ],
)
def test_what_cannot_be_ranked_stands_apart_with_the_reason(
    copied: Path, action: Change, why: str
) -> None:
    change(copied / "300-dev", action)
    (board,), left_out = boards.boards_of(records(copied))
    assert "300-dev" not in {record.id for record in board.records}
    assert [(record.id, reason.startswith(why)) for record, reason in left_out] == [
        ("300-dev", True)
    ]
    page = write_leaderboard_page(records(copied), copied / "page.html").read_text()
    assert why in page.split('id="not-ranked"')[1]


@pytest.mark.parametrize("part", ["formulation_hash", "data"])
def test_versions_stand_on_boards_of_their_own(copied: Path, part: str) -> None:
    def other(run: dict[str, Any]) -> None:
        if part == "data":
            run["tasks"]["bbh"]["data"]["content_hash"] = "ff" * 32
        else:
            run["tasks"]["bbh"][part] = "ff" * 8

    change(copied / "100-dev", other)
    found, _ = boards.boards_of(records(copied))
    assert [[record.id for record in board.records].count("100-dev") for board in found] == [0, 1]
    assert len({board.version for board in found}) == 2


def test_a_board_of_other_data_or_settings_is_marked(copied: Path) -> None:
    def other(run: dict[str, Any]) -> None:
        run["tasks"]["bbh"]["data"] |= {"content_hash": "ff" * 32, "official": False}
        run["tasks"]["gsm8k"]["standard"] = False

    change(copied / "100-dev", other)
    page = write_leaderboard_page(records(copied), copied / "page.html").read_text()
    first, second = page.split("<h2")[1:3]
    assert "data differ" not in first
    assert "not the standard formulation" not in first
    assert "data not known as official" in second
    assert "not the standard formulation" in second


def test_an_older_run_of_the_same_weights_is_not_ranked_twice(copied: Path) -> None:
    newest = json.loads((copied / "400-dev" / "run.json").read_text())["model"]
    change(copied / "100-dev", lambda run: run.update(model=newest))
    (board,), left_out = boards.boards_of(records(copied))
    assert len(board.records) == 3
    assert [(r.id, why) for r, why in left_out] == [("100-dev", "an older run of the same weights")]


def test_a_pair_differs_by_what_the_means_differ_by(store: Path) -> None:
    (board,), _ = boards.boards_of(records(store))
    found = pairwise(board.records).differences
    assert len(found) == 6
    for (one, other), difference in found.items():
        means = [mean_value(board.records[at]) for at in (one, other)]
        assert difference.difference == pytest.approx(means[0] - means[1], abs=1e-9)
        assert difference.p_adjusted >= difference.p_value


def only_bbh_as_macro(run: dict[str, Any]) -> None:
    run["tasks"] = {"bbh": run["tasks"]["bbh"]}
    run["tasks"]["bbh"]["formulation"]["aggregate"] = "macro"


def test_a_macro_average_weighs_sub_tasks_alike(copied: Path) -> None:
    # Sub-tasks of unequal sizes: the difference must be that of the means over sub-tasks.
    chosen = records(copied)[:2]
    for record in chosen:
        rows = [r for r in record.samples("bbh") if r["subtask"] != "snarks" or r["doc_id"] < 3]
        path = record.samples_path("bbh")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        change(record.folder, only_bbh_as_macro)
    chosen = [Record.load(record.folder) for record in chosen]
    found = pairwise(chosen).differences
    means = []
    for record in chosen:
        groups: dict[str, list[float]] = {}
        for row in record.samples("bbh"):
            value = value_of_row(row["values"]["exact_match"])
            groups.setdefault(row["subtask"], []).append(value or 0.0)
        means.append(sum(sum(g) / len(g) for g in groups.values()) / len(groups))
    assert found[0, 1].difference == pytest.approx(means[0] - means[1])


def set_to(number: float, run: dict[str, Any]) -> None:
    for task in run["tasks"].values():
        task["metrics"][task["primary"]]["value"] = number
    run["suite"]["value"] = number


def test_numbers_of_which_less_is_better_begin_with_the_lowest_and_say_so(copied: Path) -> None:
    def in_words(run: dict[str, Any]) -> None:
        step = int(run["id"].partition("-")[0])
        task = run["tasks"]["gsm8k"]
        task["metrics"]["exact_match"] |= {
            "value": float(step), "unit": "number", "higher_is_better": False,
        }  # fmt: skip
        run |= {"tasks": {"gsm8k": task}, "suite": None}

    for step in (100, 200, 300):
        change(copied / f"{step}-dev", in_words)
    (copied / "400-dev" / "run.json").unlink()
    page = write_leaderboard_page(records(copied), copied / "page.html").read_text()
    heads = page.partition('<table class="board">')[2].partition("</thead>")[0]
    assert 'data-first="ascending"' in heads
    assert "GSM8K ↓ #" in " ".join(re.sub(r"<[^>]+>", "", heads).split())
    assert "↓ lower is better; # a number, not a percentage." in page
    assert re.findall(r'data-value="([\d.]+00.0)"', page) == ["100.0", "200.0", "300.0"]


def test_a_clear_difference_is_found_and_shown_both_ways(copied: Path) -> None:
    for number, step in ((1.0, 200), (0.0, 300)):
        record = Record.load(copied / f"{step}-dev")
        for name in record.tasks:
            rows = [
                row | {"values": dict.fromkeys(row["values"], number)}
                for row in record.samples(name)
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            record.samples_path(name).write_text(text)
        change(record.folder, partial(set_to, number))
    page = write_leaderboard_page(records(copied), copied / "page.html").read_text()
    matrix = page.split('<table class="matrix">')[1].split("</table>")[0]
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", matrix)).split())
    assert "▲ +100.0" in words
    assert "▼ −100.0" in words
    assert "p &lt; 0.001, better" in matrix
    assert '<span class="ci">2 to 3</span>' in page


def test_limited_runs_are_ranked_beside_runs_of_the_same_items(copied: Path) -> None:
    def limited(items_hash: str, run: dict[str, Any]) -> None:
        run["limit"] = 20
        for task in run["tasks"].values():
            task |= {"items": 20, "items_hash": items_hash}

    for step, items_hash in ((100, "aa" * 8), (200, "aa" * 8), (300, "bb" * 8)):
        change(copied / f"{step}-dev", partial(limited, items_hash))
    found, left_out = boards.boards_of(records(copied))
    assert left_out == []
    assert [{record.id for record in board.records} for board in found] == [
        {"400-dev"}, {"100-dev", "200-dev"}, {"300-dev"}
    ]  # fmt: skip
    assert [board.items for board in found] == ["", "20 items a task", "20 items a task"]
    page = write_leaderboard_page(records(copied), copied / "page.html").read_text()
    whole, *others = page.split("<h2")[1:4]
    assert "20 items a task" not in whole
    assert all('<span class="tag caution">20 items a task</span>' in one for one in others)
    assert all("<button" in one and "n 20" in one for one in others)


def test_demo_data_have_boards_of_their_own_under_a_banner_behind_all_others(copied: Path) -> None:
    def demo(run: dict[str, Any]) -> None:
        run["tasks"]["bbh"]["data"] |= {"origin": "demo", "content_hash": "dd" * 32}

    for step in (100, 200, 300):
        change(copied / f"{step}-dev", demo)
    found, left_out = boards.boards_of(records(copied))
    assert [(board.demo, len(board.records)) for board in found] == [(False, 1), (True, 3)]
    assert left_out == []
    page = write_leaderboard_page(records(copied), copied / "page.html").read_text()
    first, second = page.split("<h2")[1:3]
    assert "Demo data: not comparable" not in first
    assert "Demo data: not comparable" in second
    assert '<span class="tag caution">demo data</span>' in second


def test_runs_under_seal_are_compared_and_no_item_is_shown(copied: Path, tmp_path: Path) -> None:
    sealed = [Record.load(path.parent) for path in sorted(copied.glob("*-unseen/run.json"))]
    for record in sealed:
        change(record.folder, lambda run: run["suite"].update(missing=[], complete=True))
    sealed = [Record.load(record.folder) for record in sealed]
    (board,), _ = boards.boards_of(sealed)
    assert all(any(map(record.sealed, record.tasks)) for record in sealed)
    found = pairwise(board.records)
    assert found.why_not == ""
    for (one, other), difference in found.differences.items():
        means = [
            statistics.mean(board.records[at].value(name) for name in board.ranked_by)
            for at in (one, other)
        ]
        assert difference.difference == pytest.approx(means[0] - means[1], abs=1e-9)
    page = write_leaderboard_page(sealed, tmp_path / "page.html").read_text()
    assert "Not compared pair by pair" not in page
    look = "Look 3 of the family tulu-8b; dev score then 45.2 [42.0, 48.5]"
    assert page.count(f'<div class="note">{look}</div>') == len(board.records)


def test_nothing_to_rank_says_so(tmp_path: Path) -> None:
    page = write_leaderboard_page([], tmp_path / "page.html").read_text()
    assert "Nothing to rank" in page
    assert "Every run is ranked." in page
