"""Locks on file systems that have none: real processes behind a library that refuses them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.requests.journal import Journal
from olmes.tools import owner_files
from olmes.tools.locks import Lock, held, locked
from tests.olmes.tools.refusing_library import build_shim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
NO_LOCKS = [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, 524]
HOLD = """
import sys, time
from pathlib import Path
from olmes.requests.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
TRY = """
import sys
from pathlib import Path
from olmes.requests.journal import Journal
Journal(Path(sys.argv[1])).close(remove=True)
print("free")
"""
APPEND = """
import sys
from pathlib import Path
from olmes.seal.ledger import Ledger
for number in range(5):
    Ledger(Path(sys.argv[1])).append("look", f"{sys.argv[2]}-{number}", {})
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("shim"))


def python(code: str, *words: str, shim: Path, **errors: int) -> subprocess.Popen[str]:
    numbers = {name: str(number) for name, number in errors.items()}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "LD_PRELOAD": str(shim), **numbers},
    )  # fmt: skip


@pytest.mark.parametrize("number", NO_LOCKS, ids=str)
def test_one_process_at_a_time_and_a_killed_one_is_taken_over(
    number: int, shim: Path, tmp_path: Path
) -> None:
    holder = python(HOLD, str(tmp_path), shim=shim, FLOCK_ERRNO=number)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    said, wrong = python(TRY, str(tmp_path), shim=shim, FLOCK_ERRNO=number).communicate(timeout=60)
    assert said == ""
    assert "another process is writing" in wrong
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    # Its owner file is there, and the process is not.
    assert (tmp_path / "journal.jsonl.owner").exists()
    said, wrong = python(TRY, str(tmp_path), shim=shim, FLOCK_ERRNO=number).communicate(timeout=60)
    assert said == "free\n", wrong
    assert wrong.count("has no locks") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_another_process_holds_is_still_that(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(OlmesError, match="another process is writing"):
        Journal(tmp_path)
    journal.close()
    assert not list(tmp_path.glob("*.owner"))


def test_the_ledger_has_every_line_of_processes_that_write_at_once(
    shim: Path, tmp_path: Path
) -> None:
    writers = [
        python(APPEND, str(tmp_path), name, shim=shim, FLOCK_ERRNO=errno.ENOLCK) for name in "ab"
    ]
    for writer in writers:
        _, wrong = writer.communicate(timeout=120)
        assert writer.returncode == 0, wrong
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, 11))


@pytest.fixture
def lockless(monkeypatch: pytest.MonkeyPatch) -> None:
    """`flock` patched, where one process is enough."""
    import fcntl

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


def owner(path: Path, **changes: Any) -> Path:
    file = path.with_name(path.name + ".owner")
    file.write_text(json.dumps({**owner_files.myself(), "lock": "x", **changes}))
    return file


@pytest.mark.parametrize(
    ("changes", "age", "free"),
    [
        ({"started": "1"}, 0, True),  # the process id was given to another
        ({"pid": 2**22 + 7}, 0, True),
        ({}, 10_000, False),  # alive, however old
        ({"host": "elsewhere"}, 0, False),
        ({"host": "elsewhere"}, 10_000, True),
    ],
)
def test_who_is_taken_over(
    changes: dict[str, Any], age: float, free: bool, lockless: None, tmp_path: Path
) -> None:
    path = tmp_path / "one.lock"
    path.touch()
    file = owner(path, **changes)
    then = time.time() - age
    os.utime(file, (then, then))
    assert held(path) is not free
    lock = Lock.take(path)
    assert (lock is not None) is free
    if lock is not None:
        assert held(path)
        lock.release()
        assert not held(path)


def test_a_file_that_its_maker_has_not_written_yet_is_held_for_a_moment(
    lockless: None, tmp_path: Path
) -> None:
    path = tmp_path / "one.lock"
    path.touch()
    file = path.with_name("one.lock.owner")
    file.touch()
    assert held(path)
    os.utime(file, (0, 0))
    assert not held(path)


def test_a_dead_owner_is_not_taken_away_from_who_was_faster(tmp_path: Path) -> None:
    file = tmp_path / "x.owner"
    file.write_text("the new owner's")
    owner_files.take_away(file, "the dead owner's")
    assert file.read_text() == "the new owner's"
    owner_files.take_away(file, "the new owner's")
    assert list(tmp_path.iterdir()) == []


def test_files_are_renewed(lockless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = Lock.take(tmp_path / "one.lock")
    assert lock is not None
    file = tmp_path / "one.lock.owner"
    os.utime(file, (0, 0))
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) > 1:
            raise InterruptedError

    monkeypatch.setattr("olmes.tools.owner_files.time.sleep", nap)
    with pytest.raises(InterruptedError):
        owner_files.renew()
    assert file.stat().st_mtime > 0
    lock.release()


def test_other_errors_are_told_as_they_are(tmp_path: Path) -> None:
    stream = (tmp_path / "x").open("a+b")
    stream.close()
    with pytest.raises(ValueError, match="closed"), locked(stream, tmp_path / "x"):
        pass
