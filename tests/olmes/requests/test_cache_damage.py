"""A damaged response cache: said once with the remedy and in the record; it stops no run."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.requests import response_cache
from olmes.requests.response_cache import ResponseCache
from olmes.tools import notices
from olmes.types import Generation, Request, Response
from tests.olmes.requests.conftest import Sayer

if TYPE_CHECKING:
    from olmes import Record
    from tests.olmes.requests.conftest import RunOn

WHOLE = Response(text="word3", prompt_tokens=3, completion_tokens=1).to_json()
ROWS: dict[str, Any] = {
    "no JSON": "{oops",
    "empty": "",
    "no text": json.dumps({"finish": "stop"}),
    "no object": "5",
    "a list": "[]",
    "null": "null",
    "NULL": None,
    "a number": 7,
    "bytes": b"\xff\xfe\x00",
    "text that is no UTF-8": b"CAST",
    "text is a number": json.dumps({**WHOLE, "text": 5}),
    "tokens are huge": json.dumps({**WHOLE, "prompt_tokens": 10**400}),
    "tokens are negative": json.dumps({**WHOLE, "completion_tokens": -2}),
    "finish unknown": json.dumps({**WHOLE, "finish": "bored"}),
    "failed": json.dumps({**WHOLE, "error": "out of memory"}),
    "deep": "[" * 100_000,
    "packed is a number": json.dumps({"packed": 5}),
    "packed is no base64": json.dumps({"packed": "\u00e4"}),
    "packed is no zlib": json.dumps({"packed": "AAAA"}),
    "packed and more": json.dumps({"packed": "AAAA", "text": "x"}),
    "of a newer olmes": json.dumps({**WHOLE, "mood": "fine"}),
}
NEWER = (ROWS["packed and more"], ROWS["of a newer olmes"])


@pytest.fixture(autouse=True)
def unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "SAID", set())


def put(path: Path, row: Any) -> None:
    """Put a row by hand over the one there is."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if row == b"CAST":
            connection.execute("UPDATE responses SET response = CAST(x'7b22ff227d' AS TEXT)")
        else:
            connection.execute("UPDATE responses SET response = ?", (row,))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_that_cannot_be_read_counts_as_none(
    tmp_path: Path, row: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "responses.sqlite"
    cache = ResponseCache(path)
    cache.put("k", Response(text="old"))
    cache.close()
    put(path, row)
    for read_only in (True, False):
        cache = ResponseCache(path, read_only=read_only)
        assert cache.get("k") is None
        assert cache.get("k") is None
        assert cache.trouble == ""
        [said] = cache.said
        # To say it is the run's own cache's; it is looked into before that, too.
        assert capsys.readouterr().err == ("" if read_only else f"olmes: {said}\n")
        assert str(path) in said
        if not read_only:
            cache.put("k", Response(text="new"))
        cache.close()
    again = ResponseCache(path)
    if row in NEWER:
        # It is the newer one's, which shares the file.
        assert again.get("k") is None
        assert again.execute("SELECT response FROM responses") == row.encode()
    else:
        assert again.get("k") == Response(text="new")
        assert again.said == []
    again.close()


def test_a_stored_key_that_is_none_is_made_again(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "responses.sqlite")
    for key in ("zz", "", "é", "a" * 63, "a" * 64 + "\n"):
        cache.store_key("request", key)
        assert cache.stored_key("request") is None
    cache.store_key("request", "a" * 64)
    assert cache.stored_key("request") == "a" * 64
    cache.close()


def test_what_weighs_other_continuations_is_no_answer(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "responses.sqlite")
    request = Request(prompt="a", continuations=("x", "y"), generation=Generation(max_tokens=1))
    cache.put("k", Response(logprobs=(-1.0,)))
    assert cache.get("k", request) is None
    cache.put("k", Response(logprobs=(-1.0, -2.0)))
    assert cache.get("k", request) is not None
    cache.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def corrupted(path: Path) -> None:
    """Pages of a real database overwritten, its first one left."""
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xa5" * (size - 4096))


def truncated(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2 + 100)


def other_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE responses (answer TEXT)")
        connection.execute("CREATE TABLE keys (other TEXT)")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BROKEN: list[Callable[[Path], None]] = [garbage, corrupted, truncated, other_tables, a_folder]


def of_cache(record: Record) -> list[str]:
    return [warning for warning in record.run.warnings if "response cache" in warning]


def warm(run_on: RunOn, tmp_path: Path) -> tuple[Path, Record]:
    record = run_on(Sayer(), "first")
    return tmp_path / "cache/responses.sqlite", record


@pytest.mark.parametrize("breaks", BROKEN)
def test_a_run_goes_on_without_a_broken_cache(
    run_on: RunOn,
    tmp_path: Path,
    breaks: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, first = warm(run_on, tmp_path)
    assert of_cache(first) == []
    breaks(path)
    capsys.readouterr()
    model = Sayer()
    record = run_on(model, "again")
    assert record.complete
    assert len(model.asked) == 12
    assert record.tasks["echo"].metrics == first.tasks["echo"].metrics
    said = [line for line in capsys.readouterr().err.splitlines() if "response cache" in line]
    assert len(said) == 1
    assert of_cache(record)
    for warning in of_cache(record):
        assert f"olmes: {warning}" in said
        assert str(path) in warning
        assert "delete that file, set $OLMES_CACHE to another folder, or give --no-cache" in warning


def test_a_row_of_another_version_costs_its_request_alone(run_on: RunOn, tmp_path: Path) -> None:
    path, _ = warm(run_on, tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        for word, row in [("word3", "{oops"), ("word5", json.dumps({**WHOLE, "mood": "fine"}))]:
            connection.execute(
                "UPDATE responses SET response = ? WHERE response LIKE ?", (row, f'%"{word}"%')
            )
    model = Sayer()
    record = run_on(model, "again")
    assert model.asked == ["word3", "word5"]
    assert record.complete
    [warning] = of_cache(record)
    assert "damaged or of a newer olmes" in warning


def test_a_locked_cache_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "responses.sqlite"
    ResponseCache(path).close()
    monkeypatch.setattr(response_cache, "PATIENCE", 0.2)
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
         "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    assert holder.stdin
    holder.stdout.readline()
    cache = ResponseCache(path)
    cache.put("k", Response(text="x"))
    holder.stdin.close()
    holder.wait()
    assert "database is locked; end the process that holds it" in cache.trouble
    assert cache.get("k") is None


def test_a_full_disk_ends_the_cache_and_not_the_run(tmp_path: Path) -> None:
    """With a limit on the size of files: a disk of our own takes root."""
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from olmes.requests.response_cache import ResponseCache; from olmes.types import Response;"
        "cache = ResponseCache(Path(sys.argv[1])); signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "[cache.put(str(n), Response(text=str(n) * 5000)) for n in range(40)]; print(cache.trouble)"
    )
    path = tmp_path / "responses.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "the response cache is off for this run" in ended.stdout
    cache = ResponseCache(path)
    assert cache.get("0") == Response(text="0" * 5000)
    cache.close()


def test_a_file_that_vanishes_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep/responses.sqlite"
    cache = ResponseCache(path)
    cache.put("k", Response(text="x"))
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    for number in range(20):
        cache.put(str(number), Response(text="y" * 5000))
        cache.get(str(number))
    cache.close()


def test_responses_under_seal_are_not_read_by_chance(run_on: RunOn, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    path = folder / "responses.sqlite"

    def bytes_there() -> bytes:
        return b"".join(file.read_bytes() for file in folder.glob("responses*"))

    record = run_on(Sayer(), "sealed", "final")
    assert record.complete
    assert b"word3" not in bytes_there()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Nothing is asked again, by another look or by an open task with the same requests.
    for out, look in [("sealed-2", "once more"), ("open", None)]:
        model = Sayer()
        again = run_on(model, out, look)
        assert model.asked == []
        assert again.tasks["echo"].metrics == record.tasks["echo"].metrics
    assert b"word3" not in bytes_there()


def test_what_was_stored_open_is_packed_when_a_held_out_run_takes_it(
    run_on: RunOn, tmp_path: Path
) -> None:
    path, first = warm(run_on, tmp_path)
    assert b"word3" in path.read_bytes()
    model = Sayer()
    record = run_on(model, "sealed", "final")
    assert model.asked == []
    assert record.tasks["echo"].metrics == first.tasks["echo"].metrics
    assert all(b"word3" not in file.read_bytes() for file in path.parent.glob("responses*"))
