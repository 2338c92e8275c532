"""The page of a comparison, as a file."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from olmes.comparison import compare_runs
from olmes.records.record import Record
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.flips import pack_flips


@pytest.fixture(scope="module")
def data(store: Path) -> dict[str, Any]:
    return compare_runs(Record.load(store / "100-dev"), Record.load(store / "400-dev"))


def words_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8").split("<header>")[1].split("<script")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_difference_stands_there(data: dict[str, Any], tmp_path: Path) -> None:
    words = words_of(write_comparison_page(data, tmp_path / "page.html"))
    assert len(data["tasks"]) == 3
    for entry in data["tasks"]:
        found = entry["difference"]
        low, high, value = (
            f"{100 * found[key]:+.1f}".replace("-", "−")
            for key in ("ci_low", "ci_high", "difference")
        )
        assert f"{found['verdict']} {value} −" in words or f"{value} [{low}, {high}]" in words
        assert f"[{low}, {high}] {found['p_adjusted']:.3f}" in words
        assert f" {found['wins']} {found['losses']} {entry['n']} " in words
    assert "Mean of 3 tasks" in words
    assert "model fingerprint 0000000000000000" in words


def test_what_was_not_compared_is_said(data: dict[str, Any], tmp_path: Path) -> None:
    first = data["tasks"][0]
    changed = data | {
        "tasks": [data["tasks"][1] | {"mismatch": ["the data differ"], "only_a": 3}],
        "unpaired": [first | {"difference": None}],
        "refused": [{"name": "x", "title": "X", "reasons": ["the formulations differ"]}],
        "only": [["drop"], []],
        "runs": [data["runs"][0] | {"sample_data": ["gsm8k"]}, data["runs"][1]],
        "suite": None,
    }
    words = words_of(write_comparison_page(changed, tmp_path / "page.html"))
    for text in (
        "Forced BIG-Bench Hard: the data differ.",
        "Not paired GSM8K:",
        "Refused X: not compared, because the formulations differ.",
        "Only in run A drop.",
        "Sample data: not comparable Run A used",
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


def test_flips_come_back_whole(data: dict[str, Any]) -> None:
    packed = pack_flips(data["tasks"])

    def unpack(blob: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(blob)))

    flips = [(task, flip) for task in data["tasks"] for flip in task["flips"]]
    index = unpack(packed.index)
    pairs = [pair for chunk in packed.chunks for pair in unpack(chunk)]
    assert packed.count == len(flips) == len(pairs) == len(index["id"]) == len(index["line"])
    for place, (task, flip) in enumerate(flips):
        assert index["task"][place] == task["name"]
        assert index["won"][place] == (flip["b"] > flip["a"])
        for row, shown in zip((flip["row_a"], flip["row_b"]), pairs[place], strict=True):
            assert shown["response"] == row["response"]
    for task in data["tasks"]:
        won = [
            w for name, w in zip(index["task"], index["won"], strict=True) if name == task["name"]
        ]
        assert won.count(True) == task["difference"]["wins"]
        assert won.count(False) == task["difference"]["losses"]


def test_held_out_scores_stand_with_their_looks(store: Path, tmp_path: Path) -> None:
    one, other = (Record.load(path.parent) for path in sorted(store.glob("*-unseen/run.json"))[:2])
    words = words_of(write_comparison_page(compare_runs(one, other), tmp_path / "page.html"))
    assert words.count("Look 3 of the family tulu-8b; dev score then 45.2 [42.0, 48.5]") == 2
