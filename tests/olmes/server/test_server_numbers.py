"""Numbers of any size, and times of no calendar, are refused with their field."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.client.client import Client, files_of
from olmes.client.session import ServerSession
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
        for number in ("1e999", "9" * 400, "9" * 5000, "nan"):
            address = server.url + "/api/v1" + place.format(run="asked", number=number)
            answer = ServerSession("").get(address, timeout=60)
            assert answer.status_code in (404, 422), (field, number, answer.text)
            assert answer.json()["error"]["field"] == field
    for field in ("done", "total"):
        for number in ("1e999", "9" * 400, "9" * 5000, "NaN", "-1", "1.5", "9" * 30):
            body = json.dumps({"run": "x", "done": 1, "total": 2} | {field: "@"})
            answer = ServerSession("").post(
                f"{server.url}/api/v1/progress",
                data=body.replace('"@"', number),
                headers={"content-type": "application/json"},
                timeout=30,
            )
            assert answer.status_code in (400, 422), (field, number, answer.text)
            assert answer.json()["error"]["field"] in (field, "body")
