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
from tests.headings import FENCED, anchors

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
            for line in block.replace("\\\n", " ").splitlines():
                line = re.sub(r"^([A-Z_]+=\S* )*(\.venv/bin/)?", "", line)
                if line.startswith("olmes "):
                    found.append((page.name, line))
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_parses(page: str, line: str) -> None:
    command, arguments = looked_up(shlex.split(line, comments=True)[1:])
    assert not isinstance(command, click.Group), f"{page}: {line}"
    # Parsing checks names, types and required options; nothing is run.
    command.make_context(command.name, arguments, resilient_parsing=False)


def looked_up(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and what follows its name."""
    command: click.Command = olmes
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"no command '{words[0]}'"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_sentence_has_its_options(page: Path) -> None:
    text = FENCED.sub("", page.read_text("utf-8"))
    for span in re.findall(r"`(?:\.venv/bin/)?olmes ([a-z][^`]*)`", text):
        command, words = looked_up(span.split())
        known = {name for parameter in command.params for name in parameter.opts}
        unknown = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - known
        assert unknown - {"-h", "--help"} == set(), f"{page.name}: olmes {span}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([a-z0-9-]+\.md)", index))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_heading_that_is_linked_is_there(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8")):
        other = page.parent / target if target else page
        if other.suffix == ".md":
            assert heading in anchors(other), f"{page.name}: {target}#{heading}"


@pytest.mark.parametrize(("full", "quick"), [("tulu3_dev", "dev"), ("tulu3_unseen", "unseen")])
def test_the_task_tables_are_the_suites(full: str, quick: str) -> None:
    from olmes.benchmark.registry import load_suite, members

    text = (ROOT / "docs/tasks.md").read_text("utf-8")
    table = text[text.index(f"| `{full}` |") :].split("\n\n")[0]
    rows = [line.split("|")[1:] for line in table.splitlines()[2:]]
    _, tasks = members(load_suite(full))
    chosen = load_suite(quick).tasks
    named = [
        f"`{task.name}` *{quick}*" if task.name in chosen else f"`{task.name}`" for task in tasks
    ]
    assert [row[0].strip() for row in rows] == named
    for task, row in zip(tasks, rows, strict=True):
        assert f"`{task.primary}`" in row[3], task.name


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `runs/A` and `runs/B`: two recordings of GSM8K's demo data, B the better one."""
    from olmes import evaluate

    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    rows = (ROOT / "tasks/demo/gsm8k.jsonl").read_text("utf-8").splitlines()
    for name, wrong in (("A", 9), ("B", 3)):
        golds = [json.loads(row)["answer"].rpartition("#### ")[2] for row in rows]
        said = [
            "none" if i < wrong else f"So the answer is {gold}." for i, gold in enumerate(golds)
        ]
        answers = [json.dumps({"doc_id": i, "response": text}) for i, text in enumerate(said)]
        Path(f"{name}.jsonl").write_text("\n".join(answers), "utf-8")
        record = evaluate("gsm8k", model=f"replay:{name}.jsonl", out="runs")
        record.folder.rename(f"runs/{name}")
    return tmp_path


RUNNABLE = ("compare", "gate", "report", "list", "show gsm8k", "data list")
NEEDS_MORE = ("--model", "--as checkpoints", "--policy", "base-dev", "runs/NAME")


def test_the_commands_on_runs_do_what_they_say(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = tuple(f"olmes {words}" for words in RUNNABLE)
    lines = [
        line
        for page, line in commands()
        if page in ("README.md", "compare.md", "suites.md", "tasks.md")
        if line.startswith(starts) and not any(words in line for words in NEEDS_MORE)
    ]
    assert {line.split()[1] for line in lines} == {words.split()[0] for words in RUNNABLE}
    for line in dict.fromkeys(shlex.join(shlex.split(line, comments=True)) for line in lines):
        done = CliRunner().invoke(olmes, shlex.split(line)[1:])
        assert done.exit_code == 0, f"{line}: {done.output}"  # a gate too: B is the better one
        written = re.search(r"(?:-o|--output) (\S+)", line)
        assert written is None or (store / written[1]).stat().st_size > 0, line
    [block] = blocks(ROOT / "docs/compare.md", "python")
    exec(compile(block, "docs/compare.md", "exec"), {})
    assert "points (95 % interval" in capsys.readouterr().out


def test_the_suites_of_the_page_are_toml(tmp_path: Path) -> None:
    from olmes.benchmark.suite import Suite

    ours, held_out = blocks(ROOT / "docs/suites.md", "toml")
    for text in (ours, held_out):
        for name in re.findall(r'"([a-z_0-9/]+\.py)"', text):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / "tests/olmes/files/echo_task.py").read_bytes())
    (tmp_path / "release.toml").write_text(ours, "utf-8")
    (tmp_path / "never.toml").write_text(held_out, "utf-8")
    assert Suite.read(tmp_path / "release.toml").tasks[:2] == ("gsm8k", "ifeval")
    suite = Suite.read(tmp_path / "never.toml")
    assert suite.held_out
    assert [Path(pair.unseen).name for pair in suite.pairs] == ["tickets_2026.py"]


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
