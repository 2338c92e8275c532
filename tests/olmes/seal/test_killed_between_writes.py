"""A kill or a full disk between any two writes of a run: the same command heals it.

Quick are a few places of each; with `-m slow` it is every one there is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import OlmesError, Record, evaluate
from olmes.models.replay import ReplayModel
from olmes.reports.run_page import write_run_page
from olmes.requests.journal import FILE_NAME as JOURNAL
from olmes.seal.ledger import Ledger
from olmes.seal.sealing import unseal
from olmes.seal.verify import verify
from olmes.types import Response
from tests.fault_points import FAULTS, Fault, in_child

if TYPE_CHECKING:
    from olmes.models.base import Done
    from olmes.types import Request
    from tests.olmes.conftest import EchoBench

QUICK: dict[str, Sequence[tuple[Fault, int]]] = {
    "run": (("kill", 9), ("refused", 35), ("kill", 44)),
    "ordinary": (("full", 12),),
    "second": (("kill", 30),),
    "unseal": (("kill", 2), ("full", 8), ("kill", 14)),
}
"""Some faults by the number of the change: around the look's line, the samples and the result."""


def run_once(echo: EchoBench, target: Path, store: Path) -> None:
    """What `olmes run` does: the run, and its page."""
    record = evaluate(
        str(target), model=f"replay:{echo.recording}", data=echo.data, out=store, look="final",
        limit=2, scoring_processes=1, use_cache=False,
    )  # fmt: skip
    assert record.complete
    write_run_page(record.folder, record.folder / "report.html")


def run_with_a_gap(echo: EchoBench, target: Path, store: Path) -> None:
    """The same, where one request fails: the record is there, and not complete."""
    whole = ReplayModel.generate

    def generate(self: ReplayModel, requests: Sequence[Request], done: Done) -> None:
        def answered(at: int, response: Response) -> None:
            done(at, response if at else Response(text="", error="broken off"))

        whole(self, requests, answered)

    ReplayModel.generate = generate  # type: ignore[method-assign]
    try:
        with pytest.raises(AssertionError):
            run_once(echo, target, store)
    finally:
        ReplayModel.generate = whole  # type: ignore[method-assign]


def open_once(store: Path) -> None:
    """What `olmes unseal` does: the samples, and the page with them."""
    folder = folder_of(store)
    unseal(folder, "why is it so low")
    write_run_page(folder, folder / "report.html")


def folder_of(store: Path) -> Path:
    [path] = store.glob("*/run.json")
    return path.parent


def files_in(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*"))


def events(store: Path) -> list[str]:
    return [entry["event"] for entry in Ledger(store).entries()]


def faults(kind: str, count: int, every: bool) -> Sequence[tuple[Fault, int]]:
    """Which faults come, and at which change."""
    assert count > max(at for _, at in QUICK[kind])
    return [(one, at) for one in FAULTS for at in range(1, count + 1)] if every else QUICK[kind]


def check_healed(store: Path, undisturbed: Path, looks: list[str]) -> None:
    """A store in which the same command was given again is as if nothing had been."""
    assert verify(store) == []
    assert [event for event in events(store) if event != "result"] == looks
    # Nothing half written lies about, and nothing is open that was not opened.
    assert files_in(store) == files_in(undisturbed)
    one, other = Record.load(folder_of(store)), Record.load(folder_of(undisturbed))
    assert one.complete
    assert one.run.tasks == other.run.tasks


each_place = pytest.mark.parametrize(
    "every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "every"]
)


@each_place
@pytest.mark.parametrize("kind", ["run", "ordinary", "second"])
def test_a_run_goes_on_wherever_it_was_stopped(
    echo: EchoBench, exam: Path, tmp_path: Path, kind: str, every: bool
) -> None:
    target = echo.task if kind == "ordinary" else exam
    undisturbed, log = tmp_path / "undisturbed", tmp_path / "log"
    work = partial(run_once, echo, target)
    begun = tmp_path / "begun"
    if kind == "second":
        run_with_a_gap(echo, target, begun)
        shutil.copytree(begun, undisturbed)
    count = in_child(partial(work, undisturbed), log)
    assert count > 0, log.read_text()
    looks = [] if kind == "ordinary" else ["run"]
    for fault, at in faults(kind, count, every):
        store = tmp_path / f"{fault}-{at}"
        if kind == "second":
            shutil.copytree(begun, store)
        in_child(partial(work, store), log, at=at, fault=fault)
        assert in_child(partial(work, store), log) >= 0, (fault, at, log.read_text())
        check_healed(store, undisturbed, looks)
        shutil.rmtree(store)


@each_place
def test_opening_goes_on_wherever_it_was_stopped(
    echo: EchoBench, exam: Path, tmp_path: Path, every: bool
) -> None:
    closed, log = tmp_path / "closed", tmp_path / "log"
    run_once(echo, exam, closed)
    undisturbed = shutil.copytree(closed, tmp_path / "undisturbed")
    count = in_child(partial(open_once, undisturbed), log)
    assert count > 0, log.read_text()
    for fault, at in faults("unseal", count, every):
        store = shutil.copytree(closed, tmp_path / f"{fault}-{at}")
        in_child(partial(open_once, store), log, at=at, fault=fault)
        assert in_child(partial(open_once, store), log) >= 0, (fault, at, log.read_text())
        check_healed(store, undisturbed, ["run", "unseal"])
        shutil.rmtree(store)


def cut_result(store: Path) -> None:
    """The store as a kill between the record and the ledger's line left it."""
    ledger = Ledger(store)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:-1]))
    first = json.loads(lines[-2])
    ledger.head.write_text(json.dumps({key: first[key] for key in ("number", "hash")}))


