"""Records of schema 1, written by the olmes of that time, are read for good.

`schema1/store` is a store as it was left: development and held-out runs of several models and of the
checkpoints of two trainings, a changed formulation, a limit, a judge, failed requests, metrics that are
numbers, and the ledger. Nothing in it is ever written again.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes import Record
from olmes.cli import olmes as olmes_command
from olmes.cli.cost import cost_line
from olmes.comparison.compare import compare_runs
from olmes.records.aggregate import run_mean, suite_mean
from olmes.records.items import parts_of
from olmes.records.record import records_in
from olmes.records.shown import shown
from tests.known import known

FROZEN = Path(__file__).parent / "schema1"
LABELS: dict[str, str] = json.loads((FROZEN / "index.json").read_text("utf-8"))
SCORE = ("value", "stderr", "ci_low", "ci_high", "n")
SFT = ["sft-a-100-dev", "sft-a-200-dev", "sft-a-300-dev"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A copy that pages may be written into."""
    return Path(shutil.copytree(FROZEN / "store", tmp_path / "store"))


def raw(label: str) -> dict[str, Any]:
    """What the file says."""
    found: dict[str, Any] = json.loads(
        (FROZEN / "store" / LABELS[label] / "run.json").read_text("utf-8")
    )
    return found


def loaded(label: str) -> Record:
    return Record.load(FROZEN / "store" / LABELS[label])


