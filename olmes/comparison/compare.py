"""Two runs, task by task: the paired difference, its verdict, and the items that flipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from olmes import stats
from olmes.comparison.alignment import Aligned, align, mismatch
from olmes.comparison.eligibility import reservations
from olmes.comparison.noise import RunNoise, mean_noise, noise_of
from olmes.comparison.overlap import run_overlap
from olmes.comparison.overlap_words import overlap_line
from olmes.comparison.why import Cause, causes
from olmes.records.aggregate import common_unit
from olmes.records.items import ItemResponses, items_of, stratum_of
from olmes.records.record import Record
from olmes.records.schema import HeldOut, MetricScore, ResponseRow, TaskResult
from olmes.records.shown import shown_thoughts
from olmes.stats import Difference, PairedDifference, SuiteDifference
from olmes.stats.verdicts import MARGIN
from olmes.types import Unit

CONDITIONAL = (
    "All intervals are for these weights and other items: another run of the same training, with "
    "another seed, would give other weights, and how far those differ is in no interval here."
)
"""What every page of differences between models says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """What a comparison says of a run."""

    id: str
    folder: str
    name: str
    """The model's."""
    fingerprint: str
    created: str
    suite: str | None
    complete: bool
    demo_data: list[str]
    """Tasks that ran on built-in demo data."""
    held_out: HeldOut | None
    reservations: list[str]
    """What else keeps its numbers from being standard and over all items (`eligibility`), and whether
    they were changed after they were written."""
    thoughts: dict[str, list[str]]
    """By task, the share of responses whose thought never ended or that hold its marks, in words;
    tasks with such responses alone."""
    overlap: dict[str, str]
    """By task, what its items have in common with the data of the model's trainings, in words; tasks
    that were compared alone."""

    @classmethod
    def of(cls, record: Record) -> ComparedRun:
        """What is said of a record."""
        run = record.run
        return cls(
            id=run.id,
            folder=str(record.folder),
            name=run.model.name,
            fingerprint=run.model.fingerprint,
            created=run.created,
            suite=run.suite.name if run.suite else None,
            complete=run.complete,
            demo_data=sorted(run.demo_tasks),
            held_out=run.held_out,
            reservations=[
                *([record.altered] if record.altered else []),
                *(
                    one.sentence
                    for one in reservations(run)
                    if one.kind in ("limited", "not standard", "data differ")
                ),
            ],
            thoughts={
                name: said for name, task in run.tasks.items() if (said := shown_thoughts([task]))
            },
            overlap={name: overlap_line(one) for name, one in run_overlap(record).tasks.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTwice:
    """A task's primary metric in both runs, as the records have it."""

    name: str
    title: str
    metric: str
    higher_is_better: bool
    unit: Unit
    a: MetricScore
    b: MetricScore
    mismatch: list[str]
    """Why the two are not numbers of the same thing; only in a comparison that was forced."""
    noise: RunNoise | None = None
    """From run to run on the same items; None where no item has several responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An item whose value differs, with the first response of each run."""

    subtask: str
    doc_id: int
    doc_hash: str
    a: float
    b: float
    row_a: ResponseRow
    row_b: ResponseRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskComparison(ScoredTwice):
    """A task whose items were paired."""

    n: int
    """Items that were compared; `only_a` and `only_b`: that one run alone has."""
    only_a: int
    only_b: int
    prompts_differ: int
    """Of the items that were compared."""
    flips: list[Flip]
    """Gains first; none of a task under seal."""
    sealed: bool
    """Whether its samples are under seal in one of the runs: the difference is shown, no item is."""
    difference: PairedDifference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedTask(ScoredTwice):
    """A task whose samples one of the runs lacks."""

    difference: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedTask:
    """A task whose numbers are not of the same thing."""

    name: str
    title: str
    reasons: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteComparison:
    """The means over the tasks that were compared, on the items of both runs."""

    tasks: list[str]
    baseline: float
    candidate: float
    difference: SuiteDifference
    noise: float | None = None
    """How far the difference moves from run to run, where every task says so: a standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Run `b`, the candidate, held against run `a`, the baseline."""

    runs: list[ComparedRun]
    margin: float
    why: list[Cause]
    """Everything that differs in how the numbers came about."""
    tasks: list[TaskComparison] = field(default_factory=list)
    unpaired: list[UnpairedTask] = field(default_factory=list)
    refused: list[RefusedTask] = field(default_factory=list)
    only: list[list[str]]
    """Tasks of one run alone: of `a`, of `b`."""
    suite: SuiteComparison | None = None
    conditional: str = CONDITIONAL
    """What the intervals are for."""
    """None where there is no task, or where the tasks have no unit or direction in common."""


def compare_runs(
    a: Record, b: Record, *, force: bool = False, margin: float = MARGIN
) -> Comparison:
    """Hold run `b`, the candidate, against run `a`, the baseline.

    The p-values of the differences are corrected by Holm over the tasks.

    Args:
        a: the baseline.
        b: the candidate; differences are `b` less `a`.
        force: compare tasks whose formulations or data differ all the same, marked.
        margin: half-width within which two shares count as tied. Of numbers nobody has said how
            much does not matter, so that none are tied.
    """
    why = causes(a, b)
    tasks: list[TaskComparison] = []
    paired: dict[str, PairedDifference] = {}
    refused, unpaired = [], []
    for name in (name for name in a.tasks if name in b.tasks):
        reasons = mismatch(name, a, b)
        if reasons and not force:
            title = a.tasks[name].title
            refused.append(RefusedTask(name=name, title=title, reasons=reasons))
            continue
        if not (a.can_be_paired(name) and b.can_be_paired(name)):
            unpaired.append(unpaired_task(name, a, b, reasons))
            continue
        aligned = aligned_items(name, a, b)
        if not reasons:
            why += prompt_causes(name, aligned)
        tasks.append(paired_task(name, a, b, reasons, aligned))
        if aligned.keys:
            paired[name] = paired_difference(aligned, a.tasks[name], tasks[-1].unit, margin)
    corrected = stats.with_holm(paired)
    return Comparison(
        runs=[ComparedRun.of(a), ComparedRun.of(b)],
        margin=margin,
        why=why,
        tasks=[replace(task, difference=corrected.get(task.name)) for task in tasks],
        unpaired=unpaired,
        refused=refused,
        only=[
            [name for name in one.tasks if name not in other.tasks]
            for one, other in ((a, b), (b, a))
        ],
        suite=suite_comparison(
            {
                name: difference
                for name, difference in corrected.items()
                if name in a.run.mean_tasks and name in b.run.mean_tasks
            },
            {task.name: task.noise for task in tasks},
        ),
    )


def suite_comparison(
    tasks: Mapping[str, PairedDifference], noise: Mapping[str, RunNoise | None]
) -> SuiteComparison | None:
    """The means over some tasks, one held against the other: the number that is asked for first."""
    difference = stats.suite_difference(tasks)
    if difference is None:
        return None
    return SuiteComparison(
        tasks=list(tasks),
        baseline=fmean(task.baseline for task in tasks.values()),
        candidate=fmean(task.candidate for task in tasks.values()),
        difference=difference,
        noise=mean_noise([noise.get(name) for name in tasks]),
    )


def aligned_items(name: str, a: Record, b: Record) -> Aligned:
    """A task's items of two runs; without their texts where one of them is under seal."""
    sealed = a.sealed(name) or b.sealed(name)
    first, second = (
        items_of(one.verdicts_to_compare(name) if sealed else one.samples(name)) for one in (a, b)
    )
    return align(first, second, a.tasks[name].primary)


def other_score(task: TaskResult, metric: str) -> MetricScore:
    """The other run's number of a metric; its own primary one where it lacks that."""
    return task.metrics.get(metric) or task.score


def paired_task(
    name: str, a: Record, b: Record, reasons: list[str], aligned: Aligned
) -> TaskComparison:
    """A task whose items were brought together."""
    ours, score = a.tasks[name], a.tasks[name].score
    other = other_score(b.tasks[name], ours.primary)
    sealed = a.sealed(name) or b.sealed(name)
    return TaskComparison(
        name=name,
        title=ours.title,
        metric=ours.primary,
        higher_is_better=score.higher_is_better,
        unit=common_unit([score.unit, other.unit]),
        a=score,
        b=other,
        mismatch=reasons,
        noise=noise_of(name, a, b),
        n=len(aligned.keys),
        only_a=aligned.only_a,
        only_b=aligned.only_b,
        prompts_differ=aligned.prompts_differ,
        flips=[] if sealed else flips(aligned, ours.primary),
        sealed=sealed,
    )


def unpaired_task(name: str, a: Record, b: Record, reasons: list[str]) -> UnpairedTask:
    """A task whose items cannot be brought together: the difference of the two estimates."""
    ours, score = a.tasks[name], a.tasks[name].score
    other = other_score(b.tasks[name], ours.primary)
    first, second = score.estimate, other.estimate
    return UnpairedTask(
        name=name,
        title=ours.title,
        metric=ours.primary,
        higher_is_better=score.higher_is_better,
        unit=common_unit([score.unit, other.unit]),
        a=score,
        b=other,
        mismatch=reasons,
        noise=noise_of(name, a, b),
        difference=stats.generalization_gap(second, first) if first and second else None,
    )


def paired_difference(
    aligned: Aligned,
    task: TaskResult,
    unit: Unit,
    margin: float,
    test: Literal["exact", "t"] = "exact",
) -> PairedDifference:
    """The difference of two runs on the same items.

    Args:
        aligned: the items.
        task: the baseline's, whose primary metric is compared.
        unit: of both runs' numbers.
        margin: as for `compare_runs`.
        test: as for `stats.compare`.
    """
    metric = task.primary
    weights = [float(item.parts(metric)) for item in aligned.a]
    return stats.compare(
        [required(item, metric) for item in aligned.a],
        [required(item, metric) for item in aligned.b],
        clusters=[aligned.cluster(position) for position in range(len(aligned.keys))],
        strata=[stratum_of(key[0], task.aggregate) for key in aligned.keys] if task.macro else None,
        sizes=weights if any(weight != 1 for weight in weights) else None,
        margin=margin if unit == "share" else None,
        higher_is_better=task.score.higher_is_better,
        is_share=unit == "share",
        test=test,
    )


def required(item: ItemResponses, metric: str) -> float:
    """The value of an item that is known to have one."""
    value = item.value(metric)
    assert value is not None
    return value


def flips(aligned: Aligned, metric: str) -> list[Flip]:
    """The items whose values differ, gains first."""
    found = []
    for (subtask, doc_id, doc_hash), one, other in zip(
        aligned.keys, aligned.a, aligned.b, strict=True
    ):
        before, after = required(one, metric), required(other, metric)
        if before != after:
            found.append(
                Flip(
                    subtask=subtask,
                    doc_id=doc_id,
                    doc_hash=doc_hash,
                    a=before,
                    b=after,
                    row_a=one.rows[0],
                    row_b=other.rows[0],
                )
            )
    return sorted(found, key=lambda flip: flip.a - flip.b)


def prompt_causes(name: str, aligned: Aligned) -> list[Cause]:
    """Whether the items' prompts differ although the formulations need not."""
    if not aligned.prompts_differ:
        return []
    share = f"{aligned.prompts_differ} of {len(aligned.keys)} items"
    return [Cause("prompt", "prompt_hash", share, share, name)]
