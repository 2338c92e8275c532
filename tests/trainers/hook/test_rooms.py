"""Scoring checkpoints needs nothing of the training: no TRL, and no module of the training room."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import olmes.trainers.checkpoints

ROOM = "olmes.trainers"
FILES = sorted(Path(olmes.trainers.checkpoints.__file__).parent.glob("*.py"))


def imported(file: Path) -> set[str]:
    """Every module that a file imports, in functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides what it imports"
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_the_checkpoints_room_imports_nothing_of_the_training_room() -> None:
    assert FILES
    for file in FILES:
        ours = {name for name in imported(file) if name.startswith(f"{ROOM}.")}
        outside = {name for name in ours if not name.startswith(f"{ROOM}.checkpoints")}
        assert not outside, f"{file.name} imports {sorted(outside)}"
        assert "trl" not in {name.split(".")[0] for name in imported(file)}, file.name


def test_the_command_line_imports_no_trainer_before_it_trains() -> None:
    code = (
        "import sys, olmes.cli.train, olmes.cli.watch; "
        "print([n for n in ('torch', 'transformers', 'trl', 'olmes.trainers.recipes.files') "
        "if n in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
