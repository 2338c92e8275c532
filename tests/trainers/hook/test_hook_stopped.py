"""A scoring process that is stopped: said, not waited for for ever, and what to do afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from olmes.trainers.checkpoints.sign_of_life import FILE

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab


@pytest.mark.slow
@pytest.mark.parametrize("where", ["process", "pause"])
def test_a_stopped_scoring_process_is_given_up(lab: Lab, where: str) -> None:
    process = lab.start(4, 2, lab.hook(where=where, device="cpu", wait_minutes=0.15))
    alive = lab.training / FILE
    end = time.monotonic() + 150
    while not alive.is_file() or not alive.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    scorer = int(alive.read_text().split()[0])
    os.kill(scorer, signal.SIGSTOP)
    printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    assert "trained 4" in printed
    assert f"(the scoring process {scorer}, last sign of life" in printed
    assert f"the scoring process {scorer} has shown no sign of life for" in printed
    [line] = [text for text in printed.splitlines() if "Score them by: " in text][:1]
    ended = subprocess.run(
        shlex.split(line.split("Score them by: ")[1]), capture_output=True, check=False, timeout=400
    )
    assert ended.returncode == 0
    assert [row["step"] for row in lab.scores()] == [2, 4]
