"""What of a run's items overlaps with the data its model was trained on, and the score without it.

The one answer for pages, tables, exports and the server. It goes by the model's lineage, as the record
has it, and by the run's own verdicts: nothing is asked or scored again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from olmes import stats
from olmes.comparison.eligibility import asked, is_limited
from olmes.comparison.items import item_values
from olmes.records.aggregate import Clusters, Sums, joinable, overall, suite_unit
from olmes.records.items import Key, key_of, parts_of, stratum_of
from olmes.records.overlap import Overlap, overlaps, shown_name
from olmes.records.record import Record
from olmes.records.schema import ResponseRow, RunRecord, TaskResult
from olmes.stats import Estimate, SubsetDifference
from olmes.types import Unit

READ_LATELY = 1024
"""Tasks of runs whose samples are not read again, for one page or the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOverlap:
    """A task of a run, whose items were compared with the data of the model's trainings."""

    task: str
    title: str
    data_sets: tuple[str, ...]
    """Those that items overlap with; all that were compared where none does."""
    other_data: tuple[str, ...]
    """Those that were compared with other items of the task than the run's data are."""
    n: int
    """Items; of the run, as far as its samples say which they are."""
    overlapped: int
    """Of them."""
    of_run: bool
    """Whether both are of the run's own items, and not of all that were compared."""
    score: Estimate | None
    """Of the primary metric, as the record has it."""
    without: Estimate | None
    """Over the other items; None where none is left, or the samples are not here."""
    difference: SubsetDifference | None
    """Without them less with them."""
    unit: Unit

    @property
    def compared(self) -> bool:
        """Whether the run's own items were compared."""
        return bool(self.data_sets)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOverlap:
    """The mean of a run's tasks without the items that overlap."""

    tasks: tuple[str, ...]
    """Titles of those that have such items."""
    score: Estimate
    without: Estimate
    difference: SubsetDifference
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOverlap:
    """What of a run overlaps with the data of the model's trainings."""

    tasks: Mapping[str, TaskOverlap]
    """Those that were looked for, by name; one that is not among them was not looked for."""
    mean: MeanOverlap | None
    """None where no item overlaps, the tasks have no mean, or a score without them is not known."""

    @property
    def marked(self) -> frozenset[str]:
        """The tasks with an item that overlaps."""
        return frozenset(name for name, one in self.tasks.items() if one.overlapped)


NOTHING = RunOverlap(tasks={}, mean=None)
"""Of a model of which nobody says that its data were looked through."""


def run_overlap(record: Record) -> RunOverlap:
    """What of a run's items overlaps with the data of its model's trainings.

    Args:
        record: of the run; its samples are read where an item of a task overlaps.
    """
    compared = overlaps(record.run.model.lineage or ())
    if not compared:
        return NOTHING
    found = {name: one for name in record.tasks if (one := task_overlap(record, name, compared))}
    return RunOverlap(tasks=found, mean=mean_overlap(record.run, found))


def task_overlap(record: Record, name: str, compared: Iterable[Overlap]) -> TaskOverlap | None:
    """One task of a run; None where it was not looked for."""
    compared = list(compared)
    counts = counts_of(record.run, name, compared)
    if counts is None or not counts.overlapped or not record.can_be_paired(name):
        return counts
    own = matching(record.tasks[name], compared)
    if any(len(one.items) != one.overlapped for one in own):
        return counts  # which items they are is not known
    hashes = frozenset(item for one in own for item in one.items)
    without = verdicts_without(record, name, hashes)
    task = record.tasks[name]
    names = data_sets(one for one in own if without.hashes & set(one.items))
    return TaskOverlap(
        task=name,
        title=counts.title,
        data_sets=names or counts.data_sets,
        other_data=counts.other_data,
        n=without.items,
        overlapped=without.overlapped,
        of_run=True,
        score=task.score.estimate,
        without=without.score if without.overlapped else task.score.estimate,
        difference=without.difference,
        unit=task.score.unit,
    )


def counts_of(run: RunRecord, name: str, compared: Iterable[Overlap]) -> TaskOverlap | None:
    """The counts alone: of all items that were compared, whichever of them the run asked."""
    compared, task = list(compared), run.tasks[name]
    own = matching(task, compared)
    named = [one for one in compared if one.task == name and one not in own]
    if not own and not named:
        return None
    overlapped = max((one.overlapped for one in own), default=0)
    if len(own) > 1 and all(len(one.items) == one.overlapped for one in own):
        overlapped = len({item for one in own for item in one.items})
    none = bool(own) and not overlapped  # of all items, and so of the run's
    return TaskOverlap(
        task=name,
        title=run.title(name),
        data_sets=data_sets([one for one in own if one.overlapped] or own),
        other_data=data_sets(named),
        n=asked(run, task) if none else max((one.n for one in own), default=0),
        overlapped=overlapped,
        of_run=none or not is_limited(run, task),
        score=task.score.estimate,
        without=task.score.estimate if none else None,
        difference=None,
        unit=task.score.unit,
    )


