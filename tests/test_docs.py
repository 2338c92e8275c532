"""The docs say what is true: their commands parse, their example runs, their tables are complete."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import runpy
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import jsonschema
import pytest
from click.testing import CliRunner

from olmes.cli import olmes
from olmes.records import described, schema

if TYPE_CHECKING:
    from olmes.records.record import Record

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def commands() -> list[tuple[str, str]]:
    """Every `olmes ...` line of a shell block, with its page."""
    found = []
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                line = line.removeprefix(".venv/bin/")
                if line.startswith("olmes "):
                    found.append((page.name, line))
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_parses(page: str, line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command: click.Command = olmes
    context = click.Context(olmes)
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments[0])
        assert found is not None, f"{page}: no command '{arguments[0]}'"
        command, arguments = found, arguments[1:]
    # Parsing checks names, types and required options; nothing is run.
    command.make_context(command.name, arguments, resilient_parsing=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files and data of docs/adding-a-task.md, where its commands are given."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)
    capitals, quiz, haiku, counted, responses = blocks(ROOT / "docs/adding-a-task.md", "python")
    files = {
        "capitals.py": capitals,
        "quiz.py": quiz,
        "haiku.py": haiku,
        "counted.py": capitals.replace("TASK = Capitals()\n", counted),
        "responses.py": responses,
    }
    for name, source in files.items():
        (tmp_path / name).write_text(source, "utf-8")
    [rows] = blocks(ROOT / "docs/adding-a-task.md", "json")
    put_data(tmp_path, "capitals", *map(json.loads, rows.splitlines()))
    put_data(
        tmp_path,
        "quiz",
        {"question": "Which can fly?", "options": ["a stone", "a bird"], "answer": 1},
        {"question": "Which is wet?", "options": ["rain", "sand", "fire"], "answer": 0},
    )
    put_data(tmp_path, "haiku", {"topic": "rivers"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put_data(folder: Path, name: str, *rows: dict[str, object]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(lines, "utf-8")


def recorded(folder: Path) -> str:
    rows = [{"doc_id": 0, "response": "It is Paris."}, {"doc_id": 1, "response": "Cusco"}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "recorded.jsonl").write_text(text, "utf-8")
    return f"replay:{folder / 'recorded.jsonl'}"


def test_the_example_task_runs(example: Path) -> None:
    from olmes import evaluate
    from olmes.cli.run import write_page
    from olmes.comparison.eligibility import reservations

    record = evaluate("capitals.py", model=recorded(example), out="runs")
    task = record.tasks["capitals"]
    assert record.value("capitals") == 0.5
    assert (task.said("unparsed"), task.said("misformatted")) == (0, 1)
    assert (task.data.origin, task.data.location) == ("folder", str(example))
    assert task.data.undeclared
    page = write_page(record)
    assert page is not None
    assert "Data not declared" in (text := page.read_text("utf-8"))
    assert "Data differs" not in text
    [said] = [one.sentence for one in reservations(record.run) if one.kind == "data differ"]
    assert said == "no official data are declared for capitals"


def test_the_examples_commands_print_what_the_page_shows(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    page = ROOT / "docs/adding-a-task.md"
    commands = (["check", "capitals.py"], ["data", "list", "capitals.py"])
    for command, shown in zip(commands, blocks(page, "text"), strict=True):
        assert f"olmes {' '.join(command)}\n" in page.read_text("utf-8")
        done = CliRunner().invoke(olmes, command)
        printed = [" ".join(line.split()) for line in done.output.splitlines()]
        for line in shown.replace("/home/you/tasks", str(example)).splitlines():
            assert " ".join(line.split()) in printed, done.output


def test_a_declared_hash_makes_the_examples_data_official(example: Path) -> None:
    from olmes import evaluate

    [said] = [
        line.split("#")[0].strip()
        for block in blocks(ROOT / "docs/adding-a-task.md", "text")
        for line in block.splitlines()
        if line.startswith("content_hash=")
    ]
    source = (example / "capitals.py").read_text("utf-8")
    path = example / "declared.py"
    path.write_text(source.replace("source = Source(", f"source = Source({said}, "), "utf-8")
    record = evaluate(str(path), model=recorded(example), out="runs")
    data = record.tasks["capitals"].data
    assert (data.official, data.notes, data.origin) == (True, [], "folder")


@pytest.mark.parametrize("name", ["capitals", "quiz", "haiku", "counted"])
def test_every_example_task_is_sound(example: Path, name: str) -> None:
    done = CliRunner().invoke(olmes, ["check", f"{name}.py", "--json"])
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["problems"] == []
    assert {one["kind"] for one in found["notices"]} == {"data"}
    assert {metric["perfect"] for metric in found["metrics"].values()} >= {found["items"]}
    if name == "quiz":
        assert found["prompts"]["first"]["prompt"].startswith("Question: Which animal barks?")
        assert found["prompts"]["first"]["continuations"] == [" a stone", " a bird"]


def test_changing_an_exemplar_of_the_example_changes_its_formulation(example: Path) -> None:
    from olmes.benchmark.registry import load_task

    source = (example / "quiz.py").read_text("utf-8")
    (example / "other.py").write_text(source.replace("a dog", "a wolf"), "utf-8")
    hashes = {load_task(f"{name}.py").formulation_hash for name in ("quiz", "other")}
    assert len(hashes) == 2


def test_a_further_metric_leaves_old_runs_comparable_and_can_be_given_to_them(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from olmes import evaluate

    old = evaluate("capitals.py", model=recorded(example), out="runs")
    monkeypatch.setattr("sys.argv", ["responses.py", str(old.folder), "capitals"])
    runpy.run_path("responses.py")
    (example / "again.jsonl").write_text(capsys.readouterr().out, "utf-8")
    new = evaluate("counted.py", model="replay:again.jsonl", out="runs")
    assert new.value("capitals") == old.value("capitals") == 0.5
    assert new.tasks["capitals"].metrics["words"].value == 2.0
    hashes = {run.tasks["capitals"].formulation_hash for run in (old, new)}
    assert len(hashes) == 1


def test_the_example_suite_and_entry_points_are_toml(example: Path) -> None:
    from olmes.benchmark.registry import load_suite, members

    suite, package = blocks(ROOT / "docs/adding-a-task.md", "toml")
    (example / "geography.toml").write_text(suite, "utf-8")
    _, tasks = members(load_suite("geography.toml"))
    assert [task.name for task in tasks] == ["capitals", "quiz"]
    points = tomllib.loads(package)["project"]["entry-points"]
    assert set(points) == {"olmes.tasks", "olmes.suites"}


def test_the_page_on_tasks_names_every_field() -> None:
    import olmes as public

    text = (ROOT / "docs/adding-a-task.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_0-9]+)`", text[text.index("## Every field") :]))
    for name in (
        *("Formulation", "Generation", "Source", "DataFile", "HubSplit", "Metric", "Request"),
        *(
            "Response",
            "Verdict",
            "Similarity",
            "Judgement",
            "Program",
            "Limits",
            "Execution",
            "Scored",
        ),
    ):
        fields = {field.name for field in dataclasses.fields(getattr(public, name))}
        assert fields <= named, f"{name}: {fields - named}"
    declared = {
        name for name in public.Task.__annotations__ if name not in ("reference", "settings")
    }
    assert declared <= named, declared - named
    written = {
        name
        for name, member in vars(public.Task).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    assert written - named == {"alias", "take_shots", "with_settings"}


def test_the_record_page_and_its_schema_are_those_of_the_types() -> None:
    page = (ROOT / "docs" / described.PAGE).read_text("utf-8")
    assert described.filled(page) == page
    stored = json.loads((ROOT / "docs" / described.SCHEMA_FILE).read_text("utf-8"))
    assert stored == described.json_schema()


def test_every_field_of_the_record_says_what_it_means() -> None:
    for kind in (*described.DESCRIBED, schema.ResponseRow):
        for name, _, words in described.fields_of(kind):
            assert words, f"{kind.__name__}.{name}"


def test_a_record_and_its_rows_are_what_the_schema_says(echo_record: Record) -> None:
    stored = described.json_schema()
    run = json.loads((echo_record.folder / "run.json").read_text("utf-8"))
    jsonschema.validate(run, stored)
    row = {"$ref": "#/$defs/ResponseRow", "$defs": stored["$defs"]}
    for sample in echo_record.samples("echo"):
        jsonschema.validate(sample, row)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(run | {"complete": "yes"}, stored)


@pytest.fixture
def echo_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record of the small benchmark the engine's tests use."""
    from olmes import evaluate

    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data/echo"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_text('{"word": "a"}\n{"word": "b"}\n', "utf-8")
    (tmp_path / "recorded.jsonl").write_text('{"doc_id": 0, "response": "a"}\n', "utf-8")
    return evaluate(
        str(ROOT / "tests/olmes/files/echo_task.py"),
        model=f"replay:{tmp_path / 'recorded.jsonl'}",
        data=tmp_path / "data",
        out=tmp_path / "runs",
    )
