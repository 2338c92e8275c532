"""Progress on the terminal: a bar a task of a run or a stage of a synthesis, rate and time left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from olmes.cli.tables import console
from olmes.records.running_score import RunningScore
from olmes.records.shown import shown
from olmes.requests.callbacks import RunCallback
from olmes.requests.dispatch import Origin
from olmes.requests.plan import Plan
from olmes.synthesis.session import Progress as StageProgress
from olmes.types import Response

PAUSE = 0.1
"""Seconds between two drawings: a bar costs more than a replayed response."""
ROOMY = 100
"""Columns of a terminal from which on the bars are long."""


class TokenRate(ProgressColumn):
    """New tokens a second, of those the model made in this run."""

    def render(self, task: Task) -> Text:
        """The column's text for one bar."""
        seconds = task.finished_time or task.elapsed or 0
        tokens = task.fields["tokens"]
        return Text(f"{tokens / seconds:.0f} tok/s" if tokens and seconds else "", "dim")


@dataclass
class Counts:
    """What is known of a task's responses."""

    answered: int = 0
    tokens: int = 0
    """Those the model made in this run."""
    reused: int = 0
    """Responses that were there already."""
    failed: int = 0
    """Requests that failed."""
    score: RunningScore | None = None
    """Of what is scored so far; None where there is none to be shown."""

    def note(self, *, ended: bool = False) -> str:
        """What stands behind the bar."""
        said = {"already there": self.reused, "failed": self.failed}
        notes = [f"{count} {what}" for what, count in said.items() if count]
        return ", ".join(filter(None, [so_far(self.score, ended=ended), *notes]))


def so_far(score: RunningScore | None, *, ended: bool = False) -> str:
    """A running score in words: `62.5 so far (n = 40)`, `62.5 (n = 40)` once it is over.

    '' where there is none.
    """
    found = score.score if score else None
    if found is None:
        return ""
    words = "" if ended else " so far"
    return f"{shown(found.value, found.unit)}{words} (n = {found.n:,})"


class Bars:
    """Bars on standard error, one a task or stage, moved on by the responses that come."""

    def __init__(self) -> None:
        screen = console(stderr=True)
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24 if screen.width > ROOMY else 8),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TokenRate(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=screen,
        )
        self.tasks: dict[str, TaskID] = {}
        self.counts: dict[str, Counts] = {}
        self.drawn = 0.0

    def add(self, name: str, total: int) -> None:
        """Show one more bar."""
        self.counts[name] = Counts()
        self.tasks[name] = self.bars.add_task(name, total=total, tokens=0, note="")

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Move the task's bar on, now or with those that follow at once."""
        counts = self.counts[task]
        counts.answered += 1
        counts.tokens += response.completion_tokens if origin == "model" else 0
        counts.reused += origin in ("journal", "cache")
        counts.failed += bool(response.error)
        self.draw_by_and_by()

    def draw_by_and_by(self) -> None:
        """Draw, unless that was done a moment ago."""
        if time.monotonic() - self.drawn > PAUSE:
            self.draw()

    def draw(self, *, ended: bool = False) -> None:
        """Set every task's bar to what was counted."""
        for name, bar in self.tasks.items():
            counts = self.counts[name]
            note = counts.note(ended=ended)
            self.bars.update(bar, completed=counts.answered, tokens=counts.tokens, note=note)
        self.drawn = time.monotonic()

    def ended(self) -> None:
        """Leave the bars as they are."""
        self.draw(ended=True)
        self.bars.stop()


class ProgressBars(Bars, RunCallback):
    """Draws a run's progress."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = TaskID(0)

    def started(self, plan: Plan, folder: Path) -> None:
        """Show one bar a task."""
        self.bars.console.print(f"run {folder.name}")
        for task in plan.tasks:
            self.add(task.task.name, len(task.items))
        self.bars.start()

    def scored(self, task: str, score: RunningScore) -> None:
        """Show the score so far behind the task's bar."""
        self.counts[task].score = score
        self.draw_by_and_by()

    def judging(self, responses: int) -> None:
        """Show a bar for the judge."""
        self.draw()
        self.judge = self.bars.add_task("judge", total=responses, tokens=0, note="")

    def response_judged(self) -> None:
        """Move the judge's bar on."""
        self.bars.update(self.judge, advance=1)


class StageBars(Bars, StageProgress):
    """Draws the progress of a synthesis, one bar a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.totals: dict[str, int] = {}
        """Requests by stage."""

    def begun(self, stage: str, requests: int) -> None:
        """Show the stage's bar, or lengthen it where more is asked than before."""
        if stage in self.tasks:
            self.totals[stage] += requests
            self.bars.update(self.tasks[stage], total=self.totals[stage])
            return
        self.totals[stage] = requests
        self.add(stage, requests)
        self.bars.start()
