"""A small benchmark on disk and a recording that answers it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ECHO = Path(__file__).parent / "files/echo_task.py"


@dataclass(frozen=True)
class EchoBench:
    """A task file, its data folder and a recording."""

    task: Path
    data: Path
    recording: Path

    def record(self, rows: list[dict[str, Any]]) -> None:
        """Write the recording."""
        self.recording.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EchoBench:
    """Twelve documents, ten of them answered right."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    data = tmp_path / "data"
    (data / "echo").mkdir(parents=True)
    words = [f"word{i}" for i in range(12)]
    (data / "echo/test.jsonl").write_text(
        "".join(json.dumps({"word": word}) + "\n" for word in words), "utf-8"
    )
    bench = EchoBench(ECHO, data, tmp_path / "recording.jsonl")
    bench.record(
        [
            {"response": word if i < 10 else "other", "doc_id": i, "tokens": 1}
            for i, word in enumerate(words)
        ]
    )
    return bench
