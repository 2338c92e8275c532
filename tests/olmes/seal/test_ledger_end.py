"""What a chain of hashes alone does not show: lines cut off at the ledger's end, and odd content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, evaluate
from olmes.seal.ledger import Ledger
from olmes.seal.sealing import unseal
from olmes.seal.verify import verify
from tests.known import known

if TYPE_CHECKING:
    from olmes import Record
    from olmes.models.base import Done, Model
    from olmes.types import Request
    from tests.olmes.conftest import EchoBench


def cut(store: Path, kept: int) -> None:
    """Keep the ledger's first lines."""
    path = Ledger(store).path
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:kept]))


def folder_of(store: Path) -> Path:
    return next(path.parent for path in store.glob("*/run.json"))


def test_a_look_whose_run_was_deleted_too_shows(
    store: Path, take_exam: Callable[..., Record]
) -> None:
    record = take_exam(store, "a bad idea", limit=2)
    shutil.rmtree(record.folder)
    assert verify(store) == []
    cut(store, 4)
    assert verify(store) == [
        "line 6 is not the one that ledger.head names: lines were cut off or changed"
    ]


def test_a_look_that_was_killed_before_its_record_shows(
    store: Path, take_exam: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmes.models.replay import ReplayModel

    def stopped(self: Model, requests: Sequence[Request], done: Done) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ReplayModel, "generate", stopped)
        with pytest.raises(KeyboardInterrupt):
            take_exam(store, "third", limit=3)
    assert len(Ledger(store).entries()) == 5
    cut(store, 4)
    assert any("ledger.head names" in problem for problem in verify(store))


def test_an_unsealing_cut_off_shows_though_the_samples_are_gone_again(store: Path) -> None:
    folder = folder_of(store)
    unseal(folder, "curious")
    shutil.rmtree(folder / "samples")
    assert verify(store) == []
    cut(store, 4)
    assert any("ledger.head names" in problem for problem in verify(store))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "ledger.head is missing"),
        ("", "is not a line's number and hash"),
        ("[1]", "is not a line's number and hash"),
        ('{"number": 0, "hash": ""}', "line 0 is not the one"),
        ('{"number": 4, "hash": "00"}', "line 4 is not the one"),
    ],
)
def test_a_head_that_was_removed_or_rewritten_shows(
    store: Path, take_exam: Callable[..., Record], content: str | None, said: str
) -> None:
    head = Ledger(store).head
    head.unlink()
    if content is not None:
        head.write_text(content, "utf-8")
    assert any(said in problem for problem in verify(store))
    with pytest.raises(OlmesError, match="was tampered with"):
        take_exam(store, "another", limit=2)


def test_a_head_one_line_behind_is_a_kill_and_no_fault(
    store: Path, take_exam: Callable[..., Record]
) -> None:
    """The line is on disk before the head names it."""
    first = Ledger(store).entries()[2]
    Ledger(store).head.write_text(json.dumps({key: first[key] for key in ("number", "hash")}))
    assert verify(store) == []
    take_exam(store, "after the kill", limit=2)
    assert json.loads(Ledger(store).head.read_text("utf-8"))["number"] == 6


def test_no_look_is_counted_where_the_ledger_was_thrown_away(
    store: Path, take_exam: Callable[..., Record]
) -> None:
    """A new ledger would say that there was no look before."""
    ledger = Ledger(store)
    ledger.path.unlink()
    ledger.head.unlink()
    with pytest.raises(OlmesError, match=r"lacks line \d, the look that .* was; restore"):
        take_exam(store, "as if it were the first", limit=2)
    for path in list(store.glob("*/run.json")):
        shutil.rmtree(path.parent)
    # Where the whole store went the machine remembers the looks.
    assert known(take_exam(store, limit=2).run.held_out).looks_before == 2


def test_a_last_line_without_its_line_break_is_kept(
    store: Path, take_exam: Callable[..., Record]
) -> None:
    """Some editors take it away; the look before it must not go with it."""
    path = Ledger(store).path
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert verify(store) == []
    record = take_exam(store, "after an editor", limit=2)
    assert verify(store) == []
    assert len(Ledger(store).entries()) == 6
    assert known(record.run.held_out).looks_before == 2


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[" * 100_000, b'{"event": "run"}', b"\xff", b"NaN", b'{"hash": 1e999, "number": []}'],
)
def test_odd_lines_are_told_and_crash_nothing(store: Path, line: bytes) -> None:
    from click.testing import CliRunner

    from olmes.cli.ledger import command

    path = Ledger(store).path
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], line, *lines[2:], b""]))
    assert any("line 2" in problem for problem in verify(store))
    result = CliRunner().invoke(command, ["--out", str(store)], standalone_mode=False)
    assert result.exception is None, result.exception
    assert result.return_value == 1
    assert "! line 2" in result.output


