"""Runs at the edges of what a number can be: one answer in every place that shows them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner

from olmes import Record
from olmes.cli.report import command as report
from olmes.cli.tables import console, record_table
from olmes.client.client import Client
from olmes.records.schema import Score
from olmes.records.shown import shown, shown_interval
from olmes.types import Unit
from tests.olmes.edge_runs import edge_runs
from tests.olmes.server.conftest import Running

if TYPE_CHECKING:
    from olmes.client.types import Leaderboard

UNRANKED = {"nan", "missing metric"}
ORDERS = (
    ("all right", "normal", "none right"),
    ("limited", "limited too"),
    ("less still", "less is better"),
    ("unequal too", "unequal"),
    ("not standard",),
    ("one item",),
    ("mixed",),
)
"""What may be ranked beside each other, the best first."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edge")


@pytest.fixture(scope="module")
def runs(folder: Path) -> Iterator[dict[str, Record]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLMES_CACHE", str(folder / "cache"))
        patch.delenv("OLMES_DATA", raising=False)
        yield edge_runs(folder)


@pytest.fixture(scope="module")
def server(runs: dict[str, Record], folder: Path) -> Iterator[Running]:
    """A server that has all of them."""
    running = Running(str(folder / "server/store"), folder / "server")
    with Client(running.start().url, patience=10) as client:
        for record in runs.values():
            client.push(record.folder)
    yield running
    running.stop()


def table(folder: Path, form: str) -> str:
    """What `olmes report --format FORM` prints of the store."""
    done = CliRunner().invoke(report, [str(folder / "runs"), "--format", form])
    assert done.exit_code == 0, done.output
    return done.output


def words_of(page: str) -> str:
    """The words of a page, without tags and scripts."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def written(score: Score, unit: Unit) -> tuple[str, str]:
    """A number and its interval as every place must write them."""
    return shown(score.value, unit), shown_interval(score, unit)


def numbers(record: Record) -> list[tuple[Score, Unit]]:
    """The primary metrics of a run, and its mean."""
    found: list[tuple[Score, Unit]] = [
        (task.score, task.score.unit) for task in record.tasks.values()
    ]
    if suite := record.run.suite:
        found.append((suite, suite.unit))
    return found


def test_the_runs_are_what_they_are_called(runs: dict[str, Record]) -> None:
    """The numbers themselves, worked out by hand."""
    assert runs["normal"].value("acc") == 0.5
    for name in UNRANKED:
        task = runs[name].tasks["acc"]
        assert (task.n, task.score.n, task.said("crashed"), runs[name].complete) == (
            30,
            20,
            10,
            False,
        )
    assert runs["one item"].tasks["single"].score.n == 1
    loss = runs["mixed"].tasks["loss"].score
    assert (loss.unit, loss.higher_is_better) == ("number", False)
    assert loss.value == pytest.approx((29 * 202.75 + 3.5) / 30)
    # A member at 0 of 30 is no certainty: it alone may move the mean by half of 11.4 points.
    mean = runs["unequal"].run.suite
    assert mean is not None
    assert mean.value == pytest.approx(0.45)
    assert mean.ci_high is not None
    assert mean.ci_high > 0.45 + 0.1135 / 2 - 1e-4


def test_the_terminal(runs: dict[str, Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    for record in runs.values():
        screen = console()
        with screen.capture() as captured:
            screen.print(record_table(record))
        lines = captured.get().splitlines()
        for score, unit in numbers(record):
            value, interval = written(score, unit)
            assert any(value in line and interval in line for line in lines), (record.id, value)


def test_the_page_of_a_run(runs: dict[str, Record], tmp_path: Path) -> None:
    for name, record in runs.items():
        page = tmp_path / f"{record.id}.html"
        done = CliRunner().invoke(report, [str(record.folder), "-o", str(page)])
        assert done.exit_code == 0, done.output
        words = words_of(page.read_text("utf-8"))
        for score, unit in numbers(record):
            assert all(text in words for text in written(score, unit)), (name, written(score, unit))
        assert (
            "nan"
            not in words.replace(str(record.folder), "").replace(record.id, "").lower().split()
        )


@pytest.mark.parametrize("form", ["md", "latex"])
def test_the_tables_of_a_paper(runs: dict[str, Record], folder: Path, form: str) -> None:
    text = table(folder, form)
    for name, record in runs.items():
        model = record.run.model.name
        name_of_it = re.compile(rf"(?<![\w-]){re.escape(bare(model))}")
        rows = [line for line in text.splitlines() if name_of_it.search(bare(line))]
        if name in UNRANKED:
            assert all("Left out" in row and "10 of 30 responses" in row for row in rows), rows
            continue
        # Several responses an item have a table of their own, below the scores.
        row, *others = rows
        assert len(others) == any(task.repeats for task in record.tasks.values()), rows
        for score, unit in numbers(record):
            value, interval = written(score, unit)
            # With more than two columns, LaTeX has the intervals in a line below.
            below = form == "latex" and row.count(r"\\") > 1
            texts = (value, interval) if below else (f"{value} {interval}",)
            assert all(text in bare(row) for text in texts), (name, row)
    places = [
        bare(text).find(bare(runs[name].run.model.name)) for order in ORDERS for name in order
    ]
    assert -1 not in places
    for order in ORDERS:
        own = [bare(text).find(bare(runs[name].run.model.name)) for name in order]
        assert own == sorted(own)


def bare(text: str) -> str:
    """Text without what Markdown and LaTeX write around it."""
    text = re.sub(r"\\textbf\{(.*?)\}", r"\1", text)
    return re.sub(r"[\\*{}]", "", text.replace("~", " "))


def exported(folder: Path, form: str) -> list[dict[str, Any]]:
    """The rows of an export; a csv's cells are text."""
    text = table(folder, form)
    if form == "csv":
        return list(csv.DictReader(io.StringIO(text)))
    rows: list[dict[str, Any]] = json.loads(text, parse_constant=no_constant)
    return rows


def no_constant(name: str) -> float:
    """NaN and infinities are no JSON."""
    raise AssertionError(name)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_exports(runs: dict[str, Record], folder: Path, form: str) -> None:
    rows = {(row["run"], row["task"]): row for row in exported(folder, form)}
    for name, record in runs.items():
        for task_name, task in record.tasks.items():
            row = rows[record.id, task_name]
            for field in ("value", "ci_low", "ci_high", "n"):
                assert float(row[field]) == pytest.approx(getattr(task.score, field)), (name, field)
            assert (row["unit"], str(row["higher_is_better"])) == (
                task.score.unit,
                str(task.score.higher_is_better),
            )
            assert str(row["complete"]) == str(name not in UNRANKED)
            assert str(row["standard"]) == str(name != "not standard")
            assert int(row["items"]) == task.items


def check_boards(found: Leaderboard, runs: dict[str, Record]) -> None:
    """The boards of the server's API: who is ranked beside whom, and every number."""
    orders = sorted([run["id"] for run in board["runs"]] for board in found["boards"])
    assert orders == sorted([runs[name].id for name in order] for order in ORDERS)
    assert {run["id"] for run in found["not_ranked"]} == {runs[name].id for name in UNRANKED}
    by_id = {record.id: record for record in runs.values()}
    for board in found["boards"]:
        for run in board["runs"]:
            for name, number in run["tasks"].items():
                score = by_id[run["id"]].tasks[name].score
                for field in ("value", "ci_low", "ci_high", "unit", "higher_is_better"):
                    assert number[field] == getattr(score, field)


def test_the_server(runs: dict[str, Record], server: Running) -> None:
    with Client(server.url, patience=10) as client:
        check_boards(client.leaderboard(), runs)
    listed = words_of(requests.get(f"{server.url}/runs.html", timeout=60).text)
    for name, record in runs.items():
        page = requests.get(f"{server.url}/runs/{record.id}/report.html", timeout=60)
        assert page.status_code == 200
        words = words_of(page.text)
        for score, unit in numbers(record):
            assert all(text in words for text in written(score, unit)), name
        assert record.id in listed
    for mark in ("10 of 30 items", "not standard", "incomplete"):
        assert mark in listed


def test_the_board_as_a_page(
    runs: dict[str, Record], server: Running, folder: Path, tmp_path: Path
) -> None:
    page = tmp_path / "board.html"
    done = CliRunner().invoke(
        report, [str(folder / "runs"), "-o", str(page), "--as", "leaderboard"]
    )
    assert done.exit_code == 0, done.output
    served = requests.get(f"{server.url}/leaderboard.html", timeout=60).text
    for text in (page.read_text("utf-8"), served):
        words = words_of(text)
        for name, record in runs.items():
            for score, unit in numbers(record) if name not in UNRANKED else ():
                assert all(part in words for part in written(score, unit)), (
                    name,
                    written(score, unit),
                )
        for order in ORDERS:
            own = [words.find(runs[name].run.model.name) for name in order]
            assert own == sorted(own)
            assert -1 not in own
        assert "10 of 30 responses of acc have no score" in words


def test_no_number_is_not_a_number(runs: dict[str, Record]) -> None:
    """No record holds a NaN, in whatever field."""

    def check(value: Any) -> None:
        if isinstance(value, dict):
            for member in value.values():
                check(member)
        elif isinstance(value, list):
            for member in value:
                check(member)
        elif isinstance(value, float):
            assert math.isfinite(value)

    for record in runs.values():
        check(json.loads((record.folder / "run.json").read_text("utf-8")))
