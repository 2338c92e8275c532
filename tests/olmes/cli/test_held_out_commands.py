"""The commands about held-out tasks, as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

ENVIRONMENT = {"OLMES_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "160"}


@pytest.fixture
def olmes(
    tmp_path: Path, echo: EchoBench, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `olmes ARGUMENTS` in a process of its own, in a folder with the echo task under seal."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")

    def call(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "olmes", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def exam(echo: EchoBench) -> list[object]:
    """The arguments that run the suite under seal on a recording."""
    return [
        "run", "--suite", "exam.toml", "--model", f"replay:{echo.recording}",
        "--data", echo.data, "--scoring-processes", 1,
    ]  # fmt: skip


def test_a_run_needs_a_reason_and_shows_what_went_before(
    olmes: Callable[..., subprocess.CompletedProcess[str]], exam: list[object], tmp_path: Path
) -> None:
    refused = olmes(*exam, status=2).stderr
    assert refused.startswith("olmes: echo (held out by the suite exam) must not be looked at")
    assert len(refused.splitlines()) == 1
    assert "no looks" in olmes("ledger").stdout
    first = olmes(*exam, "--reason", "final").stdout
    assert "had 0 looks before this one" in first
    assert "no development score of these weights was in the store then (ledger line 1)" in first
    assert "olmes unseal runs/" in first
    second = olmes(*exam, "--limit", 4, "--reason", "again").stdout
    assert "had 1 look before this one" in second
    page = next((tmp_path / "runs").glob("*/report.html")).read_text("utf-8")
    assert "word3" not in page


def test_unseal_opens_the_samples_and_the_ledger_tells(
    olmes: Callable[..., subprocess.CompletedProcess[str]], exam: list[object], tmp_path: Path
) -> None:
    olmes(*exam, "--reason", "final")
    run = next((tmp_path / "runs").glob("*/run.json")).parent
    assert "say why" in olmes("unseal", run, status=2).stderr
    opened = olmes("unseal", run, "--reason", "odd scores").stdout
    assert f"opened  {run / 'samples/echo.jsonl'}" in opened
    assert len((run / "samples/echo.jsonl").read_text("utf-8").splitlines()) == 12
    printed = olmes("ledger").stdout
    assert "odd scores" in printed
    assert "samples of echo" in printed
    assert "whole:" in printed
    listed = json.loads(olmes("ledger", "--json").stdout)
    assert [entry["event"] for entry in listed["entries"]] == ["run", "result", "unseal"]
    assert listed["head"] == listed["entries"][-1]["hash"]


def test_a_tampered_ledger_is_an_exit_status(
    olmes: Callable[..., subprocess.CompletedProcess[str]], exam: list[object], tmp_path: Path
) -> None:
    olmes(*exam, "--reason", "final")
    ledger = tmp_path / "runs/ledger.jsonl"
    ledger.write_text(ledger.read_text("utf-8").replace("final", "trial"), "utf-8")
    assert "! line 1 was changed" in olmes("ledger", status=1).stdout
    assert json.loads(olmes("ledger", "--json", status=1).stdout)["problems"]
    run = next((tmp_path / "runs").glob("*/run.json")).parent
    assert "stays closed" in olmes("unseal", run, "--reason", "look", status=2).stderr


def test_generalization_prints_pairs_gaps_and_what_the_format_cost(
    olmes: Callable[..., subprocess.CompletedProcess[str]],
    exam: list[object],
    echo: EchoBench,
    tmp_path: Path,
) -> None:
    open_task = tmp_path / "open_echo.py"
    open_task.write_text(
        echo.task.read_text("utf-8").replace('name = "echo"', 'name = "open_echo"'), "utf-8"
    )
    (tmp_path / "open.toml").write_text('tasks = ["open_echo.py"]\n')
    with (tmp_path / "exam.toml").open("a") as stream:
        stream.write('[[pairs]]\ndev = ["open_echo", "other"]\nunseen = "echo"\n')
    olmes("run", "--suite", "open.toml", *exam[3:])
    olmes(*exam, "--reason", "final")
    printed = olmes("generalization", "runs").stdout
    assert "open_echo, other" in printed
    assert "(the first that was given)" in printed
    assert "All intervals are for these weights" in printed
    assert "open score then 83.3" in printed
    [row] = json.loads(olmes("generalization", "runs", "--json").stdout)["pairs"][0]["rows"]
    assert row["left_out"] == ["other"]
    assert row["gap"]["value"] == pytest.approx(0)
    assert row["gap"]["ci_low"] < 0 < row["gap"]["ci_high"]
