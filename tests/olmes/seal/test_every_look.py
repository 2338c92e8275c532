"""Whatever shows held-out items, or what they came to, is a look: with a reason and a line first."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from olmes import OlmesError, evaluate
from olmes.benchmark import registry
from olmes.cli import olmes as group
from olmes.seal.ledger import Ledger
from olmes.seal.verify import verify

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

HASH = "9057dfbc9c862e593cda3bc66caaacd8c40e088a94a14ec55a20e5452e6faaa4"
"""Of the twelve words that the echo bench has."""
Call = Callable[..., str]


@pytest.fixture
def installed(
    echo: EchoBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EchoBench]:
    """The echo bench with a held-out suite on its data, installed as another package's would be."""
    package = tmp_path / "site/lab_exams"
    package.mkdir(parents=True)
    source = echo.task.read_text("utf-8").replace('content_hash=""', f'content_hash="{HASH}"')
    (package / "exam_words.py").write_text(source.replace('"echo"', '"exam_words"'), "utf-8")
    (package / "__init__.py").write_text("")
    (package / "exam.toml").write_text(
        'name = "exam"\ntasks = ["exam_words"]\nheld_out = true\n', "utf-8"
    )
    told = tmp_path / "site/lab_exams-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-exams\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        "[olmes.suites]\nexam = lab_exams:exam\n"
        "[olmes.tasks]\nexam_words = lab_exams.exam_words:TASK\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    for known in (registry.third_party, registry.bundled_folder):
        known.cache_clear()
    yield echo
    monkeypatch.undo()
    for known in (registry.third_party, registry.bundled_folder):
        known.cache_clear()


@pytest.fixture
def olmes(installed: EchoBench) -> Call:
    """`olmes(COMMAND, ARGUMENTS...)` on the bench's data: what it printed; refusals are raised."""

    def call(*arguments: object) -> str:
        further = [] if "--data" in arguments else ["--data", installed.data]
        result = CliRunner().invoke(
            group, [str(one) for one in (*arguments, *further)], standalone_mode=False
        )
        if result.exception:
            raise result.exception
        return result.output

    return call


def commands(echo: EchoBench, task: object) -> list[tuple[object, ...]]:
    return [
        ("show", task, "--json"),
        ("check", task, "--scoring-processes", 1),
        ("check", task, "--scoring-processes", 1, "--json", "--limit", 2),
        ("score", "--task", task, echo.recording, "--scoring-processes", 1),
        ("score", "--task", task, echo.recording, "--scoring-processes", 1, "--json"),
        ("run", "--task", task, "--model", f"replay:{echo.recording}", "--scoring-processes", 1),
    ]


@pytest.mark.parametrize("command", range(6))
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


def own_task(echo: EchoBench, place: Path, name: str, path: str = "echo/test.jsonl") -> Path:
    """A task file of the user's own, which declares no hash."""
    place.write_text(
        echo.task.read_text("utf-8").replace('"echo"', f'"{name}"').replace("echo/test.jsonl", path)
    )
    return place


@pytest.mark.parametrize("command", [0, 1, 3, 5])
def test_the_same_data_under_another_name_are_the_same_secret(
    olmes: Call, installed: EchoBench, tmp_path: Path, command: int
) -> None:
    mine = own_task(installed, tmp_path / "mine.py", "mine")
    given = commands(installed, mine)[command]
    with pytest.raises(OlmesError, match=r"mine \(held out by the suite exam\)"):
        olmes(*given)
    olmes(*given, "--reason", "said")
    assert Ledger(Path("runs")).entries()[0]["tasks"] == ["mine"]


@pytest.mark.parametrize("command", [0, 3, 5])
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


def test_what_single_items_came_to_is_not_written_open(
    olmes: Call, installed: EchoBench, tmp_path: Path
) -> None:
    installed.record([{"response": "raise", "doc_id": 3}, {"response": "word4", "doc_id": 4}])
    scored = commands(installed, "exam_words")[3]
    with pytest.raises(OlmesError, match="--verdicts would write .* under seal"):
        olmes(*scored, "--reason", "said", "--verdicts", tmp_path / "v.jsonl")
    assert not (tmp_path / "v.jsonl").exists()
    assert not Path("runs").exists()
    printed = olmes(*scored, "--reason", "said")
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
    olmes("run", "--suite", "exam", *commands(installed, "exam_words")[5][3:], "--reason", "final")
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
    told = CliRunner().invoke(group, ["ledger"], standalone_mode=False, env={"COLUMNS": "200"})
    assert told.return_value == 0
    assert "items of exam_words" in told.output
    assert "scores of recorded responses of exam_words" in told.output


@pytest.mark.parametrize("command", [0, 3])
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
