"""How the numbers of several responses an item are written: for terminal, pages, tables, exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from olmes.records.schema import AtK, MetricRepeats, MetricScore, Score, TaskRepeats
from olmes.records.shown import MISSING, shown, shown_interval
from olmes.types import Unit

PASS = ("pass@", "pass^", "maj@")
EXTREME = ("best@", "worst@", "maj@")
"""Where values are not right or wrong alone: the best and the worst of k in place of pass@k, pass^k."""
MEANINGS = {
    "pass@": "pass@k: one of k responses is right",
    "pass^": "pass^k: all of k are",
    "best@": "best@k: the best of k responses",
    "worst@": "worst@k: the worst of them",
    "maj@": "maj@k: their commonest answer, equally common ones with equal chances",
}
RUN_SD = "run to run"
RUN_SD_MEANING = (
    "run to run: the standard deviation of the score of one response an item, on the same items"
)
INCOMPLETE = "incomplete: items with fewer than k scored responses are left out at that k"


class Repeating(Protocol):
    """A task's numbers: of a record, or of recorded responses that were scored."""

    @property
    def title(self) -> str:
        """Name in reports."""

    @property
    def primary(self) -> str:
        """Name of the metric a suite averages."""

    @property
    def metrics(self) -> Mapping[str, MetricScore]:
        """By name."""

    @property
    def repeats(self) -> TaskRepeats | None:
        """Of several responses an item; None where each has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatReading:
    """One number of k responses an item."""

    name: str
    """`pass@4`."""
    k: int
    score: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatCell:
    """One number, as text."""

    value: str
    """A dash where there is none."""
    interval: str
    n: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRow:
    """The numbers of one metric at one k, as text."""

    k: int
    cells: tuple[RepeatCell, ...]
    """Best, worst and majority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatView:
    """A metric of a task with several responses an item, ready to be shown."""

    name: str
    title: str
    """Of the task."""
    metric: str
    n: int
    names: tuple[str, ...]
    """What best, worst and majority are called here, without the k."""
    rows: tuple[RepeatRow, ...]
    noise: str
    """The run-to-run standard deviation; a dash where there is none."""
    means: tuple[str, ...]
    """The metric of each repeat."""
    complete: bool

    @property
    def legend(self) -> str:
        """What the words mean."""
        said = repeat_legend(self.names)
        return said if self.complete else f"{said}; {INCOMPLETE}"


def primary_repeats(task: Repeating) -> MetricRepeats | None:
    """What several responses an item say of a task's primary metric; None where each has one."""
    return task.repeats.metrics.get(task.primary) if task.repeats else None


def names_of(found: MetricRepeats) -> tuple[str, str, str]:
    """What best, worst and majority are called."""
    return PASS if found.binary else EXTREME


def repeat_legend(names: Iterable[str]) -> str:
    """What some readings mean (`pass@4`, or `pass@` alone), and the noise from run to run."""
    kinds = dict.fromkeys(name.rstrip("0123456789") for name in names)
    return "; ".join([*(MEANINGS[kind] for kind in kinds), RUN_SD_MEANING])


def readings(found: MetricRepeats, ks: list[int] | None = None) -> Iterator[RepeatReading]:
    """The numbers of a metric, of the given k or of all that the record has."""
    best, worst, majority = names_of(found)
    for at in found.at:
        if ks is None or at.k in ks:
            for name, score in ((best, at.best), (worst, at.worst), (majority, at.majority)):
                if score is not None:
                    yield RepeatReading(name=f"{name}{at.k}", k=at.k, score=score)


def repeat_views(name: str, task: Repeating) -> list[RepeatView]:
    """The metrics of a task that has several responses an item, the primary one first."""
    if task.repeats is None:
        return []
    return [
        repeat_view(name, task, metric, task.repeats.metrics[metric])
        for metric in sorted(task.repeats.metrics, key=lambda one: one != task.primary)
        if metric in task.metrics
    ]


def repeat_view(name: str, task: Repeating, metric: str, found: MetricRepeats) -> RepeatView:
    """One of them."""
    assert task.repeats is not None
    unit = task.metrics[metric].unit
    return RepeatView(
        name=name,
        title=task.title or name,
        metric=metric,
        n=task.repeats.n,
        names=names_of(found),
        rows=tuple(repeat_row(at, unit) for at in found.at if at.k in task.repeats.k),
        noise=shown(found.sd, unit),
        means=tuple(shown(mean, unit) for mean in found.means),
        complete=task.repeats.complete,
    )


def repeat_row(at: AtK, unit: Unit) -> RepeatRow:
    """The numbers at one k."""
    found = (at.best, at.worst, at.majority)
    return RepeatRow(k=at.k, cells=tuple(repeat_cell(score, unit) for score in found))


def repeat_cell(score: Score | None, unit: Unit) -> RepeatCell:
    """One of them."""
    if score is None or score.value is None:
        return RepeatCell(value=MISSING, interval="", n="")
    return RepeatCell(
        value=shown(score.value, unit), interval=shown_interval(score, unit), n=f"{score.n:,}"
    )
