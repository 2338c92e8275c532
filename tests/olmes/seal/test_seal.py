"""The seal: who may look, what is written down, what stays closed, and what tampering does."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, Record, evaluate
from olmes.records.schema import Asker
from olmes.requests.journal import FILE_NAME as JOURNAL
from olmes.requests.journal import Journal
from olmes.seal.ledger import Ledger
from olmes.seal.look import Look
from olmes.seal.sealing import unseal
from olmes.seal.verify import verify
from olmes.types import Response
from tests.known import known

if TYPE_CHECKING:
    from olmes.models.base import Done, Model
    from olmes.types import Request
    from tests.olmes.conftest import EchoBench


def run(
    echo: EchoBench, exam: Path, out: Path, look: str | Look | None = "final", **options: Any
) -> Record:
    return evaluate(
        str(exam),
        model=f"replay:{echo.recording}",
        data=echo.data,
        out=out,
        look=look,
        scoring_processes=1,
        **options,
    )


def test_a_look_needs_a_reason(echo: EchoBench, exam: Path, tmp_path: Path) -> None:
    for look in (None, "", "  "):
        with pytest.raises(
            OlmesError,
            match="must not be looked at.* why with --reason",
        ):
            run(echo, exam, tmp_path / "runs", look)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("asker", ["hook", "watcher"])
def test_a_hook_or_watcher_is_refused_unless_this_is_the_end(
    echo: EchoBench, exam: Path, tmp_path: Path, asker: Asker
) -> None:
    with pytest.raises(OlmesError, match=f"cannot be scored by a {asker}"):
        run(echo, exam, tmp_path / "runs", Look(reason="every checkpoint", asked_by=asker))
    assert not (tmp_path / "runs").exists()
    record = run(echo, exam, tmp_path / "runs", Look(reason="the end", asked_by=asker, final=True))
    assert known(record.run.held_out).asked_by == asker


def test_the_look_is_in_the_ledger_before_the_model_is_asked(
    echo: EchoBench, exam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmes.models.replay import ReplayModel

    def stopped(self: Model, requests: Sequence[Request], done: Done) -> None:
        assert [entry["event"] for entry in Ledger(tmp_path / "runs").entries()] == ["run"]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ReplayModel, "generate", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(echo, exam, tmp_path / "runs")
    # The run that goes on is the same look.
    run(echo, exam, tmp_path / "runs", "another reason")
    entries = Ledger(tmp_path / "runs").entries()
    assert [entry["event"] for entry in entries] == ["run", "result"]
    assert entries[0]["reason"] == "final"


def test_scores_are_shown_and_samples_are_not(echo: EchoBench, exam: Path, tmp_path: Path) -> None:
    record = run(echo, exam, tmp_path / "runs")
    assert record.value("echo") == pytest.approx(10 / 12)
    assert record.sealed("echo")
    with pytest.raises(OlmesError, match="under seal.*olmes unseal"):
        list(record.samples("echo"))
    readable = [path for path in record.folder.rglob("*") if path.is_file()]
    assert {path.name for path in readable} == {"run.json", "echo.jsonl.gz"}
    # Not the prompts, not the responses, not the golds.
    assert all(b"word3" not in path.read_bytes() for path in readable)


def test_the_journal_of_a_run_under_seal_is_not_read_by_chance(tmp_path: Path) -> None:
    journal = Journal(tmp_path, packed=True)
    journal.append("echo/0#0:ab", Response(text="a telling answer"))
    journal.close()
    assert b"telling" not in (tmp_path / JOURNAL).read_bytes()
    again = Journal(tmp_path, packed=True)
    assert again.responses["echo/0#0:ab"].text == "a telling answer"
    again.close()


def test_unsealing_is_a_look_of_its_own(echo: EchoBench, exam: Path, tmp_path: Path) -> None:
    record = run(echo, exam, tmp_path / "runs")
    with pytest.raises(OlmesError, match="say why"):
        unseal(record.folder, " ")
    [opened] = unseal(record.folder, "the scores look odd")
    assert opened == record.samples_path("echo")
    assert len(list(record.samples("echo"))) == 12
    last = Ledger(tmp_path / "runs").entries()[-1]
    assert (last["event"], last["reason"], last["looks_before"]) == (
        "unseal",
        "the scores look odd",
        1,
    )
    assert verify(tmp_path / "runs") == []


def test_looks_are_counted_by_family_and_weights(
    echo: EchoBench, exam: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    first = run(echo, exam, runs)
    assert known(first.run.held_out).looks_before == 0
    # The same weights under another family's name are still the same weights.
    second = run(echo, exam, runs, Look(reason="again", family="renamed"), limit=5)
    assert known(second.run.held_out).looks_before == 1
    echo.record([{"response": f"word{i}", "doc_id": i} for i in range(12)])
    third = run(echo, exam, runs, Look(reason="next checkpoint", family="renamed"))
    assert known(third.run.held_out).looks_before == 1
    echo.record([{"response": "other", "doc_id": i} for i in range(12)])
    fourth = run(echo, exam, runs, Look(reason="another model", family="other"))
    assert known(fourth.run.held_out).looks_before == 0


def test_the_dev_score_at_that_time_is_kept(echo: EchoBench, exam: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert known(run(echo, exam, runs, limit=3).run.held_out).dev is None
    other = tmp_path / "other_task.py"
    source = echo.task.read_text("utf-8").replace('name = "echo"', 'name = "open_echo"')
    other.write_text(source, "utf-8")
    dev = tmp_path / "mydev.toml"
    dev.write_text(f'name = "mydev"\ntasks = ["{other}"]\n', "utf-8")
    tuned = evaluate(
        str(dev), model=f"replay:{echo.recording}", data=echo.data, out=runs, scoring_processes=1
    )
    single = evaluate(
        [str(other)],
        model=f"replay:{echo.recording}",
        data=echo.data,
        out=runs,
        limit=4,
        scoring_processes=1,
    )
    found = known(known(run(echo, exam, runs).run.held_out).dev)
    assert (found.run, found.suite) == (tuned.id, "mydev")
    assert found.value == known(tuned.run.suite).value
    assert found.stderr == known(tuned.run.suite).stderr
    # Where only single tasks were run, their mean stands for the suite's.
    shutil.rmtree(tuned.folder)
    found = known(known(run(echo, exam, runs, limit=5).run.held_out).dev)
    assert (found.run, found.suite, found.n) == (single.id, "open_echo", 4)
    assert found.value == single.value("open_echo")
    # A score on the built-in demo data says nothing of a model that is held against real data.
    path = single.folder / "run.json"
    path.write_text(path.read_text("utf-8").replace('"origin": "folder"', '"origin": "demo"'))
    assert known(run(echo, exam, runs, limit=6).run.held_out).dev is None


def test_a_held_out_task_is_held_out_alone_and_under_another_name() -> None:
    from olmes.benchmark.registry import load_task
    from olmes.seal.held_out import held_out_tasks

    tasks = [load_task(name) for name in ("agieval", "ifbench", "gsm8k", "math", "ifeval")]
    both = ["unseen", "tulu3_unseen"]
    assert held_out_tasks(tasks, None) == {"agieval": both, "ifbench": both}
    with pytest.raises(OlmesError, match="held out by the suite unseen"):
        evaluate("agieval", model="replay:none.jsonl")


# --- tampering ------------------------------------------------------------------------------------


def lines_of(store: Path) -> list[str]:
    return Ledger(store).path.read_text("utf-8").splitlines()


def rewrite(store: Path, lines: list[str]) -> None:
    Ledger(store).path.write_text("".join(line + "\n" for line in lines), "utf-8")


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_removed_line_shows_wherever_it_stood(store: Path, gone: int) -> None:
    lines = lines_of(store)
    rewrite(store, lines[:gone] + lines[gone + 1 :])
    assert verify(store)


def test_a_ledger_cut_short_or_deleted_shows(store: Path) -> None:
    lines = lines_of(store)
    rewrite(store, lines[:2])
    assert any("is not in the ledger" in problem for problem in verify(store))
    Ledger(store).path.unlink()
    assert len([p for p in verify(store) if "is not in the ledger" in p]) == 2


def test_a_changed_line_shows_even_with_a_new_hash(store: Path) -> None:
    from olmes.tools.hashing import content_hash

    lines = lines_of(store)
    entry = json.loads(lines[0])
    entry["reason"] = "nothing to see here"
    rewrite(store, [json.dumps(entry), *lines[1:]])
    assert any("line 1 was changed" in problem for problem in verify(store))
    entry["hash"] = content_hash({k: v for k, v in entry.items() if k != "hash"})
    rewrite(store, [json.dumps(entry), *lines[1:]])
    assert any("line 2 does not follow" in problem for problem in verify(store))


def test_swapped_doubled_and_foreign_lines_show(store: Path) -> None:
    lines = lines_of(store)
    for order in (
        [lines[1], lines[0], *lines[2:]],
        [lines[0], *lines],
        [*lines[:2], "x", lines[3]],
    ):
        rewrite(store, order)
        assert Ledger(store).problems()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: [lines[0].replace("final", "trial"), *lines[1:]], "was tampered with"),
        (
            lambda lines: lines[1:],
            "lacks line [13], the look that",
        ),  # of whichever run is read first
        (lambda lines: lines[:-1], "was tampered with"),
    ],
)
def test_nothing_is_added_to_a_broken_ledger(
    store: Path, echo: EchoBench, exam: Path, spoil: Callable[..., Any], said: str
) -> None:
    rewrite(store, spoil(lines_of(store)))
    before = lines_of(store)
    with pytest.raises(OlmesError, match=said):
        run(echo, exam, store, "another", limit=2)
    assert lines_of(store) == before


def test_a_line_torn_by_a_kill_does_not_break_the_chain(
    store: Path, echo: EchoBench, exam: Path
) -> None:
    with Ledger(store).path.open("a") as stream:
        stream.write('{"number": 5, "ti')
    run(echo, exam, store, "after the kill", limit=2)
    assert verify(store) == []
    assert len(lines_of(store)) == 6


def test_an_edited_sealed_file_is_caught_and_stays_closed(store: Path) -> None:
    folder = next(path.parent for path in store.glob("*/run.json"))
    sealed = folder / "sealed/echo.jsonl.gz"
    rows = gzip.decompress(sealed.read_bytes()).replace(b"0.0", b"1.0")
    sealed.write_bytes(gzip.compress(rows, mtime=0))
    assert any("sealed/echo.jsonl.gz was changed" in problem for problem in verify(store))
    with pytest.raises(OlmesError, match="stays closed.*was changed"):
        unseal(folder, "look")
    assert not (folder / "samples").exists()
    sealed.unlink()
    assert any("is missing" in problem for problem in verify(store))


def test_an_edited_score_is_caught(store: Path) -> None:
    path = next(store.glob("*/run.json"))
    data = json.loads(path.read_text("utf-8"))
    data["tasks"]["echo"]["metrics"]["exact_match"]["value"] = 1.0
    path.write_text(json.dumps(data), "utf-8")
    assert any("run.json was changed" in problem for problem in verify(store))
    with pytest.raises(OlmesError, match="stays closed"):
        unseal(path.parent, "look")


def test_samples_opened_behind_the_ledger_show(store: Path) -> None:
    folder = next(path.parent for path in store.glob("*/run.json"))
    (folder / "samples").mkdir()
    (folder / "samples/echo.jsonl").write_bytes(
        gzip.decompress((folder / "sealed/echo.jsonl.gz").read_bytes())
    )
    assert any("lie open without a look" in problem for problem in verify(store))


APPEND = """
import sys
from pathlib import Path
from olmes.seal.ledger import Ledger

for number in range(20):
    Ledger(Path(sys.argv[1])).append("run", f"{sys.argv[2]}-{number}", {"reason": "together"})
"""


def test_two_processes_append_without_losing_a_line(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(tmp_path), name]) for name in ("a", "b")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(Ledger(tmp_path).entries()) == 40
    assert Ledger(tmp_path).problems() == []
