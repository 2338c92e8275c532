"""Which runs can be ranked together, and which pairs of them differ beyond chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmes import stats
from olmes.comparison.alignment import has_samples
from olmes.comparison.items import SharedItems, common_items
from olmes.records.record import Record
from olmes.stats import PairedDifference
from olmes.tools.hashing import content_hash

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
    return float(estimate_of(record)["value"])


def estimate_of(record: Record) -> dict[str, Any]:
    """The mean of a run's suite; of a run of single tasks the mean of these."""
    suite: dict[str, Any] | None = record.data.get("suite")
    if suite:
        return suite
    found = {
        name: stats.Estimate.from_json(task["metrics"][task["primary"]])
        for name, task in record.tasks.items()
    }
    mean = stats.suite_mean(found)
    assert mean is not None
    return mean.to_json()


def why_not_ranked(record: Record) -> list[str]:
    """What keeps a run out of every ranking; empty for one that can be ranked."""
    suite = record.data.get("suite") or {}
    said = []
    samples = [name for name, t in record.tasks.items() if t["data"]["origin"] == "sample"]
    if samples:
        said.append(f"sample data in {', '.join(samples)}")
    if missing := suite.get("missing"):
        said.append(f"no number for {', '.join(missing)}")
    if not record.data.get("complete", True):
        said.append("incomplete: some responses or verdicts are missing")
    elif not (suite.get("complete", True) or missing):
        said.append("incomplete suite")
    # A limit that left nothing out is none.
    if record.data.get("limit") is not None and any(
        task["n"] < task["data"].get("n", 0) for task in record.tasks.values()
    ):
        said.append(f"limited to {record.data['limit']} items a task")
    numbers = [task["metrics"][task["primary"]]["value"] for task in record.tasks.values()]
    if not numbers or None in numbers:
        said.append("a task has no number")
    return said


def boards_of(records: Iterable[Record]) -> tuple[list[Board], list[tuple[Record, str]]]:
    """Runs that can be ranked, by what they are runs of, and the others with the reason."""
    boards: dict[str, Board] = {}
    left_out = []
    seen: set[tuple[str, str]] = set()
    newest_first = sorted(records, key=lambda record: str(record.data["created"]), reverse=True)
    for record in newest_first:
        if reasons := why_not_ranked(record):
            left_out.append((record, "; ".join(reasons)))
            continue
        key = version_of(record)
        who = (key, record.data["model"]["fingerprint"])
        if who in seen:
            left_out.append((record, "an older run of the same weights"))
            continue
        seen.add(who)
        board = boards.setdefault(key, _empty_board(key, record))
        board.records.append(record)
    for board in boards.values():
        board.records.sort(key=value_of, reverse=True)
    ordered = sorted(boards.values(), key=lambda board: (-len(board.records), board.title))
    return ordered, left_out


def version_of(record: Record) -> str:
    """A hash of everything that must be the same for two runs to be ranked together."""
    suite = record.data.get("suite") or {}
    tasks = {
        name: (task["formulation_hash"], task["data"]["content_hash"], task["primary"])
        for name, task in sorted(record.tasks.items())
    }
    return content_hash([suite.get("name"), tasks])


def _empty_board(key: str, record: Record) -> Board:
    suite = record.data.get("suite")
    title = suite["title"] if suite else ", ".join(task_titles(record))
    standard = all(task.get("standard", True) for task in record.tasks.values())
    official = all(task["data"].get("official") for task in record.tasks.values())
    return Board(str(title), key[:8], standard, official)


def task_titles(record: Record) -> list[str]:
    """The titles of a run's tasks."""
    return [str(task.get("title") or name) for name, task in record.tasks.items()]


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
        missing or under seal, or there are too many runs.
    """
    names = names or list(records[0].tasks)
    if not 2 <= len(records) <= MOST_COMPARED:
        return None
    if not all(has_samples(name, record) for record in records for name in names):
        return None
    values, labels, sizes = common_items(records, names, items or SharedItems())
    if not values:
        return None
    return stats.with_holm(
        {
            (one, other): stats.compare(
                [row[other] for row in values],
                [row[one] for row in values],
                clusters=labels,
                strata=[label[0] for label in labels],
                sizes=sizes,
                test="t",
            )
            for one in range(len(records))
            for other in range(one + 1, len(records))
        }
    )