def olmes(*arguments: object, status: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(
        olmes_command, [str(one) for one in arguments], env={"COLUMNS": "200"}
    )
    assert done.exit_code == status, f"{done.output}\n{done.exception!r}"
    return done.stdout


def scores(run: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every number of a record with its place."""
    for name, task in run["tasks"].items():
        for metric, score in task["metrics"].items():
            yield ("tasks", name, "metrics", metric), score
        for subtask, found in task["subtasks"].items():
            for metric, score in found["metrics"].items():
                yield ("tasks", name, "subtasks", subtask, "metrics", metric), score
    if run["suite"]:
        yield ("suite",), run["suite"]
    if run["held_out"] and run["held_out"]["dev"]:
        yield ("held_out", "dev"), run["held_out"]["dev"]


def test_the_store_has_a_run_of_every_kind() -> None:
    records = records_in(FROZEN / "store")
    assert sorted(record.id for record in records) == sorted(LABELS.values())
    assert all(record.run.schema == 1 for record in records)
    assert any(record.run.held_out for record in records)
    assert any(not record.complete for record in records)
    assert any(record.run.limit for record in records)
    assert any(record.run.demo_tasks for record in records)
    tasks = [task for record in records for task in record.tasks.values()]
    assert any(task.judge for task in tasks)
    assert any(not task.standard for task in tasks)
    assert any(task.repeated for task in tasks)
    assert any(task.subtasks for task in tasks)
    assert {metric.unit for task in tasks for metric in task.metrics.values()} == {
        "share",
        "number",
    }


@pytest.mark.parametrize("label", LABELS)
def test_a_record_says_what_its_file_says(label: str) -> None:
    file, record = raw(label), loaded(label)
    found = record.to_json()
    count = 0
    for path, score in scores(file):
        place: Any = found
        for name in path:
            place = place[name]
        assert {field: place[field] for field in SCORE} == {field: score[field] for field in SCORE}
        count += 1
    assert count
    for name, task in file["tasks"].items():
        ours = found["tasks"][name]
        for field in ("n", "primary", "counts", "tokens", "diagnosis", "formulation", "settings"):
            assert ours[field] == task[field], f"{name}.{field}"
        assert ours["data"]["content_hash"] == task["data"]["content_hash"]
        assert record.tasks[name].demo == (task["data"]["origin"] == "sample")
        assert ours["items"] in (
            None,
            task["n"],
            task["n"] // task["formulation"]["generation"]["n"],
        )
    assert found["model"] == file["model"]
    assert found["warnings"] == file["warnings"]
    assert found["created"] == file["created"]


@pytest.mark.parametrize("label", LABELS)
def test_its_samples_come_to_its_numbers(label: str) -> None:
    record = loaded(label)
    for name, task in record.tasks.items():
        if record.sealed(name):
            assert name in record.run.sealed
            continue
        rows = list(record.samples(name))
        assert len(rows) == task.n
        assert [row["doc_id"] for row in rows] == [row["doc_id"] for row in record.verdicts(name)]
        for metric, score in task.metrics.items():
            if not task.macro:
                parts = [part for row in rows for part in parts_of(row, metric)]
                assert len(parts) == score.n
                if parts:
                    assert sum(parts) / len(parts) == pytest.approx(known(score.value))


def test_the_mean_of_a_suite_is_that_of_its_tasks() -> None:
    for record in records_in(FROZEN / "store"):
        if suite := record.run.suite:
            if suite.name == "mixed":
                # Shares averaged with a number of which less is better: it is read, and no mean.
                assert known(suite.value) > 1
                assert (suite_mean(record.tasks), run_mean(record.run)) == (None, None)
                continue
            mean = known(suite_mean(record.tasks))
            assert mean.value == pytest.approx(known(suite.value))
            assert mean.stderr == pytest.approx(suite.stderr)
            assert known(run_mean(record.run)).estimate == suite.estimate


def test_it_compares_with_itself_and_with_another() -> None:
    alpha, beta = loaded("dev-alpha"), loaded("dev-beta")
    assert compare_runs(alpha, alpha).why == []
    found = compare_runs(alpha, beta)
    assert [task.name for task in found.tasks] == list(alpha.tasks)
    for task in found.tasks:
        difference = known(task.difference)
        assert difference.baseline == pytest.approx(alpha.value(task.name))
        assert difference.candidate == pytest.approx(beta.value(task.name))
    # The one that was run with a changed formulation is told apart from the other.
    changed = compare_runs(alpha, loaded("set-alpha"))
    assert changed.refused
    assert "formulation" in {cause.kind for cause in changed.why}


def test_compare_prints_and_writes_a_page(store: Path, tmp_path: Path) -> None:
    a, b = (store / LABELS[label] for label in ("dev-alpha", "dev-beta"))
    printed = olmes("compare", a, b, "-o", tmp_path / "page.html")
    for name, task in loaded("dev-alpha").tasks.items():
        assert name in printed
        assert shown(task.score.value, task.score.unit) in printed
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    found = json.loads(olmes("compare", a, b, "--json"))
    assert [task["name"] for task in found["tasks"]] == list(loaded("dev-alpha").tasks)
    # Under seal the items are paired, and none is shown.
    sealed = [store / LABELS[label] for label in ("unseen-alpha", "unseen-beta")]
    found = json.loads(olmes("compare", *sealed, "--json"))
    assert len(found["tasks"]) == len(loaded("unseen-alpha").tasks)
    assert all(task["sealed"] and not task["flips"] for task in found["tasks"])
    mixed = [store / LABELS[f"mixed-weigher-{name}"] for name in ("one", "two")]
    found = json.loads(olmes("compare", *mixed, "--json"))
    assert {task["unit"] for task in found["tasks"]} == {"share", "number"}


@pytest.mark.parametrize("label", LABELS)
def test_its_page_shows_its_numbers(store: Path, label: str) -> None:
    folder = store / LABELS[label]
    olmes("report", folder)
    page = (folder / "report.html").read_text("utf-8")
    for task in loaded(label).tasks.values():
        assert shown(task.score.value, task.score.unit) in page


def test_a_leaderboard_has_the_runs_that_can_be_ranked(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "board.html"
    olmes("report", store, "-o", page)
    text = page.read_text("utf-8")
    for record in records_in(store):
        assert record.run.model.name in text


def test_the_page_of_a_training_has_its_steps(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "steps.html"
    folders = [store / LABELS[label] for label in SFT]
    olmes("report", *folders, "--as", "checkpoints", "-o", page)
    text = page.read_text("utf-8")
    for label in SFT:
        assert shown(known(loaded(label).run.suite).value, "share") in text


@pytest.mark.parametrize("form", ["md", "latex", "csv", "json"])
def test_tables_are_written_of_the_whole_store(store: Path, form: str) -> None:
    assert olmes("report", store, "--format", form)


def test_a_table_has_every_number_of_the_files(store: Path) -> None:
    rows = list(csv.DictReader(olmes("report", store, "--format", "csv").splitlines()))
    found = {(row["run"], row["task"], row["subtask"], row["metric"]): row["value"] for row in rows}
    count = 0
    for label in LABELS:
        run = raw(label)
        for path, score in scores(run):
            if path[0] == "tasks":
                subtask = path[3] if path[2] == "subtasks" else ""
                text = found[run["id"], path[1], subtask, path[-1]]
                assert (float(text) if text else None) == pytest.approx(score["value"])
                count += 1
        [text] = [row["value"] for row in rows if row["run"] == run["id"] and not row["task"]]
        mean = run_mean(loaded(label).run)  # of a suite whose tasks have no mean it is none
        assert (float(text) if text else None) == pytest.approx(mean.value if mean else None)
        count += 1
    assert count == len(rows)


def test_the_ledger_is_whole(store: Path) -> None:
    found = json.loads(olmes("ledger", "--out", store, "--json"))
    assert found["problems"] == []
    looks = [entry for entry in found["entries"] if entry["event"] == "run"]
    assert len(looks) == sum(record.run.held_out is not None for record in records_in(store))
    printed = olmes("ledger", "--out", store)
    assert "demo data" in printed
    assert "whole:" in printed


def test_a_look_is_opened(store: Path) -> None:
    folder = store / LABELS["unseen-alpha"]
    record = Record.load(folder)
    opened = json.loads(olmes("unseal", folder, "--reason", "to see", "--json"))["samples"]
    assert len(opened) == len(record.tasks)
    for name, task in record.tasks.items():
        assert sum(1 for _ in record.samples(name)) == task.n
    assert json.loads(olmes("ledger", "--out", store, "--json"))["problems"] == []


def test_what_was_tuned_is_held_against_what_was_not(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "generalization.html"
    printed = olmes("generalization", store, "-o", page)
    assert page.read_text("utf-8").startswith("<!doctype html>")
    found = json.loads(olmes("generalization", store, "--json"))
    assert len(found["models"]) == len({r.run.model.fingerprint for r in records_in(store)})
    records = {record.id: record for record in records_in(store)}
    for model, row in zip(found["models"], found["suites"]["rows"], strict=True):
        for side in ("dev", "unseen"):
            if score := row[side]:
                [run] = set(score["runs"].values())
                suite = known(records[run].run.suite)
                assert score["value"] == suite.value
                assert shown(suite.value, suite.unit) in printed
        assert model["runs"]
    olmes("report", store, "--as", "generalization", "-o", page)


def test_what_it_cost_is_said_as_far_as_it_is_known() -> None:
    for label in LABELS:
        cost = raw(label)["cost"]
        line = cost_line(loaded(label))
        assert f"{cost['requests']:,} requests" in line
        assert f"{cost['decode_tokens']:,} written" in line
