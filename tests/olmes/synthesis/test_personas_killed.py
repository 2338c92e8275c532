"""`olmes synth personas` on 200 instructions, killed again and again: nothing is asked twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.recipe import read_recipe
from olmes.synthesis.synthesize import Made, synthesize
from tests.olmes.synthesis.scripted_author import Author

AT_ONCE = 4
SIZES = {
    "generator.batch_size": str(AT_ONCE),
    "if.instructions": "200",
    "generator.begin": "false",
    "if.most": "3",
    "if.responses": "1",
    "math.instructions": "0",
    "decontamination.against": "[]",
}


def recipe_of(model: str) -> PersonaRecipe:
    return read_recipe(
        "demo-personas", "personas", PersonaRecipe(), {"generator.model": model, **SIZES}
    )


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    author = Author(recipe_of("unused"))
    yield synthesize(
        recipe_of(author.model), tmp_path / "whole", store=tmp_path, say=print, use_cache=False
    )
    author.close()


@pytest.mark.slow  # two hundred instructions, two times
def test_a_killed_synthesis_resumes_and_asks_nothing_twice(made: Made, tmp_path: Path) -> None:
    """Killed three times at arbitrary moments; the last call finishes with the same bytes."""
    author = Author(recipe_of("unused"))
    author.server.latency = 0.02
    arguments = ["generator.model", author.model]
    settings = {"generator.model": arguments[1], **SIZES}
    command = [sys.executable, "-m", "olmes", "synth", "personas", "demo-personas"]
    command += ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "runs"), "--no-cache"]
    command += [f"--set={key}={value}" for key, value in settings.items()]
    try:
        for wanted in (60, 150, 230):
            process = subprocess.Popen(
                command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            while sum(author.asked.values()) < wanted and process.poll() is None:
                time.sleep(0.02)
            assert process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    finally:
        author.close()
    assert done.returncode == 0, done.stderr
    # Only what was on its way when the process died is asked again.
    assert sum(author.asked.values()) - len(author.asked) <= 3 * AT_ONCE
    for name in ("rows.jsonl", "preferences.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (made.folder / name).read_bytes()
    assert "rows" in done.stdout
    assert "tokens read" in done.stdout
