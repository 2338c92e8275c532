"""A model that a test can stop and count: it says the word it is asked to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import Record
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.runs.options import RunOptions
from olmes.runs.planning import plan_run, tasks_of
from olmes.runs.run import run
from olmes.seal.look import Look
from olmes.types import Request, Response

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench


class Sayer(Model):
    """Says the word of a prompt; stops with the process after some."""

    name = "sayer"
    fingerprint = "5" * 64
    engine = {"backend": "test"}  # noqa: RUF012 (a property elsewhere)

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.asked: list[str] = []

    def encode(self, request: Request) -> EncodedPrompt:
        text = request.messages[-1]["content"]
        return EncodedPrompt(text, tuple(text.encode()))

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        for position, request in enumerate(requests):
            if len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            word = request.messages[-1]["content"].removeprefix("Say ").rstrip(".")
            self.asked.append(word)
            done(position, Response(text=word, prompt_tokens=3, completion_tokens=1))

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        raise NotImplementedError


RunOn = Callable[..., Record]


@pytest.fixture
def run_on(echo: EchoBench, tmp_path: Path) -> RunOn:
    """`run_on(model, out, look=None, use_cache=True)`: a run of the echo task, or of an exam of it."""
    exam = tmp_path / "exam.toml"
    exam.write_text(f'name = "exam"\ntasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")

    def call(model: Model, out: str, look: str | None = None, use_cache: bool = True) -> Record:
        suite, tasks = tasks_of(str(exam if look else echo.task))
        options = RunOptions(
            out=tmp_path / out, look=Look(reason=look) if look else None,
            use_cache=use_cache, scoring_processes=1,
        )  # fmt: skip
        return run(plan_run(tasks, model, suite=suite, data=echo.data), model, options)

    return call
