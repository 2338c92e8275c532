"""Looks count over every store that this machine has known, also over those that are gone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, Record
from olmes.seal.counting import looks_of, trainings
from olmes.seal.known_stores import looks_elsewhere, memory_folder, own_file, remember, remembered
from olmes.seal.ledger import Ledger
from olmes.seal.look import Look
from olmes.seal.sealing import unseal
from olmes.tools import notices
from tests.known import known

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

TakeExam = Callable[..., Record]


def before(record: Record) -> int:
    return known(record.run.held_out).looks_before


def test_another_store_begins_at_no_look_only_for_another_model(
    take_exam: TakeExam, echo: EchoBench, tmp_path: Path
) -> None:
    first = take_exam(tmp_path / "a")
    assert before(first) == 0
    unseal(first.folder, "to see")
    assert before(take_exam(tmp_path / "b")) == 2
    # Another name, the same weights; then other weights under the first name.
    assert before(take_exam(tmp_path / "c", Look(reason="x", family="renamed"))) == 3
    echo.record([{"response": "word0", "doc_id": 0}])
    assert before(take_exam(tmp_path / "d", Look(reason="x", family="renamed"))) == 1
    assert before(take_exam(tmp_path / "e", Look(reason="x", family="stranger"))) == 1
    line = Ledger(tmp_path / "c").entries()[0]
    assert (line["looks_before"], line["elsewhere"]) == (3, 3)


def test_a_store_that_was_removed_is_counted_still(take_exam: TakeExam, tmp_path: Path) -> None:
    take_exam(tmp_path / "a")
    take_exam(tmp_path / "a", "again", limit=3)
    shutil.rmtree(tmp_path / "a")
    assert before(take_exam(tmp_path / "b")) == 2
    # Begun again in its place: its old lines are no line of the new ledger.
    assert before(take_exam(tmp_path / "a")) == 3


def test_a_look_that_was_killed_before_it_was_noted_is_noted_when_it_resumes(
    take_exam: TakeExam, tmp_path: Path
) -> None:
    take_exam(tmp_path / "a")
    own_file().unlink()
    take_exam(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    assert before(take_exam(tmp_path / "b")) == 1


def test_looks_that_others_took_in_a_known_store_count(
    take_exam: TakeExam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_exam(tmp_path / "shared")
    with monkeypatch.context() as other_machine:
        other_machine.setenv("OLMES_LOOKS", str(tmp_path / "elsewhere"))
        take_exam(tmp_path / "shared", "from over there", limit=3)
    assert before(take_exam(tmp_path / "mine")) == 2
    # And are remembered with the next look there.
    take_exam(tmp_path / "shared", "mine", limit=4)
    shutil.rmtree(tmp_path / "shared")
    assert before(take_exam(tmp_path / "late", limit=5)) == 4


def test_a_copied_store_is_the_same_looks(take_exam: TakeExam, tmp_path: Path) -> None:
    take_exam(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert before(take_exam(tmp_path / "copy", "on the other disk", limit=3)) == 1
    assert before(take_exam(tmp_path / "c", "here", limit=4)) == 2


def test_a_tampered_ledger_elsewhere_is_counted_by_what_was_noted(
    take_exam: TakeExam, tmp_path: Path
) -> None:
    take_exam(tmp_path / "a")
    path = Ledger(tmp_path / "a").path
    path.write_text(path.read_text("utf-8").replace("final", "trial"), "utf-8")
    assert before(take_exam(tmp_path / "b")) == 1


def test_a_refusal_does_not_offer_to_begin_at_nothing(store: Path, take_exam: TakeExam) -> None:
    path = Ledger(store).path
    path.write_text(path.read_text("utf-8").replace("final", "trial"), "utf-8")
    with pytest.raises(OlmesError, match="another store with --out, in which the looks so far sti"):
        take_exam(store, "another", limit=2)
    assert before(take_exam(store.parent / "another")) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param("torn", marks=pytest.mark.slow),
        "odd",
        pytest.param("folder in its place", marks=pytest.mark.slow),
        "no folder",
    ],
)
def test_a_memory_that_cannot_be_used_stops_no_look(
    take_exam: TakeExam,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: str,
) -> None:
    monkeypatch.setattr(notices, "SAID", set())
    take_exam(tmp_path / "a")
    file = own_file()
    if spoil == "torn":  # the process that wrote it was killed
        file.write_bytes(file.read_bytes() + b'{"store": "/x", "ha')
    elif spoil == "odd":
        odd = [b"[]", b"\xff", b'{"hash": 3}', b'{"hash": "x", "store": [1], "family": {}}', b""]
        file.write_bytes(b"\n".join([*odd, file.read_bytes()]))
    elif spoil == "folder in its place":
        file.unlink()
        file.mkdir()
    else:  # no folder can be made below a file, whoever asks
        monkeypatch.setenv("OLMES_LOOKS", str(file / "looks"))
    usable = spoil in ("torn", "odd")
    assert before(take_exam(tmp_path / "b")) == (1 if usable else 0)
    assert before(take_exam(tmp_path / "c", limit=3)) == (2 if usable else 0)
    said = capsys.readouterr().err.count("cannot be written")
    assert said == (0 if usable else 2)  # once a store


def test_what_other_users_noted_is_read(take_exam: TakeExam, tmp_path: Path) -> None:
    take_exam(tmp_path / "a")
    own_file().rename(memory_folder() / "somebody-else.jsonl")
    shutil.rmtree(tmp_path / "a")
    assert before(take_exam(tmp_path / "b")) == 1
    assert sorted(path.name for path in memory_folder().iterdir()) == sorted(
        [own_file().name, "somebody-else.jsonl"]
    )


def test_looks_at_demo_data_are_not_remembered(tmp_path: Path) -> None:
    entry = Ledger(tmp_path).append("run", "r", {"family": "f", "sample_data": True})
    remember(tmp_path, [entry])
    assert list(remembered()) == []


NOTE = """
import sys
from pathlib import Path
from olmes.seal.known_stores import remember
from olmes.seal.ledger import Ledger

