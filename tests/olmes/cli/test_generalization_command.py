"""`olmes generalization`: terminal, page and JSON give one answer."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.cli import olmes
from olmes.records.shown import difference_interval, interval, shown, shown_difference
from tests.olmes.comparison.sampled import sampled
from tests.olmes.comparison.test_generalization import ONE, training


def call(*arguments: object) -> str:
    done = CliRunner().invoke(olmes, ["generalization", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def ends_of(found: dict[str, Any]) -> str:
    return difference_interval(found["ci_low"], found["ci_high"], "share")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "250")
    training(tmp_path / "runs", [0.4, 0.5, 0.6, 0.7, 0.8, 0.85], [0.5, 0.52, 0.5, 0.54, 0.53, 0.55])
    sampled(tmp_path / "runs/new", "tulu/500", {"gsm8k": [1.0] * 10}, whole=400, step=500)
    sampled(
        tmp_path / "runs/short", "other", {"deepmind_math": [1.0] * 10}, held_out=True, whole=400,
        pairs=ONE,
    )  # fmt: skip
    return tmp_path / "runs"


def test_terminal_page_and_json_give_one_answer(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    printed = call(store, "-o", page)
    written = html.unescape(re.sub(r"<[^>]+>", " ", page.read_text("utf-8")))
    found = json.loads(call(store, "--json"))
    for text in (printed, written):
        said = " ".join(text.split())
        assert found["conditional"] in said
        assert found["no_zero"] in said
        [pair] = found["pairs"]
        assert pair["carried"]["in_words"] in said
        for row in pair["rows"]:
            for side in ("dev", "unseen"):
                if score := row[side]:
                    assert shown(score["value"], "share") in said
                    assert interval(score["ci_low"], score["ci_high"], "share") in said
                    assert f"n = {score['count']}" in said
                    assert all(mark in said for mark in score["marks"])
            if change := row["change"]:
                for part in ("dev", "unseen", "difference"):
                    assert shown_difference(change[part]["value"], "share") in said
                    assert ends_of(change[part]) in said
                assert row["in_words"] in said
    limited = found["pairs"][0]["rows"][-1]["unseen"]
    assert (limited["limit"], limited["marks"], limited["comparable"]) == (10, ["limited"], False)
    # The newer run of ten items takes no full run's place.
    assert found["pairs"][0]["rows"][-2]["dev"]["count"] == "400"


def test_a_base_may_lie_elsewhere(store: Path, tmp_path: Path) -> None:
    for name in ("d0", "u0"):
        (store / name).rename(tmp_path / name)
    plain = json.loads(call(store, "--json"))
    assert plain["base"]["why"] == "the earliest checkpoint of tulu"
    away = json.loads(call(store, tmp_path / "u0", "--base", tmp_path / "d0", "--json"))
    assert away["models"][away["base"]["index"]]["name"] == "base"
    row = away["pairs"][0]["rows"][0]
    assert row["change"]["dev"]["value"] == pytest.approx(0.1, abs=0.05)
    done = CliRunner().invoke(olmes, ["generalization", str(store), "--base", "nobody"])
    assert done.exit_code != 0
