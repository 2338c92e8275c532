"""Whatever shows held-out items, or what they came to, is a look: with a reason and a line first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from olmes import OlmesError, evaluate
from olmes.benchmark import registry
from olmes.cli import olmes as group
from olmes.seal.ledger import Ledger
from olmes.seal.sealing import unseal
from olmes.seal.verify import verify
from tests.olmes.seal.exam_commands import HASH, commands, own_task, slow

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

Call = Callable[..., str]


@pytest.mark.parametrize("command", [0, 1, 3, *slow(2, 4, 5)])
def test_a_command_that_shows_held_out_items_is_a_look(
    olmes: Call, installed: EchoBench, command: int
) -> None:
    given = commands(installed, "exam_words")[command]
    for reason in ((), ("--reason", ""), ("--reason", "  ")):
        with pytest.raises(OlmesError, match=r"exam_words \(held out by the suite exam\).* why"):
            olmes(*given, *reason)
    assert not Path("runs/ledger.jsonl").exists()
    olmes(*given, "--reason", "the last one")
    line = Ledger(Path("runs")).entries()[0]
    assert line["event"] == given[0]
    assert (line["reason"], line["tasks"], line["looks_before"]) == (
        "the last one", ["exam_words"], 0,
    )  # fmt: skip
    assert line["data"] == {"exam_words": HASH}
    assert "@" in line["who"]
    assert verify(Path("runs")) == []


def test_the_line_is_there_before_anything_is_printed(
    olmes: Call, installed: EchoBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import click

    printed: list[list[Any]] = []
    echo = click.echo

    def watched(message: Any = None, *, err: bool = False) -> None:
        if not err:
            printed.append(Ledger(Path("runs")).entries())
        echo(message, err=err)

    monkeypatch.setattr(click, "echo", watched)
    olmes("show", "exam_words", "-n", 3, "--json", "--reason", "to see")
    olmes(*commands(installed, "exam_words")[4], "--reason", "to know")
    assert [len(entries) for entries in printed] == [1, 1, 1, 2]


def test_a_model_is_loaded_for_no_look_that_is_refused(olmes: Call, tmp_path: Path) -> None:
    shown = ("show", "exam_words", "--docs", "0,3", "--model", tmp_path / "nowhere")
    with pytest.raises(OlmesError, match="held out by the suite exam"):
        olmes(*shown)
    with pytest.raises(OlmesError, match="nowhere"):
        olmes(*shown, "--reason", "said")
    assert not Path("runs").exists()  # nothing was seen


def test_what_single_items_came_to_is_written_for_a_reason_alone(
    olmes: Call, installed: EchoBench, tmp_path: Path
) -> None:
    installed.record([{"response": "raise", "doc_id": 3}, {"response": "word4", "doc_id": 4}])
    scored = commands(installed, "exam_words")[3]
    written = tmp_path / "v.jsonl"
    with pytest.raises(OlmesError, match="held out by the suite exam"):
        olmes(*scored, "--verdicts", written)
    assert not written.exists()
    assert not Path("runs").exists()
    printed = olmes(*scored, "--reason", "said", "--verdicts", written)
    assert len(written.read_text("utf-8").splitlines()) == 2
    [line] = Ledger(Path("runs")).entries()
    assert (line["event"], line["reason"]) == ("score", "said")
    # On the screen a crash is counted and quotes no item.
    assert "1 could not be scored\n" in printed
    assert "a fault" not in printed


def test_demo_data_are_nobodys_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)
    demo = Path(registry.bundled_folder("olmes.tasks")) / "demo/agieval.jsonl"
    docs = [json.loads(line) for line in demo.read_text("utf-8").splitlines()[:3]]
    rows = [{"response": "A", "doc": doc} for doc in docs]
    Path("inline.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for given in (
        ["show", "agieval", "--json"],
        ["check", "agieval", "--limit", "2", "--scoring-processes", "1"],
        ["score", "--task", "agieval", "inline.jsonl", "--scoring-processes", "1", "--json"],
    ):
        result = CliRunner().invoke(group, given, standalone_mode=False)
        assert result.exception is None, result.exception
    assert not Path("runs").exists()
    with pytest.raises(OlmesError, match="held out"):
        evaluate("agieval", model="replay:inline.jsonl")


def test_a_suite_of_ones_own_holds_its_items_out_where_it_was_run(
    olmes: Call, installed: EchoBench, tmp_path: Path
) -> None:
    data = tmp_path / "other"
    data.mkdir()
    (data / "own.jsonl").write_text('{"word": "a"}\n{"word": "b"}\n', "utf-8")
    mine = own_task(installed, tmp_path / "own_words.py", "own_words", "own.jsonl")
    (tmp_path / "own.toml").write_text(f'name = "own"\ntasks = ["{mine}"]\nheld_out = true\n')
    shown = ("show", mine, "--json", "--data", data)
    assert '"gold": "a"' in olmes(*shown)
    installed.record([{"response": "a", "doc_id": 0}, {"response": "b", "doc_id": 1}])
    run = ("run", "--model", f"replay:{installed.recording}", "--data", data, "--suite", "own.toml")
    olmes(*run, "--reason", "final", "--scoring-processes", 1)
    with pytest.raises(OlmesError, match="held out by the suite that was run in this store"):
        olmes(*shown)
    again = own_task(installed, tmp_path / "renamed.py", "renamed", "own.jsonl")
    with pytest.raises(OlmesError, match="renamed"):
        olmes("show", again, "--json", "--data", data)
    assert '"gold": "a"' in olmes(*shown, "--reason", "said")


def test_looks_without_a_model_count_for_every_model_and_scores_for_their_family(
    olmes: Call, installed: EchoBench
) -> None:
    shown = ("show", "exam_words", "--json", "--reason", "curious")
    scored = (*commands(installed, "exam_words")[3], "--reason", "said")
    olmes(*shown)
    olmes(*scored, "--family", "tulu")
    installed.record([{"response": "other", "doc_id": 0}])
    olmes(*scored, "--family", "another")
    olmes(*scored, "--family", "tulu")
    run = ("run", "--suite", "exam", *commands(installed, "exam_words")[5][3:], "--reason", "final")
    olmes(*run)
    olmes(*shown)
    looks = [one for one in Ledger(Path("runs")).entries() if one["event"] != "result"]
    found = [(one["event"], one["looks_before"]) for one in looks]
    assert found == [
        ("show", 0),
        ("score", 1),  # the show
        ("score", 1),
        ("score", 3),  # tulu's, and the same recording under another name
        ("run", 3),  # the show, and two at the same recording
        ("show", 1),
    ]
    elsewhere = " ".join(olmes(*run, "--out", "second").split())
    assert "had 5 looks before this one" in elsewhere  # that run itself and both shows among them
    assert "(ledger line 1; 5 of them in other stores)" in elsewhere
    told = CliRunner().invoke(group, ["ledger"], standalone_mode=False, env={"COLUMNS": "200"})
    assert told.return_value == 0
    assert "items of exam_words" in told.output
    assert "scores of recorded responses of exam_words" in told.output


def test_a_runs_own_samples_are_scored_as_a_look_of_its_family(
    olmes: Call, installed: EchoBench
) -> None:
    run = commands(installed, "exam_words")[5]
    olmes(*run, "--reason", "final", "--family", "tulu")
    folder = next(Path("runs").glob("*/run.json")).parent
    unseal(folder, "to see")
    samples = folder / "samples/exam_words.jsonl"
    olmes("score", "--task", "exam_words", samples, "--reason", "again", "--scoring-processes", 1)
    line = Ledger(Path("runs")).entries()[-1]
    assert (line["event"], line["family"], line["looks_before"]) == ("score", "tulu", 2)


@pytest.mark.parametrize("command", [0, *slow(3)])
def test_no_look_is_added_to_a_ledger_that_was_tampered_with(
    olmes: Call, installed: EchoBench, command: int
) -> None:
    given = (*commands(installed, "exam_words")[command], "--reason", "said")
    olmes(*given)
    olmes(*given)
    path = Ledger(Path("runs")).path
    path.write_text(path.read_text("utf-8").replace("said", "told", 1), "utf-8")
    with pytest.raises(OlmesError, match="was tampered with .* still count"):
        olmes(*given)
