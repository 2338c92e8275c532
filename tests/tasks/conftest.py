"""Fixtures for the tests of single benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from olmes import Doc, Response, Task
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import ScoringPool

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


@pytest.fixture(scope="session")
def executed(
    bubblewrap_program: str,
) -> Callable[[Task, Sequence[tuple[Doc, Response]]], list[Outcome]]:
    """What becomes of responses to an `executed` task: its programs run in the sandbox, then scored."""

    def outcomes(task: Task, pairs: Sequence[tuple[Doc, Response]]) -> list[Outcome]:
        found: dict[int, Outcome] = {}

        def done(place: int, _: str, outcome: Outcome) -> None:
            found[place] = outcome

        with ScoringPool({task.name: task}, 1) as pool:
            for place, (doc, response) in enumerate(pairs):
                pool.submit(task.name, doc, response, partial(done, place))
            pool.join()
        return [found[place] for place in range(len(pairs))]

    return outcomes
