"""The score of a run while it goes on: on the terminal, and as callbacks hear it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import evaluate
from olmes.cli.progress import ProgressBars
from olmes.requests.callbacks import CallbackList, RunCallback
from tests.known import known

if TYPE_CHECKING:
    from olmes.records.running_score import RunningScore
    from olmes.records.schema import MetricScore
    from olmes.requests.dispatch import Origin
    from olmes.types import Response
    from tests.olmes.conftest import EchoBench

HELD_OUT = """
name = "closed"
title = "Closed"
held_out = true
tasks = ["{task}"]
"""


class Heard(RunCallback):
    """Notes every score so far, and where responses came from."""

    def __init__(self) -> None:
        self.scores: list[MetricScore] = []
        self.origins: set[Origin] = set()
        self.lock = threading.Lock()

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        self.origins.add(origin)

    def scored(self, task: str, score: RunningScore) -> None:
        with self.lock:
            self.scores.append(known(score.score))


def test_the_score_so_far_ends_at_the_records_own(
    echo: EchoBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    record = evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        scoring_processes=1, callback=CallbackList(heard, ProgressBars()),
    )  # fmt: skip
    score = record.tasks["echo"].score
    assert [one.n for one in heard.scores] == list(range(1, 13))
    assert heard.scores[0].value == 1  # the first is right: nothing of the end is known yet
    last = heard.scores[-1]
    assert (last.value, last.ci_low, last.unit) == (score.value, score.ci_low, score.unit)
    assert heard.origins == {"recording"}
    assert known(record.run.cost).tokens_per_s is None
    bars = capsys.readouterr().err
    assert "83.3 (n = 12)" in bars
    assert "tok/s" not in bars


def test_a_held_out_task_has_no_score_before_its_end(echo: EchoBench, tmp_path: Path) -> None:
    suite = tmp_path / "closed.toml"
    suite.write_text(HELD_OUT.format(task=echo.task), "utf-8")
    heard = Heard()
    record = evaluate(
        str(suite), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        scoring_processes=1, look="the end of it", callback=heard,
    )  # fmt: skip
    assert record.run.held_out
    assert record.tasks["echo"].score.n == 12
    assert not heard.scores
