"""The table of a run and that of several models: the same numbers and marks, at every width."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from olmes.cli.run import command as run_command
from olmes.cli.sequence import labels
from olmes.cli.tables import PlainConsole, record_table
from olmes.cli.wide_table import folded
from olmes.sequence import Member
from tests.factories import fingerprint_of, run_json, score_json, task_json, written

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

WIDTHS = [120, 80, 50]
SUITE = """
name = "mine"
title = "Mine"
tasks = ["{task}", "alpaca_eval"]
"""


def recording(echo: EchoBench, name: str, right: int, answered: int = 12) -> str:
    """A model that answers so many of the twelve items, the first of them right."""
    path = echo.recording.with_name(f"{name}.jsonl")
    rows = [
        {"response": f"word{i}" if i < right else "other", "doc_id": i} for i in range(answered)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return f"replay:{path}"


def run(echo: EchoBench, width: int, *arguments: Any) -> Result:
    out = echo.recording.parent / "runs"
    options = ["--data", echo.data, "--out", out, "--scoring-processes", "1", *arguments]
    return CliRunner(env={"COLUMNS": str(width)}).invoke(
        run_command, [*map(str, options)], standalone_mode=False
    )


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def models(echo: EchoBench) -> list[str]:
    return [
        recording(echo, "team-whole-answers", 9),
        recording(echo, "team-some-answers", 3, answered=6),
        "replay:not-there.jsonl",
    ]


def test_several_models_have_the_numbers_and_marks_of_one(
    echo: EchoBench, models: list[str]
) -> None:
    suite = echo.recording.with_name("mine.toml")
    suite.write_text(SUITE.format(task=echo.task), "utf-8")
    options = ["--suite", suite, "--set", "echo.temperature=0.5"]
    for width in WIDTHS:
        done = run(echo, width, *options, "--model", *models)
        assert done.return_value == 1
        lines = done.stdout.splitlines()
        end = next(at for at, line in enumerate(lines) if line.startswith("! "))
        assert max(map(len, lines[:end])) <= width
        # Six of twelve were answered: they are what the number is over, and the others are said.
        assert re.search(r"50\.0 +\[\S+, \S+\] +6\b", done.stdout)
        assert re.search(r"75\.0 +\[\S+, \S+\] +12\b", done.stdout)
        said = words(done.stdout)
        assert "6 failed" in said
        assert said.count("without alpaca_eval (incomplete)") == 2
        assert "echo! exact_match" in said or ("echo! " in said and " exact_match " in said)
        assert done.stdout.count("echo: not the standard formulation") == 1
        assert "! replay:not-there.jsonl: there is no file" in said
        assert "team-whole-" in said  # folded behind a hyphen, where it must be
        assert not re.search(r"exact_ma\b|answ\b|\[\S+,$", done.stdout)
    for model in models[:2]:
        alone = run(echo, 80, *options, "--model", model)
        [number] = re.findall(r"exact_match +(\S+ +\[.*?\] +\d+)", alone.stdout)
        assert words(number) in words(done.stdout)


def test_demo_data_stands_below_the_table_of_several_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names = []
    for name in "ab":
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps({"response": "The answer is 1.", "doc_id": 0}) + "\n", "utf-8")
        names.append(f"replay:{path}")
    command = ["--task", "gsm8k", "--limit", "1", "--out", str(tmp_path / "runs")]
    done = CliRunner().invoke(run_command, [*command, "--model", *names])
    assert done.stdout.count("! demo data in gsm8k") == 1
    assert len(re.findall(r"! limited to 1 of \d+ items of gsm8k", done.stdout)) == 1


def test_names_fold_at_their_joints_alone() -> None:
    assert folded("exact_match_lenient*", 13) == ["exact_match_", "lenient*"]
    assert folded("2026-11-29 20:51:10", 12) == ["2026-11-29", "20:51:10"]
    assert folded("org/Qwen2.5-1.5B-Instruct", 14) == ["org/", "Qwen2.5-1.5B-", "Instruct"]
    assert folded("abcdefgh", 5) == ["abcde", "fgh"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_full_suite_is_one_table_on_a_narrow_terminal(width: int, tmp_path: Path) -> None:
    names = ["prompt_level_loose", "inst_level_loose", "prompt_level_strict_stated"]
    of_parts = dict.fromkeys(names, score_json(0.542, n=834)) | {names[0]: score_json(0.4, n=541)}
    task = task_json(primary=names[0], metrics=of_parts, n=541, items=541)
    tasks = {"ifeval": task, "bigcodebench_hard": task_json(0.3)}
    stream = io.StringIO()
    record = written(tmp_path, run_json(tasks))
    PlainConsole(file=stream, width=width).print(record_table(record))
    text = stream.getvalue()
    assert text.count("95 % interval") == 1
    assert max(map(len, text.splitlines())) <= width
    assert re.search(r"541 \(834 parts\)" if width > 50 else r"541 *\n.*\(834 *\n.*parts\)", text)


def test_labels_are_cut_where_they_stay_apart(tmp_path: Path) -> None:
    def member(name: str, model: str) -> Member:
        record = written(tmp_path / fingerprint_of(model)[:8], run_json(model=name))
        return Member(model, record)

    steps = [member(f"runs/chain/{one}", one) for one in ("step_100", "step_200")]
    assert labels(steps) == ["step_100", "step_200"]
    twice = [member("a/final", "x/a/final"), member("a/final", "y/a/final")]
    assert labels(twice) == ["x/a/final", "y/a/final"]
    assert labels(steps[:1]) == ["runs/chain/step_100"]