store = Path(sys.argv[1])
for number in range(15):
    entry = Ledger(store).append("run", f"{number}", {"family": sys.argv[2], "fingerprint": ""})
    remember(store, [entry])
"""


def test_processes_note_together_without_losing_a_look(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", NOTE, str(tmp_path / name), name])
        for name in ("a", "b")
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    found = [entry["family"] for entry in remembered()]
    assert (found.count("a"), found.count("b")) == (15, 15)
    assert len(looks_elsewhere(tmp_path / "c", [])) == 30


def test_where_looks_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLMES_LOOKS")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    assert memory_folder() == tmp_path / "cache/looks"
    monkeypatch.delenv("OLMES_CACHE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert memory_folder().is_relative_to(tmp_path)
    assert memory_folder().name == "looks"
    monkeypatch.setattr("getpass.getuser", lambda: "../../o dd")
    assert own_file().parent == memory_folder()
    assert os.sep not in own_file().name


def test_the_looks_of_what_a_checkpoint_was_trained_from_are_its_own() -> None:
    def look(**more: Any) -> dict[str, Any]:
        return {"event": "run", "fingerprint": "other", "family": "x", **more}

    lineage: list[Any] = [
        {"base": "meta/llama"}, {"training": "sft-8b", "step": 3}, {"training": "dpo-8b"},
    ]  # fmt: skip
    odd: list[Any] = [{"training": 3}, "odd"]
    assert trainings([*lineage, *odd]) == {"sft-8b", "dpo-8b"}
    entries = [
        look(family="sft-8b"), look(family="meta/llama"), look(family="rlvr-8b"), look(event="result"),
        look(family=["odd"]), look(family="sft-8b", sample_data=True), {"event": "show"}, {},
    ]  # fmt: skip
    found = looks_of(entries, "rlvr-8b", "mine", trainings(lineage))
    assert [one.get("family") for one in found] == ["sft-8b", "rlvr-8b", None]


def test_a_checkpoints_parents_looks_are_before_its_own(
    echo: EchoBench, exam: Path, tmp_path: Path
) -> None:
    """Through `lineage.json`, which our trainers write, in a store of its own."""
    from olmes import evaluate
    from olmes.models.replay import ReplayModel

    class Checkpoint(ReplayModel):
        """Answers from a recording and lies in a folder, as a trained model does."""

    def taken(folder: Path, out: str) -> Record:
        (folder / "recording.jsonl").write_bytes(
            echo.recording.read_bytes() + b"\n" * len(folder.name)
        )
        model = Checkpoint(f"replay:{folder}", folder / "recording.jsonl")
        model.checkpoint = type("Stored", (), {"path": folder})()  # type: ignore[attr-defined]
        return evaluate(
            str(exam), model=model, data=echo.data, out=tmp_path / out, look="x",
            scoring_processes=1,
        )  # fmt: skip

    parent, child = tmp_path / "sft-8b/checkpoint-10", tmp_path / "dpo-8b/checkpoint-7"
    for folder in (parent, child):
        folder.mkdir(parents=True)
    steps = [{"training": "sft-8b", "step": 10}, {"training": "dpo-8b", "step": 7}]
    (child / "lineage.json").write_text(json.dumps(steps), "utf-8")
    assert before(taken(parent, "a")) == 0
    assert before(taken(child, "b")) == 1
