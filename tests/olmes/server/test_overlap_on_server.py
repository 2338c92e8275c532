"""A lineage that says what training data hold, on a server: shown as text, or harmless."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes.client.client import Client
from olmes.comparison.overlap import run_overlap
from olmes.records.record import Record
from olmes.server.intake.checks import checked_record

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

TAG = "<img src=x onerror=alert(1)>"


def entry(record: Record, **fields: Any) -> dict[str, Any]:
    """What a lineage says of the first three items of the echo task."""
    items = sorted({row["doc_hash"] for row in record.samples("echo")})[:3]
    return {
        "data_set": TAG,
        "data_hash": "cd" * 32,
        "rows": 1000,
        "task": "echo",
        "task_data_hash": record.tasks["echo"].data.content_hash,
        "n": 12,
        "overlapped": 3,
        "items": items,
        "matched_rows": 3,
        "ngram": 8,
        "threshold": 0.5,
    } | fields


def trained_on(folder: Path, *entries: Any) -> Path:
    """Give a run's model a lineage."""
    run = json.loads((folder / "run.json").read_text())
    run["model"]["lineage"] = [{"training": "sft", "step": 4, "overlap": list(entries)}]
    (folder / "run.json").write_text(json.dumps(run))
    return folder


@pytest.mark.slow
def test_pages_of_the_server_say_it(server: Running, copy_run: Callable[..., Path]) -> None:
    plain, told = copy_run("untold"), copy_run("told")
    trained_on(told, entry(Record.load(told)))
    client = Client(server.url, patience=5)
    for folder in (plain, told):
        client.push(folder)
    said = "3 of 12 items overlap with the training data (&lt;img src=x onerror=alert(1)&gt;): "
    for place in ("/runs/told/report.html", "/leaderboard.html", "/compare.html?a=untold&b=told"):
        answer = requests.get(server.url + place, timeout=120)
        assert answer.status_code == 200, place
        assert TAG not in answer.text
        if place != "/leaderboard.html":  # equal weights: one of the two is ranked
            assert said in answer.text, place
    page = requests.get(f"{server.url}/runs/untold/report.html", timeout=120).text
    assert "overlap with the training data" not in page


@pytest.mark.parametrize(
    "hostile",
    [
        {"items": [TAG]},
        {"n": 10**15, "overlapped": 10**15, "items": []},
        {"overlapped": -1},
        {"rows": "many"},
        {"data_set": "x" * 100_000},
        {"items": {"a": 1}},
    ],
)
def test_a_hostile_lineage_says_nothing(
    copy_run: Callable[..., Path], hostile: dict[str, Any]
) -> None:
    folder = copy_run("hostile")
    trained_on(folder, entry(Record.load(folder)) | hostile, 7, None, [[]])
    record = Record.load(folder)
    checked_record(json.loads((folder / "run.json").read_text()))
    assert not run_overlap(record).tasks


def test_a_long_list_of_items_is_read_and_counted(copy_run: Callable[..., Path]) -> None:
    """Twelve tasks of which each item overlaps: what a record may come to."""
    folder = copy_run("long")
    items = [f"{at:016x}" for at in range(14_042)]
    one = entry(Record.load(folder), n=len(items), overlapped=len(items), items=items)
    trained_on(folder, *[one | {"task": f"t{at}"} for at in range(12)])
    assert run_overlap(Record.load(folder)).tasks["echo"].overlapped == 0
    assert (folder / "run.json").stat().st_size < 4 << 20
