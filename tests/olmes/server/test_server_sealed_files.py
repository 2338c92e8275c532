"""Files under seal are unpacked and counted when they arrive: what could not be opened is refused."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.client.client import AnswerError, Client, files_of
from olmes.seal.ledger import Ledger
from olmes.server.intake import sealed_rows
from olmes.server.intake.checks import checked_record
from olmes.server.intake.run_files import take_in
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running


def resealed(
    folder: Path, content: bytes, change: Callable[[JsonObject], object] = lambda data: None
) -> Path:
    """A look with another file under seal, and a record and a ledger that go with it."""
    place = folder / "sealed/echo.jsonl.gz"
    place.write_bytes(content)
    data = json.loads((folder / "run.json").read_text())
    data["held_out"]["sealed"]["echo"]["sha256"] = file_sha256(place)
    change(data)
    (folder / "run.json").write_text(json.dumps(data))
    ledger = Ledger(folder.parent)
    look = ledger.path.read_text().splitlines(keepends=True)[0]
    ledger.path.write_text(look)
    entry = json.loads(look)
    ledger.head.write_text(json.dumps({key: entry[key] for key in ("number", "hash")}))
    ledger.append("result", folder.name, {"record": file_sha256(folder / "run.json")})
    return folder


def rows_of(folder: Path) -> list[bytes]:
    """The lines under seal."""
    packed = (folder / "sealed/echo.jsonl.gz").read_bytes()
    return gzip.decompress(packed).splitlines(keepends=True)


def taken(folder: Path, work: Path) -> None:
    """Take a run in as the server's worker does."""
    files = files_of(folder)
    take_in(Settings(store=str(work)), files, {n: file_sha256(path) for n, path in files.items()})


def rows(count: int) -> Callable[[JsonObject], object]:
    """Say how many rows are under seal."""
    return lambda data: data["held_out"]["sealed"]["echo"].update(rows=count)


def boast(data: JsonObject) -> None:
    """Say that every response was right."""
    data["tasks"]["echo"]["metrics"]["exact_match"].update(value=1.0, ci_high=1.0)


FILE = "sealed/echo.jsonl.gz"


@pytest.mark.parametrize(
    ("content", "change", "field", "why"),
    [
        (lambda lines: b"\x1f\x8bno gzip", rows(12), FILE, "cannot be unpacked"),
        (lambda lines: b"".join(lines), rows(12), FILE, "cannot be unpacked"),
        (lambda lines: gzip.compress(b"".join(lines))[:-9], rows(12), FILE, "cannot be unpacked"),
        (lambda lines: gzip.compress(b"".join(lines)) + b"x", rows(12), FILE, "cannot be unpacked"),
        (lambda lines: b"", rows(12), "held_out.sealed.echo.rows", "holds 0"),
        (
            lambda lines: gzip.compress(b"".join(lines)), rows(400), "held_out.sealed.echo.rows",
            "says 400, and the file holds 12",
        ),
        (
            lambda lines: gzip.compress(b"".join(lines[:3])), rows(3), "tasks.echo.n",
            "says 12, and samples/echo.jsonl holds 3 rows",
        ),
        (
            lambda lines: gzip.compress(b"".join(lines).replace(b'"doc_id": 3', b'"doc_id": 1e999')),
            rows(12), f"{FILE}, line 4: doc_id", "is not finite",
        ),
        (lambda lines: gzip.compress(b"[" * 100_000 + b"\n"), rows(1), f"{FILE}, line 1", "deep"),
        (
            lambda lines: gzip.compress(b"".join(lines)), boast,
            "tasks.echo.metrics.exact_match.value", "the samples give 0.83333",
        ),
    ],
)  # fmt: skip
def test_what_is_under_seal_and_is_not_what_it_is_said_to_be_is_refused(
    sealed_run: Path,
    tmp_path: Path,
    content: Callable[[list[bytes]], bytes],
    change: Callable[[JsonObject], object],
    field: str,
    why: str,
) -> None:
    lines = rows_of(sealed_run)
    taken(resealed(sealed_run, gzip.compress(b"".join(lines))), tmp_path / "store")
    with pytest.raises(RefusedError, match=why) as refused:
        taken(resealed(sealed_run, content(lines), change), tmp_path / "store")
    assert refused.value.field == field
    assert 400 <= refused.value.status < 500


@pytest.mark.slow
def test_a_bomb_is_given_up_at_two_hundred_times_its_size(sealed_run: Path, tmp_path: Path) -> None:
    line = rows_of(sealed_run)[0]
    count = (64 << 20) // len(line)
    bomb = gzip.compress(line * count, 9)
    assert len(bomb) < 1 << 20
    started = time.thread_time()
    with pytest.raises(RefusedError, match="holds more than") as refused:
        taken(resealed(sealed_run, bomb, rows(count)), tmp_path / "store")
    assert (refused.value.status, refused.value.field) == (413, FILE)
    assert time.thread_time() - started < 30


def test_a_file_that_takes_too_long_is_given_up(
    sealed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = rows_of(sealed_run) * 100
    monkeypatch.setattr(sealed_rows, "SECONDS", -1.0)
    with pytest.raises(RefusedError, match="takes longer than") as refused:
        taken(resealed(sealed_run, gzip.compress(b"".join(lines)), rows(1200)), tmp_path / "store")
    assert refused.value.status == 413


def test_a_record_of_a_newer_olmes_asks_for_a_newer_server(real_run: Path) -> None:
    data = json.loads((real_run / "run.json").read_text())
    newer = {"olmes": {**data["olmes"], "version": "99.1.0"}}
    unknown = {"model": {**data["model"], "step": "of a kind that comes later"}}
    for change in ({"schema": 3}, {"schema": 10**30}, newer | unknown):
        with pytest.raises(RefusedError, match="update the server"):
            checked_record(data | change)
    for change in ({"schema": 0}, unknown):
        with pytest.raises(RefusedError) as refused:
            checked_record(data | change)
        assert "update the server" not in refused.value.message
    checked_record(data | newer)


@pytest.mark.slow
def test_a_file_that_takes_its_time_holds_no_other_run(
    launch: Callable[..., Running], sealed_run: Path, copy_run: Callable[..., Path]
) -> None:
    lines = rows_of(sealed_run)
    many = resealed(sealed_run, gzip.compress(b"".join(lines * 3000), 1), rows(36_000))
    server = launch()
    over: list[float] = []

    def push() -> None:
        with pytest.raises(AnswerError):
            Client(server.url, patience=5).push(many)
        over.append(time.monotonic())

    pushing = threading.Thread(target=push)
    client = Client(server.url, patience=5)
    client.push(copy_run("before"))  # its worker is there
    pushing.start()
    deadline = time.monotonic() + 60
    while "commit" not in server.log() and time.monotonic() < deadline:
        if any((server.work / "staging").glob("*/1")):
            break
        time.sleep(0.01)
    client.push(copy_run("meanwhile"))
    done = time.monotonic()
    pushing.join(300)
    assert over
    assert done < over[0]
