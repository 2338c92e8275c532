"""The docs say what is true: their commands parse, their example runs, their tables are complete."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from olmes.cli import olmes

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


def test_the_example_task_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from olmes import evaluate

    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    [source] = blocks(ROOT / "docs/adding-a-task.md", "python")
    (tmp_path / "capitals_task.py").write_text(source, "utf-8")
    data = tmp_path / "data/capitals"
    data.mkdir(parents=True)
    rows = [{"country": "France", "capital": "Paris"}, {"country": "Peru", "capital": "Lima"}]
    (data / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    recorded = [{"doc_id": 0, "response": "It is Paris."}, {"doc_id": 1, "response": "Cusco"}]
    (tmp_path / "recorded.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in recorded), "utf-8"
    )
    record = evaluate(
        str(tmp_path / "capitals_task.py"),
        model=f"replay:{tmp_path / 'recorded.jsonl'}",
        data=tmp_path / "data",
        out=tmp_path / "runs",
    )
    assert record.value("capitals") == 0.5


def test_the_record_page_names_every_field(echo_record: Record) -> None:
    text = (ROOT / "docs/record.md").read_text("utf-8")
    named = set(re.findall(r"`[… .]*\.?([a-z_]+)`", text)) | set(re.findall(r"\.([a-z_]+)", text))
    missing = set(echo_record.to_json()) - named
    missing |= set(echo_record.tasks["echo"]) - named - {"title"}
    missing |= set(next(echo_record.samples("echo"))) - named
    assert not missing


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