@pytest.mark.parametrize(
    "held",
    [{}, {"ledger": {}}, {"ledger": {"number": "1"}}, {"ledger": None, "sealed": {"echo": 1}}],
)
def test_a_record_edited_to_hide_its_look_is_told(
    store: Path, take_exam: Callable[..., Record], held: dict[str, Any]
) -> None:
    path = folder_of(store) / "run.json"
    data = json.loads(path.read_text("utf-8"))
    data["held_out"] = held
    path.write_text(json.dumps(data), "utf-8")
    said = verify(store)
    assert any("was changed" in problem for problem in said)
    with pytest.raises(OlmesError, match="the look that"):
        take_exam(store, "another", limit=2)


def test_a_run_that_goes_on_needs_no_other_look(
    store: Path, echo: EchoBench, exam: Path, take_exam: Callable[..., Record]
) -> None:
    """Responses that failed are asked for again under the look that was taken."""
    rows = [{"response": "word0", "doc_id": 0}]
    echo.record(rows)
    record = take_exam(store, "with gaps", limit=4)
    looks = len([one for one in Ledger(store).entries() if one["event"] == "run"])
    again = evaluate(
        str(exam), model=f"replay:{echo.recording}", data=echo.data, out=store, look="again",
        limit=4, scoring_processes=1,
    )  # fmt: skip
    assert again.id == record.id
    assert len([one for one in Ledger(store).entries() if one["event"] == "run"]) == looks


@pytest.mark.parametrize("sealed", [{"echo": 1}, {"other": {"file": "x", "sha256": "y"}}, None])
def test_a_record_edited_out_of_shape_stays_closed(store: Path, sealed: object) -> None:
    path = folder_of(store) / "run.json"
    data = json.loads(path.read_text("utf-8"))
    data["held_out"]["sealed"] = sealed
    path.write_text(json.dumps(data), "utf-8")
    assert any("was changed" in problem for problem in verify(store))
    with pytest.raises(OlmesError, match="stays closed"):
        unseal(path.parent, "look")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"held_out": {"ledger": 3}}'])
@pytest.mark.parametrize("ledger_is_there", [True, False])
def test_no_look_is_counted_past_one_whose_record_cannot_be_read(
    store: Path, take_exam: Callable[..., Record], content: str, ledger_is_there: bool
) -> None:
    (folder_of(store) / "run.json").write_text(content, "utf-8")
    if ledger_is_there:
        assert any("was changed after it was written" in problem for problem in verify(store))
        with pytest.raises(OlmesError, match=r"stays closed: .* was changed"):
            unseal(folder_of(store), "look")
    else:
        Ledger(store).path.unlink()
        Ledger(store).head.unlink()
        others = [path for path in store.glob("*/run.json") if path.parent != folder_of(store)]
        for path in others:
            shutil.rmtree(path.parent)
        assert any("is not a record" in problem for problem in verify(store))
    with pytest.raises(OlmesError, match="the look that"):
        take_exam(store, "another", limit=2)


def test_what_was_no_look_and_cannot_be_read_is_in_nobodys_way(
    store: Path, take_exam: Callable[..., Record]
) -> None:
    (store / "open-run").mkdir()
    (store / "open-run/run.json").write_text("{", "utf-8")
    assert known(take_exam(store, "another", limit=2).run.held_out).looks_before == 2


@pytest.mark.parametrize("event", ["run", "result"])
def test_a_line_without_its_fields_is_told_where_a_run_meets_it(
    store: Path, take_exam: Callable[..., Record], event: str
) -> None:
    record = take_exam(store, "third", limit=3)
    (record.folder / "run.json").unlink()
    path = Ledger(store).path
    lines = path.read_bytes().splitlines()
    odd = json.dumps({"event": event, "run": record.id}).encode()
    path.write_bytes(b"\n".join([odd, *lines[1:], b""]))
    assert verify(store)
    with pytest.raises(OlmesError, match="was tampered with"):
        take_exam(store, "third", limit=3)


def test_a_last_line_without_its_line_break_is_kept_and_ended(
    store: Path, take_exam: Callable[..., Record]
) -> None:
    path = Ledger(store).path
    before = path.read_bytes()
    path.write_bytes(before.rstrip(b"\n"))
    take_exam(store, "after the editor", limit=2)
    assert path.read_bytes().startswith(before)
    assert verify(store) == []


def test_a_line_says_when_in_utc(store: Path) -> None:
    for entry in Ledger(store).entries():
        assert entry["time"].endswith("Z")
        assert datetime.fromisoformat(entry["time"]).utcoffset() == timedelta()


def test_a_record_that_cannot_be_read_is_named(store: Path) -> None:
    foreign = store / "copied-here"
    foreign.mkdir()
    for folder in (folder_of(store), foreign):
        (folder / "run.json").write_text("{", "utf-8")
        assert any(folder.name in problem for problem in verify(store))


def test_a_record_that_no_longer_tells_of_its_look_is_named(store: Path) -> None:
    place = folder_of(store) / "run.json"
    data = json.loads(place.read_text("utf-8"))
    place.write_text(json.dumps({**data, "held_out": None}), "utf-8")
    assert any(
        problem.startswith(f"{place} was changed: it says nothing") for problem in verify(store)
    )
