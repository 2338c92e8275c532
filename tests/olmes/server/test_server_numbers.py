"""Numbers of any size are refused with their field, and a record says what its samples give."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import evaluate
from olmes.client.client import AnswerError, Client, files_of
from olmes.server.intake.checks import checked_record
from olmes.server.intake.fields import parse_json
from olmes.server.intake.run_files import take_in
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
SCHEMA_1 = Path(__file__).parents[1] / "records/schema1/store"
HUGE = {"1e999": 1, "1" + "0" * 400: 1, "1e60": 0, "1" + "0" * 30: 0}
"""Numbers as JSON, and whether not even a free field takes them."""


def accepted(folder: Path, work: Path) -> None:
    """Take a run in as the server's worker does."""
    files = files_of(folder)
    take_in(Settings(store=str(work)), files, {n: file_sha256(path) for n, path in files.items()})


def refused(folder: Path, work: Path) -> RefusedError:
    """What the server's worker says of a run that it does not take."""
    with pytest.raises(RefusedError) as found:
        accepted(folder, work)
    assert 400 <= found.value.status < 500
    return found.value


def numbers_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where numbers stand in JSON, whole ones and others."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [path]
    if isinstance(value, list):
        value = dict(enumerate(value))
    members = value.items() if isinstance(value, dict) else ()
    return [place for key, one in members for place in numbers_of(one, (*path, key))]


def with_number(data: JsonObject, path: tuple[Any, ...], number: str) -> bytes:
    """JSON with a number, as text, in a place."""
    copy = json.loads(json.dumps(data))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = "@here@"
    return json.dumps(copy).replace('"@here@"', number).encode()


@pytest.mark.parametrize(
    "name",
    ["", *(pytest.param(f"*-{name}-*", marks=pytest.mark.slow) for name in ("mixed", "unseen"))],
)
def test_a_number_that_none_can_be_is_refused_in_every_field_of_a_record(
    real_run: Path, name: str
) -> None:
    folder = next(SCHEMA_1.glob(name)) if name else real_run
    data = json.loads((folder / "run.json").read_bytes())
    places = numbers_of(data)
    assert len(places) > 40
    for path in places:
        for number, always in HUGE.items():
            content = with_number(data, path, number)
            if always:
                with pytest.raises(RefusedError) as found:
                    checked_record(parse_json(content, "run.json"))
                assert found.value.field == ".".join(map(str, path))
            else:
                with contextlib.suppress(RefusedError):
                    checked_record(parse_json(content, "run.json"))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400, "1" + "0" * 60])
@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"doc_id": 3', '"doc_id": %s', "doc_id"),
        ('"repeat": 0', '"repeat": %s', "repeat"),
        ('"exact_match": 1.0', '"exact_match": %s', "values.exact_match"),
        ('"exact_match": 1.0', '"exact_match": [0.5, %s]', "values.exact_match"),
        ('"prompt_tokens": 0', '"prompt_tokens": %s', "response.prompt_tokens"),
        ('"completion_tokens": 1', '"completion_tokens": %s', "response.completion_tokens"),
    ],
)
def test_a_row_s_number_is_refused_with_its_line_and_field(
    copy_run: Callable[..., Path], tmp_path: Path, old: str, new: str, field: str, number: str
) -> None:
    folder = copy_run("row")
    path = folder / "samples/echo.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[3]
    lines[3] = lines[3].replace(old, new % number, 1)
    path.write_text("".join(lines))
    said = refused(folder, tmp_path / "store")
    assert said.field.startswith(f"samples/echo.jsonl, line 4: {field}")
    assert said.status == 422


@pytest.mark.parametrize("free", ["gold", "extracted", "unknown"])
def test_free_json_of_a_row_holds_what_a_double_holds(
    copy_run: Callable[..., Path], tmp_path: Path, free: str
) -> None:
    folder = copy_run("free")
    path = folder / "samples/echo.jsonl"
    lines = path.read_text().splitlines()
    for number, taken in (("123456789012345678901234567890", True), ("1e999", False)):
        lines[3] = json.dumps(json.loads(lines[3]) | {free: "@"}).replace('"@"', f"[{number}]")
        path.write_text("\n".join(lines) + "\n")
        if taken:
            accepted(folder, tmp_path / "store")
        else:
            assert refused(folder, tmp_path / "store").field.endswith(f"line 4: {free}.0")


@pytest.mark.parametrize(
    "created",
    [
        "0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-01T24:61:00Z", "2026-01-01T00:00:00+99:99", "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:00:00-23:00", "2026-01-01T00:00:00." + "1" * 40 + "Z",
        "２０２６-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_a_time_that_no_calendar_has_is_refused(real_run: Path, created: str) -> None:
    data = json.loads((real_run / "run.json").read_bytes())
    with pytest.raises(RefusedError) as found:
        checked_record(data | {"created": created})
    assert found.value.field == "created"
    for fine in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-30T12:00:00.25+05:30"):
        checked_record(data | {"created": fine})


ASKED = {
    "margin": "/compare?a={run}&b={run}&margin={number}",
    "doc_id": "/runs/{run}/tasks/echo/samples?doc_id={number}",
    "start": "/runs/{run}/tasks/echo/samples?start={number}",
    "limit": "/runs/{run}/tasks/echo/samples?limit={number}",
    "at": "/runs/{run}/tasks/echo/samples/{number}",
    "before": "/audit?before={number}",
    "since": "/events?since={number}",
}


def test_numbers_of_a_query_or_a_report_are_refused_with_their_name(
    server: Running, copy_run: Callable[..., Path]
) -> None:
    Client(server.url).push(copy_run("asked"))
    for field, place in ASKED.items():
        for number in ("1e999", "9" * 400, "9" * 5000, "nan", "-inf", "9" * 30, "0x10"):
            address = server.url + "/api/v1" + place.format(run="asked", number=number)
            answer = requests.get(address, timeout=60)
            assert answer.status_code in (404, 422), (field, number, answer.text)
            assert answer.json()["error"]["field"] == field
    for field in ("done", "total"):
        for number in ("1e999", "9" * 400, "9" * 5000, "NaN", "-1", "1.5", "9" * 30):
            body = json.dumps({"run": "x", "done": 1, "total": 2} | {field: "@"})
            answer = requests.post(
                f"{server.url}/api/v1/progress",
                data=body.replace('"@"', number),
                headers={"content-type": "application/json"},
                timeout=30,
            )
            assert answer.status_code in (400, 422), (field, number, answer.text)
            assert answer.json()["error"]["field"] in (field, "body")


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
        (lambda data: echo(data)["counts"].update(failed=1), "complete"),
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
