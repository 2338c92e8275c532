"""Whether what was tuned on the development suite holds on held-out tasks.

Tülu 3 sets each skill's development and unseen score side by side (Tables 3 and 31): a gain on one
that does not show on the other was made for the benchmark. This module takes the records of one or
several models, finds for each its development and its held-out scores, and says for each pair: both
scores, the gap and its interval, and, over several checkpoints, whether the gains carry over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from olmes import stats
from olmes.benchmark.suite import Pair
from olmes.errors import OlmesError
from olmes.records.aggregate import common_unit
from olmes.records.record import Record
from olmes.records.schema import DevScore, DiagnosisCounts, MetricScore
from olmes.stats import CarryOver, Difference, Estimate
from olmes.types import Unit


@dataclass(kw_only=True)
class ModelScores:
    """One model's records: its development scores and its held-out ones."""

    name: str
    fingerprint: str
    dev: list[Record] = field(default_factory=list)
    unseen: list[Record] = field(default_factory=list)

    def newest(self) -> dict[str, Record]:
        """The newest record of each task."""
        found: dict[str, Record] = {}
        for record in (*self.dev, *self.unseen):
            for name in record.tasks:
                found.setdefault(name, record)
        return found

    def record_of(self, name: str) -> Record | None:
        """The newest record that has a task; None where none has."""
        return self.newest().get(name)

    def score(self, name: str) -> MetricScore | None:
        """A task's primary metric in the newest record that has it; None where none has."""
        record = self.record_of(name)
        return record.tasks[name].score if record else None


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
    runs: list[str]
    run_of: dict[str, str]
    """The run that each task's numbers are from."""
    demo_data: list[str]
    looks: list[PastLook]

    @classmethod
    def of(cls, model: ModelScores) -> ReadModel:
        """What is said of a model."""
        records = (*model.dev, *model.unseen)
        looks = [record.run.held_out for record in model.unseen]
        return cls(
            name=model.name,
            fingerprint=model.fingerprint,
            runs=[record.id for record in records],
            run_of={name: record.id for name, record in model.newest().items()},
            demo_data=sorted(name for record in records for name in record.run.demo_tasks),
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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """One model's development and unseen score."""

    dev: Estimate | None
    unseen: Estimate | None
    gap: Difference | None
    left_out: list[str]
    """Tasks without a score."""
    runs: dict[str, str]
    """Which run each score is from: by task, or by `dev` and `unseen`."""
    units: tuple[Unit, Unit] = ("share", "share")
    """Of the development and the unseen score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverModels:
    """A development and an unseen score over some models, a row a model."""

    rows: list[SideBySide]
    carry_over: CarryOver
    in_words: str
    """Whether gains carry over, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOverModels(OverModels):
    """A pair of tasks over some models."""

    dev: list[str]
    unseen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalization:
    """Development and held-out scores side by side."""

    models: list[ReadModel]
    suites: OverModels
    """The means of the suites."""
    pairs: list[PairOverModels]
    diagnosis: list[dict[str, DiagnosisCounts]]
    """By model, then by task: what the format cost."""


def generalization(records: Iterable[Record], pairs: Sequence[Pair] = ()) -> Generalization:
    """Development and held-out scores side by side.

    Args:
        records: of one or several models, in the order of training where they are its checkpoints;
            of several records of one task the newest counts.
        pairs: which tasks are held against which; by default those that the held-out suites among
            the records name.

    Raises:
        OlmesError: no record is of a held-out suite, and no pairs are given.
    """
    models = by_model(records)
    pairs = pairs or named_pairs(models)
    if not pairs:
        raise OlmesError(
            "none of these runs is of a held-out suite, so there is nothing to hold against the "
            "development scores; give a run of `olmes run --suite unseen` too."
        )
    return Generalization(
        models=[ReadModel.of(model) for model in models],
        suites=over_models([suite_row(model) for model in models]),
        pairs=[over_pair(pair, models) for pair in pairs],
        diagnosis=[
            {
                name: diagnosis
                for name, record in model.newest().items()
                if (diagnosis := record.tasks[name].diagnosis)
            }
            for model in models
        ],
    )


def by_model(records: Iterable[Record]) -> list[ModelScores]:
    """The records by model, in the order in which the models first come; newest record first."""
    models: dict[str, ModelScores] = {}
    for record in records:
        described = record.run.model
        model = models.setdefault(
            described.fingerprint,
            ModelScores(name=described.name, fingerprint=described.fingerprint),
        )
        (model.unseen if record.run.held_out else model.dev).append(record)
    for model in models.values():
        for group in (model.dev, model.unseen):
            group.sort(key=lambda record: record.run.created, reverse=True)
    return list(models.values())


def named_pairs(models: Sequence[ModelScores]) -> list[Pair]:
    """The pairs that the held-out suites among the records name, each once."""
    found = {}
    for model in models:
        for record in model.unseen:
            for pair in record.run.suite.pairs if record.run.suite else ():
                found[tuple(pair.dev), pair.unseen] = Pair(dev=tuple(pair.dev), unseen=pair.unseen)
    return list(found.values())


def over_pair(pair: Pair, models: Sequence[ModelScores]) -> PairOverModels:
    """One pair over all models."""
    found = over_models([pair_row(pair, model) for model in models])
    return PairOverModels(
        dev=list(pair.dev),
        unseen=pair.unseen,
        rows=found.rows,
        carry_over=found.carry_over,
        in_words=found.in_words,
    )


def over_models(rows: list[SideBySide]) -> OverModels:
    """Rows, one a model, and whether the gains carry over from one to the next."""
    both = [(row.dev, row.unseen) for row in rows if row.dev and row.unseen]
    found = stats.carry_over([dev.value for dev, _ in both], [unseen.value for _, unseen in both])
    return OverModels(rows=rows, carry_over=found, in_words=in_words(found))


def in_words(found: CarryOver) -> str:
    """Whether development gains carry over, in a sentence."""
    if found.slope is None:
        return f"no trend: {found.reason}"
    if found.ci_low is None or found.ci_high is None:
        words = "too few models for an interval"
    elif found.ci_low > 0:
        words = "gains carry over"
    elif found.ci_high < 0:
        words = "what is gained on the development tasks is lost on the unseen one"
    else:
        words = "no carry-over is shown"
    interval = "" if found.ci_low is None else f" [{found.ci_low:.2f}, {found.ci_high:.2f}]"
    rank = f", rank correlation {found.spearman.value:.2f}" if found.spearman else ""
    return (
        f"{words}: {found.slope:.2f}{interval} points of unseen score a point of development "
        f"score over {found.checkpoints} models{rank}"
    )


def pair_row(pair: Pair, model: ModelScores) -> SideBySide:
    """One pair for one model: the mean of the development tasks, the held-out task, and the gap."""
    scores = {name: model.score(name) for name in pair.dev}
    there = {name: score.estimate for name, score in scores.items() if score and score.estimate}
    unseen = model.score(pair.unseen)
    runs = {name: model.record_of(name) for name in (*there, pair.unseen)}
    unit = common_unit(score.unit for score in scores.values() if score)
    return side_by_side(
        stats.suite_mean({name: one for name, one in there.items() if one}),
        unseen.estimate if unseen else None,
        left_out=[name for name in pair.dev if name not in there],
        runs={name: record.id for name, record in runs.items() if record},
        units=(unit, unseen.unit if unseen else "share"),
    )


def suite_row(model: ModelScores) -> SideBySide:
    """The means of a model's newest development and held-out suites; incomplete ones are named."""
    records = [
        next((record for record in group if record.run.suite), None)
        for group in (model.dev, model.unseen)
    ]
    dev, unseen = (record.run.suite if record else None for record in records)
    sides = zip(("dev", "unseen"), records, strict=True)
    return side_by_side(
        dev.estimate if dev else None,
        unseen.estimate if unseen else None,
        left_out=[name for suite in (dev, unseen) if suite for name in suite.missing],
        runs={side: record.id for side, record in sides if record},
        units=(dev.unit if dev else "share", unseen.unit if unseen else "share"),
    )


def side_by_side(
    dev: Estimate | None,
    unseen: Estimate | None,
    *,
    left_out: list[str],
    runs: dict[str, str],
    units: tuple[Unit, Unit],
) -> SideBySide:
    """Two numbers and their gap."""
    gap = stats.generalization_gap(dev, unseen) if dev and unseen else None
    return SideBySide(dev=dev, unseen=unseen, gap=gap, left_out=left_out, runs=runs, units=units)
