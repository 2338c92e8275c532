"""Who is told what happens while a run goes on."""

from __future__ import annotations

from pathlib import Path

from olmes.requests.dispatch import Origin
from olmes.requests.plan import Plan
from olmes.types import Response


class RunCallback:
    """Told what happens while a run goes on; the command line draws progress from it."""

    def started(self, plan: Plan, folder: Path) -> None:
        """The plan is made; the first response is about to be had."""

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """One response is there, from the journal, the cache or the model."""

    def judging(self, responses: int) -> None:
        """Every response is there; a judge is asked about so many of them."""

    def judged(self) -> None:
        """All questions about one response are answered."""

    def scoring(self) -> None:
        """Nothing more is asked; the last verdicts are being waited for."""

    def ended(self) -> None:
        """The run is over, well or not."""


class CallbackList(RunCallback):
    """Several watchers as one."""

    def __init__(self, *watchers: RunCallback) -> None:
        self.watchers = watchers

    def started(self, plan: Plan, folder: Path) -> None:
        """Pass it on."""
        for one in self.watchers:
            one.started(plan, folder)

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Pass it on."""
        for one in self.watchers:
            one.answered(task, response, origin)

    def judging(self, responses: int) -> None:
        """Pass it on."""
        for one in self.watchers:
            one.judging(responses)

    def judged(self) -> None:
        """Pass it on."""
        for one in self.watchers:
            one.judged()

    def scoring(self) -> None:
        """Pass it on."""
        for one in self.watchers:
            one.scoring()

    def ended(self) -> None:
        """Pass it on."""
        for one in self.watchers:
            one.ended()
