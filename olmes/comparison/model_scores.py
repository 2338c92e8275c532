"""The models whose runs were read, and which run of a model each number is taken from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import get_args

from olmes.benchmark.registry import load_suite, suite_names
from olmes.benchmark.suite import Pair
from olmes.comparison.eligibility import Kind, Reservation, reservations
from olmes.records.record import Record
from olmes.records.schema import DevScore

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(kw_only=True)
class ModelScores:
    """One model's records: its development scores and its held-out ones."""

    name: str
    fingerprint: str
    written: str = ""
    """The model as the user named it; '' where the record is older."""
    dev: list[Record] = field(default_factory=list)
    unseen: list[Record] = field(default_factory=list)

    @property
    def records(self) -> list[Record]:
        """All of them, the newest first."""
        both = (*self.dev, *self.unseen)
        return sorted(both, key=lambda record: record.run.created, reverse=True)

    def record_of(self, name: str) -> Record | None:
        """The record that a task's numbers are from: the newest of those with the least against it."""
        there = [record for record in self.records if name in record.tasks]
        return min(there, key=lambda record: against(record, [name]), default=None)

    def chosen(self) -> dict[str, Record]:
        """The record of each task."""
        names = dict.fromkeys(name for record in self.records for name in record.tasks)
        return {name: record for name in names if (record := self.record_of(name))}

    def suite_record(self, group: Sequence[Record], names: Iterable[str]) -> Record | None:
        """The record of a suite that has most of some tasks, and of those the least against it."""
        wanted = set(names)
        return min(
            (record for record in group if record.run.suite),
            key=lambda record: (-len(wanted & set(record.tasks)), against(record)),
            default=None,
        )

    @property
    def family(self) -> str | None:
        """The training it is of, by the newest record that says."""
        return next((found for r in self.records if (found := r.run.model.family)), None)

    @property
    def step(self) -> float | None:
        """The step of that training."""
        steps = (record.run.model.step for record in self.records)
        return next((float(step) for step in steps if step is not None), None)

    @property
    def ancestors(self) -> set[str]:
        """What its lineage names: models and trainings that it came from."""
        steps = [
            step
            for record in self.records
            for lineage in (
                record.run.model.lineage or [],
                record.run.held_out.lineage if record.run.held_out else [],
            )
            for step in lineage
        ]
        return {value for step in steps for value in step.values() if isinstance(value, str)}

    def came_from(self, other: ModelScores) -> bool:
        """Whether the other model is in its lineage."""
        called = {other.name, other.written or other.name}
        names = called | {one.rstrip("/").rpartition("/")[2] for one in called}
        names.add(other.fingerprint)
        return other is not self and bool(names & self.ancestors)


def against(record: Record, names: Sequence[str] = ()) -> int:
    """How much stands against a record's numbers, by the weightiest reservation."""
    found = reservations(record.run, names)
    return len(KINDS) - KINDS.index(found[0].kind) if found else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLook:
    """A look at held-out tasks that a model has had."""

    family: str
    looks_before: int
    dev: DevScore | None
    reason: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadModel:
    """Who a model is, which runs were read of it, and what the ledger says of its looks."""

    name: str
    fingerprint: str
    family: str | None
    step: float | None
    runs: list[str]
    run_of: dict[str, str]
    """The run that each task's numbers are from."""
    demo_data: list[str]
    looks: list[PastLook]
    reservations: list[Reservation] = field(default_factory=list)
    """What the numbers of its runs are not, each once."""

    @classmethod
    def of(cls, model: ModelScores) -> ReadModel:
        """What is said of a model."""
        looks = [record.run.held_out for record in model.unseen]
        return cls(
            name=model.name,
            fingerprint=model.fingerprint,
            family=model.family,
            step=model.step,
            runs=[record.id for record in model.records],
            run_of={name: record.id for name, record in model.chosen().items()},
            demo_data=sorted(name for record in model.records for name in record.run.demo_tasks),
            looks=[
                PastLook(
                    family=look.family,
                    looks_before=look.looks_before,
                    dev=look.dev,
                    reason=look.reason,
                    time=look.time,
                )
                for look in looks
                if look
            ],
            reservations=list(
                dict.fromkeys(
                    one
                    for record in {record.id: record for record in model.chosen().values()}.values()
                    for one in reservations(record.run)
                )
            ),
        )


def by_model(records: Iterable[Record]) -> list[ModelScores]:
    """The records by model, in the order in which the models first come; newest record first."""
    models: dict[str, ModelScores] = {}
    for record in records:
        described = record.run.model
        model = models.setdefault(
            described.fingerprint,
            ModelScores(
                name=described.name,
                fingerprint=described.fingerprint,
                written=described.written or "",
            ),
        )
        (model.unseen if record.run.held_out else model.dev).append(record)
    for model in models.values():
        for group in (model.dev, model.unseen):
            group.sort(key=lambda record: record.run.created, reverse=True)
    return list(models.values())


def named_pairs(models: Sequence[ModelScores]) -> list[Pair]:
    """The pairs that the held-out suites among the records name, each once.

    A record older than a rewritten exam does not name it; the installed suites do.
    """
    suites = [load_suite(name) for name in suite_names()]
    rewritten = {
        (pair.dev, pair.unseen): pair.rewritten for suite in suites for pair in suite.pairs
    }
    found: dict[tuple[tuple[str, ...], str], str] = {}
    for model in models:
        for record in model.unseen:
            for pair in record.run.suite.pairs if record.run.suite else ():
                key = tuple(pair.dev), pair.unseen
                found[key] = found.get(key) or pair.rewritten or rewritten.get(key, "")
    return [Pair(dev=dev, unseen=unseen, rewritten=name) for (dev, unseen), name in found.items()]
