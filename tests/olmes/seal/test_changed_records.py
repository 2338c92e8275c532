"""A record that was edited says so wherever its numbers are read; a clock that went back is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import olmes
from olmes import Record
from olmes.cli import olmes as group
from olmes.seal import ledger as ledger_module
from olmes.seal.ledger import Ledger
from olmes.seal.verify import backward_steps, verify

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

SAID = "was changed after it was written; see `olmes ledger`"


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(group, [str(one) for one in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return result


def folders(store: Path) -> list[Path]:
    return sorted(path.parent for path in store.glob("*/run.json"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "run.json"
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")


def better(data: dict[str, Any]) -> None:
    data["tasks"]["echo"]["metrics"]["exact_match"]["value"] = 0.95


def without_look(data: dict[str, Any]) -> None:
    data["held_out"] = None


def test_whoever_reads_an_edited_record_is_told_on_the_screen_and_on_the_page(
    store: Path, exam: Path, echo: EchoBench, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    open_task = tmp_path / "open_echo.py"
    open_task.write_text(echo.task.read_text("utf-8").replace('"echo"', '"open_echo"'), "utf-8")
    with exam.open("a") as stream:
        stream.write('[[pairs]]\ndev = ["open_echo"]\nunseen = "echo"\n')
    options: dict[str, Any] = {"data": echo.data, "scoring_processes": 1, "out": store}
    model = f"replay:{echo.recording}"
    dev = olmes.evaluate(str(open_task), model=model, **options)
    a = olmes.evaluate(str(exam), model=model, look="with pairs", **options).folder
    b = next(one for one in folders(store) if one not in (a, dev.folder))
    readings: dict[str, tuple[object, ...]] = {
        "run": ("report", a),
        "board": ("report", store),
        "comparison": ("compare", b, a),
        "generalization": ("generalization", dev.folder, a),
    }
    for command in readings.values():
        assert SAID not in call(*command, "-o", page).output
        assert "was changed after" not in page.read_text("utf-8")
    edit(a, better)
    for command in readings.values():
        assert SAID in " ".join(call(*command, "-o", page).output.split()), command
        assert "was changed after it was written" in page.read_text("utf-8"), command
    edit(a, without_look)  # so that nothing in it says any more that it was one
    for name in ("board", "comparison"):  # the others need its samples, or its look
        assert SAID in " ".join(call(*readings[name], "-o", page).output.split()), name
        assert "was changed after it was written" in page.read_text("utf-8"), name


def test_tables_frames_gates_and_a_run_that_is_finished_tell_too(
    store: Path, exam: Path, echo: EchoBench
) -> None:
    a, b = folders(store)
    for folder in (a, b):
        edit(folder, better)
    for form in ("json", "md", "csv"):
        told = call("report", store, "--format", form)
        assert told.stderr.count(SAID) == 2
        assert SAID not in told.stdout
    assert call("gate", a, b, "--no-record").stderr.count(SAID) == 2
    again = call(
        "run", "--suite", exam, "--model", f"replay:{echo.recording}", "--data", echo.data,
        "--out", store, "--reason", "as before", "--scoring-processes", 1,
    )  # fmt: skip
    assert SAID in again.stderr
    with pytest.warns(UserWarning, match="was changed after it was written"):
        olmes.load(store)


def test_untouched_moved_and_open_records_say_nothing(
    store: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    folder = folders(store)[0]
    assert all(Record.load(one).altered == "" for one in folders(store))
    folder.rename(tmp_path / "alone")  # no ledger beside it says what it was
    edit(tmp_path / "alone", better)
    assert Record.load(tmp_path / "alone").altered == ""
    olmes.load(store)
    assert not [one for one in recwarn.list if "was changed" in str(one.message)]


def test_a_broken_ledger_beside_a_record_breaks_no_reading(store: Path) -> None:
    path = Ledger(store).path
    odd = [b"[" * 100_000 + b'"result"', b'["result"]', b'{"event": "result"}', b"\xff\xfe result"]
    path.write_bytes(b"\n".join([*odd, *path.read_bytes().splitlines()]))
    edit(folders(store)[0], better)
    assert SAID in Record.load(folders(store)[0]).altered
    path.unlink()
    assert Record.load(folders(store)[0]).altered == ""


class Clock(datetime):
    """The machine's clock as somebody set it; the real one cannot be had in a test."""

    when = "2026-01-01T00:00:00+00:00"

    @classmethod
    def now(cls, tz: Any = None) -> Clock:
        return cls.fromisoformat(cls.when)


def test_lines_that_go_back_in_time_are_told_and_block_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "datetime", Clock)
    times = ("2026-05-01T10:00", "2026-05-01T09:45", "2019-03-02T10:00", "2026-05-02T00:00")
    for time in times:
        monkeypatch.setattr(Clock, "when", f"{time}:00+00:00")
        Ledger(tmp_path).append("run", "r", {"reason": "x"})
    assert verify(tmp_path) == []
    [note] = backward_steps(Ledger(tmp_path).entries())
    assert note.startswith("line 3 is dated 2,616 days earlier than line 2, which it follows")
    told = call("ledger", "--out", tmp_path)
    assert told.return_value == 0
    assert "! line 3 is dated 2,616 days earlier" in told.output
    assert "whole" not in told.output
    listed = json.loads(call("ledger", "--out", tmp_path, "--json").output)
    assert (listed["problems"], listed["notes"]) == ([], [note])


@pytest.mark.parametrize("time", [None, 3, "yesterday", "", "9999-99-99", "2026-01-01T00:00:00"])
def test_a_line_without_a_time_is_passed_over(time: object) -> None:
    lines = [{"number": 1, "time": "2026-01-01T00:00:00Z"}, {"number": 2, "time": time}]
    assert backward_steps(lines) == []
