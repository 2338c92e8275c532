"""Progress of a run on the terminal: a bar a task, with rate and time left."""

from __future__ import annotations

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

from olmes.answering import Origin
from olmes.cli.tables import console
from olmes.plan import Plan
from olmes.run import Watcher
from olmes.types import Response


class TokenRate(ProgressColumn):
    """New tokens a second, of those the model made in this run."""

    def render(self, task: Task) -> Text:
        """The column's text for one bar."""
        seconds = task.finished_time or task.elapsed or 0
        tokens = task.fields["tokens"]
        return Text(f"{tokens / seconds:.0f} tok/s" if tokens and seconds else "", "dim")


class ProgressBars(Watcher):
    """Draws a run's progress on standard error."""

    def __init__(self) -> None:
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TokenRate(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console(stderr=True),
        )
        self.tasks: dict[str, TaskID] = {}
        self.reused: dict[str, int] = {}
        self.judge = TaskID(0)

    def started(self, plan: Plan, folder: Path) -> None:
        """Show one bar a task."""
        self.bars.console.print(f"run {folder.name}")
        for task in plan.tasks:
            name = task.task.name
            self.reused[name] = 0
            self.tasks[name] = self.bars.add_task(name, total=len(task.items), tokens=0, note="")
        self.bars.start()

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Move the task's bar on."""
        bar = self.tasks[task]
        made = response.completion_tokens if origin == "model" else 0
        self.reused[task] += origin in ("journal", "cache")
        note = f"{self.reused[task]} already there" if self.reused[task] else ""
        tokens = self.bars.tasks[bar].fields["tokens"] + made
        self.bars.update(bar, advance=1, tokens=tokens, note=note)

    def judging(self, responses: int) -> None:
        """Show a bar for the judge."""
        self.judge = self.bars.add_task("judge", total=responses, tokens=0, note="")

    def judged(self) -> None:
        """Move the judge's bar on."""
        self.bars.update(self.judge, advance=1)

    def ended(self) -> None:
        """Leave the bars as they are."""
        self.bars.stop()
