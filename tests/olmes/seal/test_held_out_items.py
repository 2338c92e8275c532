"""Held-out items are known again under another task's name, in files of one's own and in recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import OlmesError
from olmes.seal.ledger import Ledger
from olmes.tools import jsonl
from olmes.tools.hashing import set_hash
from tests.olmes.seal.exam_commands import commands, own_task, slow

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

Call = Callable[..., str]


@pytest.mark.parametrize("command", [0, 5, *slow(1, 3)])
def test_the_same_data_under_another_name_are_the_same_secret(
    olmes: Call, installed: EchoBench, tmp_path: Path, command: int
) -> None:
    mine = own_task(installed, tmp_path / "mine.py", "mine")
    given = commands(installed, mine)[command]
    with pytest.raises(OlmesError, match=r"mine \(held out by the suite exam\)"):
        olmes(*given)
    olmes(*given, "--reason", "said")
    assert Ledger(Path("runs")).entries()[0]["tasks"] == ["mine"]


@pytest.mark.parametrize("command", [0, 5, *slow(3)])
def test_some_of_the_items_in_a_file_of_ones_own_are_known_again(
    olmes: Call,
    installed: EchoBench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: int,
) -> None:
    mine = own_task(installed, tmp_path / "part.py", "part", "part.jsonl")
    few = tmp_path / "few"
    few.mkdir()
    (few / "part.jsonl").write_text('{"word": "new"}\n{"word": "word3", "note": "kept"}\n', "utf-8")
    installed.record([{"response": "word3", "doc_id": 1}])
    given = (*commands(installed, mine)[command], "--data", few)
    # Without the exam's data on this machine nothing can be held against them.
    olmes(*given, "--out", "unknown")
    assert not Path("unknown/ledger.jsonl").exists()
    monkeypatch.setenv("OLMES_DATA", str(installed.data))
    with pytest.raises(OlmesError, match=r"part \(held out by the suite exam\)"):
        olmes(*given, "--out", "known")
    olmes(*given, "--out", "known", "--reason", "said")
    assert len([e for e in Ledger(Path("known")).entries() if e["event"] != "result"]) == 1


def test_what_a_task_of_ones_own_declares_of_the_data_changes_nothing(
    olmes: Call, installed: EchoBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer or other fields, and the right hash of those."""
    monkeypatch.setenv("OLMES_DATA", str(installed.data))
    rows = [{"word": f"word{i}", "n": i} for i in range(12)]
    jsonl.write(tmp_path / "data/mine.jsonl", rows)
    mine = own_task(installed, tmp_path / "declared.py", "declared", "mine.jsonl")
    text = mine.read_text("utf-8").replace('("word",)', '("word", "n")')
    mine.write_text(text.replace('content_hash=""', f'content_hash="{set_hash(rows)}"'), "utf-8")
    shown = ("show", mine, "--json", "--data", tmp_path / "data")
    with pytest.raises(OlmesError, match=r"declared \(held out by the suite exam\)"):
        olmes(*shown)
    assert len(olmes(*shown, "--reason", "said").splitlines()) == 12


def test_items_that_stand_in_a_recording_are_held_out_too(
    olmes: Call, installed: EchoBench, tmp_path: Path
) -> None:
    installed.record([{"response": "word3", "doc": {"word": "word3"}}])
    scored = ("score", installed.recording, "--scoring-processes", 1, "--json", "--task")
    with pytest.raises(OlmesError, match="held out by the suite exam"):
        olmes(*scored, "exam_words")
    mine = own_task(installed, tmp_path / "inline.py", "inline")
    with pytest.raises(OlmesError, match=r"inline \(held out by the suite exam\)"):
        olmes(*scored, mine)
    installed.record([{"response": "own", "doc": {"word": "own"}}])
    assert json.loads(olmes(*scored, mine))["n"] == 1
