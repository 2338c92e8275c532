"""Callbacks of a run: who hears of its events while it runs."""

from __future__ import annotations

from pathlib import Path

from olmes.requests.dispatch import Origin
from olmes.requests.plan import Plan
from olmes.types import Response


class RunCallback:
    """Called at the events of a run; the command line draws progress from it."""

    def started(self, plan: Plan, folder: Path) -> None:
        """The plan is made; the first request is about to be sent."""

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """A response has come, from the journal, the cache or the model."""

    def judging(self, responses: int) -> None:
        """Every response has come; a judge is asked about so many of them."""

    def response_judged(self) -> None:
        """All questions about one response are answered."""

    def scoring(self) -> None:
        """Nothing more is asked; the last verdicts are being waited for."""

    def ended(self) -> None:
        """The run is over, well or not."""


class CallbackList(RunCallback):
    """Several callbacks as one."""

    def __init__(self, *callbacks: RunCallback) -> None:
        self.callbacks = callbacks

    def started(self, plan: Plan, folder: Path) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.started(plan, folder)

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.answered(task, response, origin)

    def judging(self, responses: int) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.judging(responses)

    def response_judged(self) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.response_judged()

    def scoring(self) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.scoring()

    def ended(self) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.ended()
