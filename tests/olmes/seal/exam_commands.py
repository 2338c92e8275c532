"""The commands that show held-out items, and task files that read the same data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

HASH = "9057dfbc9c862e593cda3bc66caaacd8c40e088a94a14ec55a20e5452e6faaa4"
"""Of the twelve words that the echo bench has."""


def commands(echo: EchoBench, task: object) -> list[tuple[object, ...]]:
    return [
        ("show", task, "--json"),
        ("check", task, "--scoring-processes", 1),
        ("check", task, "--scoring-processes", 1, "--json", "--limit", 2),
        ("score", "--task", task, echo.recording, "--scoring-processes", 1),
        ("score", "--task", task, echo.recording, "--scoring-processes", 1, "--json"),
        ("run", "--task", task, "--model", f"replay:{echo.recording}", "--scoring-processes", 1),
    ]


def own_task(echo: EchoBench, place: Path, name: str, path: str = "echo/test.jsonl") -> Path:
    """A task file of the user's own, which declares no hash."""
    place.write_text(
        echo.task.read_text("utf-8").replace('"echo"', f'"{name}"').replace("echo/test.jsonl", path)
    )
    return place


def slow(*values: int) -> list[Any]:
    """Parameters of the full test run alone."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
