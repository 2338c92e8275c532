"""Which runs can be ranked together, and which pairs of them differ beyond chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from olmes import stats
from olmes.comparison.items import SharedItems, suite_items
from olmes.records.aggregate import suite_mean, suite_unit
from olmes.records.record import Record
from olmes.stats import Estimate, PairedDifference
from olmes.tools.hashing import content_hash
from olmes.types import Unit

MOST_COMPARED = 30
"""Runs of a board that are compared pair by pair: 435 pairs."""


@dataclass(frozen=True, slots=True)
class Board:
    """Runs of one suite in one version of its formulations and data, the best first."""

    title: str
    version: str
    """8 hex digits of the formulations and data."""
    standard: bool
    official: bool
    """Whether all data are those of the official files."""
    records: list[Record] = field(default_factory=list)


def value_of(record: Record) -> float:
    """What a run is ranked by: the mean of its suite, or of its tasks where there is no suite."""
    return mean_of(record).value


def mean_of(record: Record) -> Estimate:
    """The mean of a run's suite; of a run of single tasks the mean of these.

    The run is one that can be ranked: every task has a number.
    """
    suite = record.run.suite
    mean = suite.estimate if suite else suite_mean(record.tasks)
    assert mean is not None
    return mean


def unit_of(record: Record) -> Unit:
    """The unit of `mean_of`."""
    return record.run.suite.unit if record.run.suite else suite_unit(record.tasks.values())


def why_not_ranked(record: Record) -> list[str]:
    """What keeps a run out of every ranking; empty for one that can be ranked."""
    run, suite = record.run, record.run.suite
    said = []
    if run.demo_tasks:
        said.append(f"demo data in {', '.join(run.demo_tasks)}")
    if suite and suite.missing:
        said.append(f"no number for {', '.join(suite.missing)}")
    if not run.complete:
        said.append("incomplete: some responses or verdicts are missing")
    elif suite and not (suite.complete or suite.missing):
        said.append("incomplete suite")
    # A limit that left nothing out is none.
    if run.limit is not None and any(task.n < task.data.n for task in record.tasks.values()):
        said.append(f"limited to {run.limit} items a task")
    if any(task.score.estimate is None for task in record.tasks.values()):
        said.append("a task has no number")
    return said


def boards_of(records: Iterable[Record]) -> tuple[list[Board], list[tuple[Record, str]]]:
    """Runs that can be ranked, by what they are runs of, and the others with the reason."""
    boards: dict[str, Board] = {}
    left_out = []
    seen: set[tuple[str, str]] = set()
    newest_first = sorted(records, key=lambda record: record.run.created, reverse=True)
    for record in newest_first:
        if reasons := why_not_ranked(record):
            left_out.append((record, "; ".join(reasons)))
            continue
        key = version_of(record)
        who = (key, record.run.model.fingerprint)
        if who in seen:
            left_out.append((record, "an older run of the same weights"))
            continue
        seen.add(who)
        board = boards.setdefault(key, _empty_board(key, record))
        board.records.append(record)
    for board in boards.values():
        board.records.sort(key=value_of, reverse=board.records[0].run.higher_is_better)
    ordered = sorted(boards.values(), key=lambda board: (-len(board.records), board.title))
    return ordered, left_out


def version_of(record: Record) -> str:
    """A hash of everything that must be the same for two runs to be ranked together."""
    suite = record.run.suite
    tasks = {
        name: (task.formulation_hash, task.data.content_hash, task.primary)
        for name, task in sorted(record.tasks.items())
    }
    return content_hash([suite and suite.name, tasks])


def title_of(record: Record) -> str:
    """What a run is a run of, in words: its suite, or its tasks."""
    suite = record.run.suite
    return suite.title if suite else ", ".join(task_titles(record))


def _empty_board(key: str, record: Record) -> Board:
    standard = all(task.standard for task in record.tasks.values())
    official = all(task.data.official for task in record.tasks.values())
    return Board(title_of(record), key[:8], standard, official)


def task_titles(record: Record) -> list[str]:
    """The titles of a run's tasks."""
    return [record.run.title(name) for name in record.tasks]


def pairwise(
    records: Sequence[Record], names: Sequence[str] = (), items: SharedItems | None = None
) -> dict[tuple[int, int], PairedDifference] | None:
    """Every pair of runs compared on the same items, p-values corrected by Holm over the pairs.

    Args:
        records: the runs of a board.
        names: the tasks whose mean is compared, an item weighing as it does there; all by default.
        items: what was read of the samples before.

    Returns:
        The first run less the second, by their places, each pair once; None where samples are
        missing, or there are too many runs.
    """
    names = names or list(records[0].tasks)
    if not 2 <= len(records) <= MOST_COMPARED:
        return None
    if not all(record.can_be_paired(name) for record in records for name in names):
        return None
    found = suite_items(records, names, items or SharedItems())
    if not found.values:
        return None
    return stats.with_holm(
        {
            (one, other): stats.compare(
                [row[other] for row in found.values],
                [row[one] for row in found.values],
                clusters=found.clusters,
                strata=found.strata,
                sizes=found.sizes,
                higher_is_better=found.higher_is_better,
                is_share=found.is_share,
                test="t",
            )
            for one in range(len(records))
            for other in range(one + 1, len(records))
        }
    )
