"""Fixtures for the tests of single benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

# A process of its own: in this one, other tests have loaded everything already.
SCORING = """
import json, sys
from olmes import Response
from olmes.benchmark.registry import load_task

task = load_task(sys.argv[1])
pairs = json.load(sys.stdin)
task.prepare()
opened = []
sys.addaudithook(lambda event, about: event in ("open", "import") and opened.append(str(about[0])))
for doc, text in pairs:
    task.score(doc, Response(text=text))
json.dump(opened, sys.stdout)
"""


@pytest.fixture
def opened_while_scoring() -> Callable[[str, Sequence[tuple[dict[str, Any], str]]], list[str]]:
    """The files and modules that scoring opens once a task is prepared."""

    def opened(task: str, pairs: Sequence[tuple[dict[str, Any], str]]) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", SCORING, task], input=json.dumps(pairs),
            capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        return [str(one) for one in json.loads(done.stdout)]

    return opened
