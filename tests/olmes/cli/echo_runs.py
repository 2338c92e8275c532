"""The echo task's runs by the command line: two recordings that get everything right."""

from __future__ import annotations

import json
from pathlib import Path

from olmes.cli.run import command

ECHO = Path(__file__).parents[1] / "files/echo_task.py"


def make_recordings(tmp_path: Path) -> list[str]:
    """Two recordings of the echo task."""
    (tmp_path / "data/echo").mkdir(parents=True)
    words = [f"word{number}" for number in range(3)]
    rows = "".join(json.dumps({"word": word}) + "\n" for word in words)
    (tmp_path / "data/echo/test.jsonl").write_text(rows)
    for name in "ab":
        answers = [{"doc_id": n, "response": word} for n, word in enumerate(words)]
        text = "".join(json.dumps(row) + "\n" for row in answers)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return [f"replay:{tmp_path / name}.jsonl" for name in "ab"]


def options(tmp_path: Path, *models: str, push: str = "") -> list[str]:
    words = ["--task", str(ECHO), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "runs")]
    words += [word for model in models for word in ("--model", model)]
    return [*words, "--scoring-processes", "1", *(["--push", push] if push else [])]


def run(tmp_path: Path, *models: str, push: str = "") -> int:
    status = command.main(options(tmp_path, *models, push=push), standalone_mode=False)
    return int(status)
