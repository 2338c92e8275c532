"""Callbacks of a run: who hears of its events while it runs."""

from __future__ import annotations

import traceback
from pathlib import Path

from olmes.records.running_score import RunningScore
from olmes.requests.dispatch import Origin
from olmes.requests.plan import Plan
from olmes.tools.notices import say_once
from olmes.tools.visible_text import one_line
from olmes.types import Response


class RunCallback:
    """Called at the events of a run; the command line draws progress from it."""

    def started(self, plan: Plan, folder: Path) -> None:
        """The plan is made; the first request is about to be sent."""

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """A response has come, from the journal, the cache or the model."""

    def scored(self, task: str, score: RunningScore) -> None:
        """A response has its verdict, which `score` has in it; from a thread of the scoring.

        Never called for held-out tasks, nor where the primary metric is known at the end alone.
        """

    def judging(self, responses: int) -> None:
        """Every response has come; a judge is asked about so many of them."""

    def response_judged(self) -> None:
        """All questions about one response are answered."""

    def scoring(self) -> None:
        """Nothing more is asked; the last verdicts are being waited for."""

    def ended(self) -> None:
        """The run is over, well or not."""


class Guarded(RunCallback):
    """A callback whose failure ends nothing but itself.

    What it raises is said once, and from then on it hears of the end of the run alone. An interruption
    (`KeyboardInterrupt`, say) is none of its failures and passes.
    """

    def __init__(self, callback: RunCallback) -> None:
        self.callback = callback
        self.failed = False

    def started(self, plan: Plan, folder: Path) -> None:
        """Pass it on."""
        self._tell("started", plan, folder)

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Pass it on."""
        self._tell("answered", task, response, origin)

    def scored(self, task: str, score: RunningScore) -> None:
        """Pass it on."""
        self._tell("scored", task, score)

    def judging(self, responses: int) -> None:
        """Pass it on."""
        self._tell("judging", responses)

    def response_judged(self) -> None:
        """Pass it on."""
        self._tell("response_judged")

    def scoring(self) -> None:
        """Pass it on."""
        self._tell("scoring")

    def ended(self) -> None:
        """Pass it on, also to one that failed: it may have something to close."""
        before, self.failed = self.failed, False
        self._tell("ended")
        self.failed |= before

    def _tell(self, event: str, *facts: object) -> None:
        if self.failed:
            return
        try:
            getattr(self.callback, event)(*facts)
        except Exception as error:  # somebody else's code, or a terminal that is closed
            self.failed = True
            say_once(
                f"{type(self.callback).__name__}.{event} {how_it_failed(error)}; the run continues."
            )


class CallbackList(RunCallback):
    """Several callbacks as one; what one of them raises is not the others' failure."""

    def __init__(self, *callbacks: RunCallback) -> None:
        self.callbacks = [Guarded(callback) for callback in callbacks]

    def started(self, plan: Plan, folder: Path) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.started(plan, folder)

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.answered(task, response, origin)

    def scored(self, task: str, score: RunningScore) -> None:
        """Pass it on."""
        for callback in self.callbacks:
            callback.scored(task, score)

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


def how_it_failed(error: Exception) -> str:
    """That code of a user's failed: with what, and where in its file."""
    places = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return f"failed ({type(error).__name__}: {one_line(str(error))}{where})"