def matching(task: TaskResult, compared: Iterable[Overlap]) -> list[Overlap]:
    """The comparisons that were with the very data of a task, under whatever name."""
    return [one for one in compared if one.task_data_hash == task.data.content_hash]


def data_sets(compared: Iterable[Overlap]) -> tuple[str, ...]:
    """Their names, each once; of a file its own name alone."""
    return tuple(dict.fromkeys(shown_name(one.data_set) for one in compared))


@dataclass(frozen=True, slots=True)
class Without:
    """A run's verdicts on a task without some items."""

    items: int
    overlapped: int
    hashes: frozenset[str]
    """Of those that the run asked."""
    score: Estimate | None
    difference: SubsetDifference | None


KNOWN: dict[tuple[object, ...], Without] = {}
"""What was read, the latest last."""


def verdicts_without(record: Record, name: str, hashes: frozenset[str]) -> Without:
    """What a task's verdicts are worth without the items of some hashes, read once.

    Under seal too: it is a score, and no item is shown.
    """
    try:
        written = (record.folder / record.tasks[name].samples).stat().st_mtime_ns
    except OSError:  # under seal, where they do not change
        written = 0
    key = (str(record.folder), record.id, record.run.created, written, name, hashes)
    found = KNOWN.pop(key, None) or read_without(record, name, hashes)
    KNOWN[key] = found
    if len(KNOWN) > READ_LATELY:
        del KNOWN[next(iter(KNOWN))]
    return found


def read_without(record: Record, name: str, hashes: frozenset[str]) -> Without:
    """As `verdicts_without`, read now."""
    task = record.tasks[name]
    rows = list(record.verdicts_to_compare(name))
    found = item_values(rows, task.primary)
    of_run: set[Key] = {key_of(row) for row in rows}
    own = frozenset(item for _, _, item in of_run if item in hashes)
    keys = list(found.values)
    macro = task.macro
    sizes = [float(found.parts.get(one, 1)) for one in keys]
    difference = stats.subset_difference(
        [found.values[one] for one in keys],
        [one[2] not in own for one in keys],
        clusters=[found.clusters[one] for one in keys],
        strata=[stratum_of(one[0], task.aggregate) for one in keys] if macro else None,
        sizes=sizes if any(size != 1 for size in sizes) else None,
    )
    return Without(
        items=len(of_run),
        overlapped=sum(one[2] in own for one in of_run),
        hashes=own,
        score=score_of(task, [row for row in rows if row["doc_hash"] not in own]),
        difference=difference,
    )


def score_of(task: TaskResult, rows: Iterable[ResponseRow]) -> Estimate | None:
    """The primary metric over some rows, as a record has it over all (`records.aggregate`)."""
    clusters = Clusters()
    sums, sizes = Sums(clusters), Counter[str]()
    for row in rows:
        sizes[row["subtask"]] += 1
        if (value := row["values"].get(task.primary)) is not None:
            parts = parts_of(row, task.primary)
            sums.add(clusters.number(row), parts, over_parts=isinstance(value, list))
    return overall(sums, sizes, task.aggregate)


def mean_overlap(run: RunRecord, found: Mapping[str, TaskOverlap]) -> MeanOverlap | None:
    """The mean of a run's tasks without the items that overlap."""
    names = [name for name in run.mean_tasks if run.tasks[name].score.estimate is not None]
    touched = [name for name in names if name in found and found[name].overlapped]
    tasks = {name: run.tasks[name] for name in names}
    if not touched or len(names) < 2 or not joinable(tasks.values()):
        return None
    before, after, differences = {}, {}, {}
    for name, task in tasks.items():
        estimate = task.score.estimate
        assert estimate is not None
        before[name] = after[name] = estimate
        if name in touched:
            one = found[name]
            if one.without is None or one.difference is None:
                return None
            after[name], differences[name] = one.without, one.difference
    unit = suite_unit(tasks.values())
    score = stats.suite_mean(before, is_share=unit == "share")
    without = stats.suite_mean(after, is_share=unit == "share")
    if score is None or without is None:
        return None
    return MeanOverlap(
        tasks=tuple(run.title(name) for name in touched),
        score=score,
        without=without,
        difference=stats.mean_subset_difference(
            list(differences.values()),
            tasks=len(names),
            whole=score.value,
            others=sum(asked(run, task) for name, task in tasks.items() if name not in touched),
        ),
        unit=unit,
    )
