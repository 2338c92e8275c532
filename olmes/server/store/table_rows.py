"""Rows of the database's tables as types, and how they are made of a record.

The names are those of the columns in `olmes.server.store.schema`.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec

from olmes.client.types import Primary, SuiteMean
from olmes.comparison.eligibility import (
    asked,
    item_set,
    items_in_words,
    reservations,
    why_not_ranked,
)
from olmes.records.aggregate import run_mean
from olmes.records.schema import BROKEN, SCHEMA, Environment, RunRecord, TaskRepeats, TaskResult
from olmes.tools.jsonl import dumps
from olmes.types import Unit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NumberColumns:
    """A number with its error and how it is read."""

    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    unit: Unit
    higher_is_better: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunColumns(NumberColumns):
    """What a record says of a run; the number is the suite's mean."""

    id: str
    created: str
    complete: bool
    model: str
    fingerprint: str
    family: str
    step: float | None
    suite: str
    """'' for single tasks."""
    held_out: bool
    opened: bool
    demo_data: bool
    standard: bool
    limited: str
    """Over which items the numbers are; '' for all."""
    items: int
    """Items that were asked."""
    samples: int
    moment: str
    """`created` in UTC and of one length: what runs are sorted by."""
    item_set: str
    """Which items they were, where these are not all."""
    lacking: str
    """Why it is incomplete."""
    unscored: int
    """Responses without a score."""

    @property
    def suite_mean(self) -> SuiteMean | None:
        """The suite's mean as the API says it."""
        if not self.suite:
            return None
        return SuiteMean(
            name=self.suite,
            value=self.value,
            stderr=self.stderr,
            ci_low=self.ci_low,
            ci_high=self.ci_high,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewRun(RunColumns):
    """A run about to be added."""

    data: str
    slim: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunRow(RunColumns):
    """A run that is here."""

    seq: int
    content_hash: str
    arrived: str
    uploaded_by: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskColumns:
    """A task of a run, and where its samples are."""

    task: str
    place: int
    formulation_hash: str
    data_hash: str
    origin: str
    sealed: bool
    opened: bool
    sha256: str
    rows: int
    artifact: str

    @property
    def closed(self) -> bool:
        """Whether its samples are under seal."""
        return self.sealed and not self.opened


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricColumns(NumberColumns):
    """A metric of a task."""

    task: str
    metric: str
    is_primary: bool
    n: int
    items: int | None
    """Items that the values are of; None where an older record does not say."""
    unfinished_thinking: float
    thought_marks: float

    @property
    def primary(self) -> Primary:
        """The same as the API says it."""
        return Primary(
            metric=self.metric,
            value=self.value,
            stderr=self.stderr,
            ci_low=self.ci_low,
            ci_high=self.ci_high,
            n=self.n,
            items=self.items,
            unfinished_thinking=self.unfinished_thinking,
            thought_marks=self.thought_marks,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A token, without its hash."""

    name: str
    role: str
    created: str
    revoked: str | None


def columns_of(row: Any) -> dict[str, Any]:
    """A row (a dataclass) as SQLAlchemy takes it: by column."""
    return {one.name: getattr(row, one.name) for one in dataclasses.fields(row)}


def new_run(run: RunRecord, text: str, samples: int, *, opened: bool) -> NewRun:
    """The row of the table of runs.

    Args:
        run: the record.
        text: `run.json` as it was uploaded.
        samples: how many there are.
        opened: whether the samples of a held-out run were unsealed.
    """
    suite, held, mean = run.suite, run.held_out, run_mean(run)
    return NewRun(
        id=run.id,
        created=run.created,
        complete=run.complete and (suite is None or suite.complete),
        model=run.model.name,
        fingerprint=run.model.fingerprint,
        family=(held.family if held else "") or run.model.family or "",
        step=run.model.step,
        suite=suite.name if suite else "",
        value=mean.value if suite and mean else None,
        stderr=mean.stderr if suite and mean else None,
        ci_low=mean.ci_low if suite and mean else None,
        ci_high=mean.ci_high if suite and mean else None,
        unit=suite.unit if suite else "share",
        higher_is_better=run.higher_is_better,
        held_out=held is not None,
        opened=opened,
        demo_data=bool(run.demo_tasks),
        **asked_columns(run),
        **kept_columns(run),
        samples=samples,
        data=text,
        slim=slim_text(run),
    )


class AskedColumns(TypedDict):
    """What a run was asked."""

    standard: bool
    limited: str
    items: int


def asked_columns(run: RunRecord) -> AskedColumns:
    """Whether formulations are standard, and over which and how many items the numbers are."""
    return AskedColumns(
        standard=all(one.kind != "not standard" for one in reservations(run)),
        limited=items_in_words(run),
        items=sum(asked(run, task) for task in run.tasks.values()),
    )


class KeptColumns(TypedDict):
    """When a run was, which items it was asked, and what it lacks."""

    moment: str
    item_set: str
    lacking: str
    unscored: int


def kept_columns(run: RunRecord) -> KeptColumns:
    """When a run was made, for sorting, the set of its items, and why it is incomplete."""
    return KeptColumns(
        moment=moment_of(run.created),
        item_set=item_set(run),
        lacking="; ".join(why_not_ranked(run)),
        unscored=sum(task.said(flag) for task in run.tasks.values() for flag in BROKEN),
    )


def moment_of(created: str) -> str:
    """A time of a record as one that sorts as text: in UTC, with six digits behind the second.

    Raises:
        ValueError: it is no moment of a calendar.
        OverflowError: it is none in UTC.
    """
    moment = datetime.fromisoformat(created).astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def slim_text(run: RunRecord) -> str:
    """A record as JSON of today's schema, without what no table of many runs needs."""
    tasks = {name: slim_task(task) for name, task in run.tasks.items()}
    slim = msgspec.structs.replace(
        run, schema=SCHEMA, tasks=tasks, environment=Environment(), timing={}, cost=None
    )
    return dumps(msgspec.to_builtins(slim))


def slim_task(task: TaskResult) -> TaskResult:
    """A task without its texts; of the formulation stays how it is averaged."""
    return msgspec.structs.replace(
        task,
        formulation={"aggregate": task.formulation.get("aggregate", "micro")},
        settings={},
        shared_messages=[],
        diagnosis=None,
        repeats=slim_repeats(task),
    )


def slim_repeats(task: TaskResult) -> TaskRepeats | None:
    """Of several responses an item what boards show: the primary metric at the k that are shown."""
    found = task.repeats
    if found is None:
        return None
    own = {
        name: msgspec.structs.replace(one, at=[at for at in one.at if at.k in found.k])
        for name, one in found.metrics.items()
        if name == task.primary
    }
    return msgspec.structs.replace(found, metrics=own)


def metric_rows(run: RunRecord) -> list[MetricColumns]:
    """The rows of the table of metrics."""
    return [
        MetricColumns(
            task=name,
            metric=metric,
            is_primary=metric == task.primary,
            value=score.value,
            stderr=score.stderr,
            ci_low=score.ci_low,
            ci_high=score.ci_high,
            n=score.n,
            items=task.items,
            unfinished_thinking=task.share("unfinished_thinking"),
            thought_marks=task.share("thought_marks"),
            unit=score.unit,
            higher_is_better=score.higher_is_better,
        )
        for name, task in run.tasks.items()
        for metric, score in task.metrics.items()
    ]
