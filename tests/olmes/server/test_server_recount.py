"""A record says what its samples give, or is refused with the field that says something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import evaluate
from olmes.client.client import AnswerError, Client, files_of
from olmes.server.intake.run_files import take_in
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
SCHEMA_1 = Path(__file__).parents[1] / "records/schema1/store"


def accepted(folder: Path, work: Path) -> None:
    """Take a run in as the server's worker does."""
    files = files_of(folder)
    take_in(Settings(store=str(work)), files, {n: file_sha256(path) for n, path in files.items()})


def refused(folder: Path, work: Path) -> RefusedError:
    """What the server's worker says of a run that it does not take."""
    with pytest.raises(RefusedError) as found:
        accepted(folder, work)
    return found.value


def said(folder: Path, change: Callable[[JsonObject], object]) -> Path:
    """A run whose record says something else than it did."""
    data = json.loads((folder / "run.json").read_text())
    change(data)
    (folder / "run.json").write_text(json.dumps(data))
    return folder


def echo(data: JsonObject) -> Any:
    """The echo task of a record."""
    return data["tasks"]["echo"]


def metric(data: JsonObject, **numbers: float | None) -> None:
    """Change the primary metric."""
    echo(data)["metrics"]["exact_match"].update(numbers)


def score(value: float) -> JsonObject:
    """A score as a record has it."""
    return {"value": value, "stderr": None, "ci_low": None, "ci_high": None, "n": 12}


METRIC = "tasks.echo.metrics.exact_match"
SUITE: JsonObject = {
    "name": "one", "title": "One", "held_out": False, "aggregate": "mean", "complete": True,
    "tasks": ["echo"], "unit": "share",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda data: metric(data, value=1.0, ci_high=1.0), f"{METRIC}.value"),
        (lambda data: metric(data, value=0.83), f"{METRIC}.value"),
        (lambda data: metric(data, value=None), f"{METRIC}.value"),
        (lambda data: metric(data, n=11), f"{METRIC}.n"),
        (lambda data: echo(data).update(n=13), "tasks.echo.n"),
        (lambda data: echo(data).update(items=40), "tasks.echo.items"),
        (lambda data: echo(data)["counts"].update(truncated=3), "tasks.echo.counts.truncated"),
        (lambda data: echo(data)["counts"].update(failed=1), "tasks.echo.counts.failed"),
        (
            lambda data: echo(data)["metrics"].update(other=echo(data)["metrics"]["length_match"]),
            "tasks.echo.metrics.other.value",
        ),
        (
            lambda data: echo(data)["subtasks"].update(
                {"none": {"n": 12, "metrics": {"exact_match": score(1.0)}}}
            ),
            "tasks.echo.subtasks.none.metrics.exact_match.value",
        ),
        (lambda data: data.update(suite=SUITE | score(1.0)), "suite.value"),
        (
            lambda data: echo(data).update(
                repeats={"n": 2, "complete": True, "k": [1, 2], "metrics": {
                    "exact_match": {"binary": True, "at": [], "means": [1.0, 1.0], "sd": 0.0}}}
            ),
            "tasks.echo.repeats.n",
        ),
    ],
)  # fmt: skip
def test_a_record_that_says_more_than_its_samples_is_refused(
    copy_run: Callable[..., Path],
    tmp_path: Path,
    change: Callable[[JsonObject], object],
    field: str,
) -> None:
    folder = copy_run("honest")
    accepted(folder, tmp_path / "store")
    found = refused(said(folder, change), tmp_path / "store")
    assert found.field == field
    assert f"run.json: {field}: " in found.message


def test_the_same_over_the_wire(server: Running, copy_run: Callable[..., Path]) -> None:
    client = Client(server.url, patience=1)
    folder = said(copy_run("boasting", right=1), lambda data: metric(data, value=1.0, ci_high=1.0))
    with pytest.raises(AnswerError, match="says 1.0, and the samples give 0.08333") as found:
        client.push(folder)
    assert (found.value.status, found.value.field) == (422, f"{METRIC}.value")
    assert "boasting" not in {run["id"] for run in client.runs()}


def test_older_records_say_what_their_samples_give(tmp_path: Path) -> None:
    from olmes.records.record import record_folders

    folders = record_folders(SCHEMA_1)
    assert len(folders) == 21
    for folder in folders[::4]:
        accepted(folder, tmp_path / "store")


def test_repeats_failures_and_lengths_are_counted_as_the_run_did(
    bench: Path, tmp_path: Path
) -> None:
    """Several responses an item, one of them cut, one empty, one that breaks its scorer."""
    answers = [
        {"response": text, "doc_id": item, "finish": finish, "repeat": repeat, "tokens": 1}
        for item in range(12)
        for repeat, (text, finish) in enumerate(
            [(f"word{item}", "stop"), ("raise" if item == 3 else "", "length"), ("other", "stop")]
        )
    ]
    recording = tmp_path / "repeats.jsonl"
    recording.write_text("".join(json.dumps(row) + "\n" for row in answers))
    record = evaluate(
        str(ECHO), model=f"replay:{recording}", data=bench, out=tmp_path / "runs",
        settings={"echo.n": 3}, scoring_processes=1,
    )  # fmt: skip
    assert record.tasks["echo"].repeats
    assert record.tasks["echo"].said("truncated")
    accepted(record.folder, tmp_path / "store")

    def boast(data: JsonObject) -> None:
        echo(data)["repeats"]["metrics"]["exact_match"]["at"][1]["best"]["value"] = 0.01

    found = refused(said(record.folder, boast), tmp_path / "store")
    assert found.field == "tasks.echo.repeats.metrics.exact_match.at.1.best.value"


def test_a_run_with_a_response_without_a_score_is_not_complete(
    copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copy_run("broken")
    path = folder / "samples/echo.jsonl"
    path.write_text(path.read_text().replace('"flags": []', '"flags": ["crashed"]', 1))
    assert refused(folder, tmp_path / "store").field == "tasks.echo.counts.crashed"
    said(folder, lambda data: echo(data)["counts"].update(crashed=1))
    assert refused(folder, tmp_path / "store").field == "complete"
    accepted(said(folder, lambda data: data.update(complete=False)), tmp_path / "store")