def test_a_record_without_its_line_gets_it(echo: EchoBench, exam: Path, tmp_path: Path) -> None:
    """Older versions wrote the line after the record."""
    store = tmp_path / "runs"
    run_once(echo, exam, store)
    cut_result(store)
    (folder_of(store) / JOURNAL).write_bytes(b"")
    assert verify(store)
    run_once(echo, exam, store)
    assert verify(store) == []
    assert events(store) == ["run", "result"]
    assert not (folder_of(store) / JOURNAL).exists()
    unseal(folder_of(store), "once more")
    assert verify(store) == []


def test_a_record_that_was_changed_gets_no_line(
    echo: EchoBench, exam: Path, tmp_path: Path
) -> None:
    """The line of what it was stays, and so does what is said of it."""
    store = tmp_path / "runs"
    run_once(echo, exam, store)
    path = folder_of(store) / "run.json"
    path.write_text(path.read_text("utf-8").replace('"olmes"', '"olmes" '), "utf-8")
    run_once(echo, exam, store)
    assert events(store) == ["run", "result"]
    assert any("was changed after it was written" in problem for problem in verify(store))


@pytest.mark.parametrize("torn", [b'{"number": 3, "ti', b"{", b"\x00" * 40])
@pytest.mark.parametrize("again", ["run", "unseal"])
def test_a_half_line_at_the_end_is_in_nobodys_way(
    echo: EchoBench, exam: Path, tmp_path: Path, torn: bytes, again: str
) -> None:
    store = tmp_path / "runs"
    run_once(echo, exam, store)
    with Ledger(store).path.open("ab") as stream:
        stream.write(torn)
    if again == "run":
        run_once(echo, exam, store)
    else:
        open_once(store)
    assert verify(store) == []


def test_the_same_question_twice_is_one_opening_and_another_is_another(
    echo: EchoBench, exam: Path, tmp_path: Path
) -> None:
    store = tmp_path / "runs"
    run_once(echo, exam, store)
    open_once(store)
    open_once(store)
    assert events(store) == ["run", "result", "unseal"]
    unseal(folder_of(store), "another question")
    assert events(store) == ["run", "result", "unseal", "unseal"]


def test_a_ledger_that_lost_its_first_head_is_still_told(
    take_exam: Callable[..., Record], tmp_path: Path
) -> None:
    """A kill leaves a head that names no line, never none."""
    take_exam(tmp_path / "runs", limit=2)
    ledger = Ledger(tmp_path / "runs")
    for head in (None, {"number": 0, "hash": "0" * 64}):
        ledger.head.unlink(missing_ok=True)
        if head:
            ledger.head.write_text(json.dumps(head))
        assert any("head" in problem for problem in verify(tmp_path / "runs"))
        with pytest.raises(OlmesError, match="was tampered with"):
            take_exam(tmp_path / "runs", "another", limit=3)


@pytest.mark.parametrize("content", ["", '{"schema": 2, "id', "\x00" * 50])
def test_a_record_that_was_cut_off_is_written_again(
    echo: EchoBench, exam: Path, tmp_path: Path, content: str
) -> None:
    store = tmp_path / "runs"
    run_once(echo, exam, store)
    before = Record.load(folder_of(store)).run.tasks
    (folder_of(store) / "run.json").write_text(content, "utf-8")
    run_once(echo, exam, store)
    assert Record.load(folder_of(store)).run.tasks == before
    assert verify(store) == []
    assert events(store).count("run") == 1
