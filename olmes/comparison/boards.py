"""Which runs are ranked beside each other, by which number, and what each board must be called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from olmes.comparison.eligibility import item_set, items_in_words, reservations, why_not_ranked
from olmes.records.aggregate import common_unit, run_mean
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.records.shown import count_over
from olmes.tools.hashing import content_hash
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardColumn:
    """One number of every run on a board, in one unit for all of them."""

    name: str
    """The task; '' for the mean."""
    tasks: tuple[str, ...]
    """Whose mean it is."""
    title: str
    scores: tuple[MetricScore, ...]
    """One a run, in the board's order; each has a value."""
    counts: tuple[str, ...]
    """Over how many items each of them is, in words."""

    @property
    def unit(self) -> Unit:
        """Of every score."""
        return self.scores[0].unit

    @property
    def higher_is_better(self) -> bool:
        """Which direction is an improvement."""
        return self.scores[0].higher_is_better

    @property
    def values(self) -> tuple[float, ...]:
        """One a run."""
        return tuple(value for score in self.scores if (value := score.value) is not None)

    @property
    def count(self) -> str:
        """Over how many items every score is; '' where they differ."""
        return self.counts[0] if len(set(self.counts)) == 1 else ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """Runs of the same tasks, formulations and data, asked the same items; the best first."""

    title: str
    version: str
    """8 hex digits of what makes the runs comparable."""
    items: str
    """Over which items the numbers are: `200 items a task`; '' for all."""
    demo: bool
    """Whether a task ran on the built-in demo data."""
    standard: bool
    """Whether all formulations are the published ones."""
    official: bool
    """Whether all data are those of the official files."""
    records: list[Record]

    @cached_property
    def mean_tasks(self) -> list[str]:
        """The tasks whose mean the runs are ranked by; empty where they have no mean."""
        if any(run_mean(record.run) is None for record in self.records):
            return []
        run = self.records[0].run
        names = run.mean_tasks
        kinds = {(self.unit(name), run.tasks[name].score.higher_is_better) for name in names}
        return names if len(kinds) == 1 and len(run.tasks) > 1 and len(names) > 1 else []

    @cached_property
    def ranked_by(self) -> list[str]:
        """The tasks whose mean the runs are ranked by.

        Tasks that have no mean, for their units or directions differ or their suite says so, are not
        joined to a number all the same: the first one decides on the order, and `order_in_words` says
        that it does.
        """
        run = self.records[0].run
        return self.mean_tasks or (run.mean_tasks or list(run.tasks))[:1]

    @property
    def order_in_words(self) -> str:
        """What the order is by, where that is not the mean or the only task; else ''."""
        run = self.records[0].run
        if self.mean_tasks or len(run.tasks) == 1:
            return ""
        by = run.title(self.ranked_by[0])
        if run.mean_tasks == self.ranked_by:
            return f"Ranked by {by} alone, as the suite says"
        no_mean = (
            "their suite has none" if not run.mean_tasks else "their units or directions differ"
        )
        return f"In the order of {by}: these tasks have no mean, for {no_mean}"

    def unit(self, task: str) -> Unit:
        """The unit of a task's number on this board."""
        return common_unit(record.tasks[task].score.unit for record in self.records)

    def columns(self) -> list[BoardColumn]:
        """The mean, where there is one, and the primary metric of every task."""
        first = self.records[0].run
        columns = [
            self.column(
                name, [name], first.title(name), [r.tasks[name].score for r in self.records]
            )
            for name in first.tasks
        ]
        if not self.mean_tasks:
            return columns
        partial = len(self.mean_tasks) < len(first.tasks)
        title = f"Mean of {', '.join(map(first.title, self.mean_tasks))}" if partial else "Mean"
        means = [mean for record in self.records if (mean := run_mean(record.run))]
        return [self.column("", self.mean_tasks, title, means), *columns]

    def column(
        self, name: str, tasks: Sequence[str], title: str, scores: Sequence[MetricScore]
    ) -> BoardColumn:
        """A column of numbers, in the unit of all."""
        unit = common_unit(score.unit for score in scores)
        return BoardColumn(
            name=name,
            tasks=tuple(tasks),
            title=title,
            scores=tuple(msgspec.structs.replace(score, unit=unit) for score in scores),
            counts=tuple(
                count_over(score.n, [record.tasks[name] for name in tasks])
                for record, score in zip(self.records, scores, strict=True)
            ),
        )

    def place(self, record: Record) -> tuple[float, ...]:
        """What runs are sorted by, the best first."""
        names = self.ranked_by
        score = run_mean(record.run) if self.mean_tasks else record.tasks[names[0]].score
        assert score is not None
        assert score.value is not None
        return (-score.value if score.higher_is_better else score.value,)


def tags_of(board: Board) -> list[str]:
    """What a board must be called beside its title, for it is not of the whole published thing."""
    found = {
        "demo data": board.demo,
        board.items: bool(board.items),
        "not the standard formulation": not board.standard,
        "data not known as official": not board.official,
    }
    return [tag for tag, holds in found.items() if holds]


def boards_of(records: Iterable[Record]) -> tuple[list[Board], list[tuple[Record, str]]]:
    """Runs by what they are ranked beside, and those that cannot be ranked with the reason.

    Boards over all items of real data come first, then those of limited runs, those of demo data last;
    among each, those of published formulations come first.
    """
    groups: dict[str, list[Record]] = {}
    left_out = []
    seen: set[tuple[str, str]] = set()
    newest_first = sorted(records, key=lambda record: record.run.created, reverse=True)
    for record in newest_first:
        if reasons := why_not_ranked(record.run):
            left_out.append((record, "; ".join(reasons)))
            continue
        key = version_of(record)
        who = (key, record.run.model.fingerprint)
        if who in seen:
            left_out.append((record, "an older run of the same weights"))
            continue
        seen.add(who)
        groups.setdefault(key, []).append(record)
    boards = [ranked(key, group) for key, group in groups.items()]
    boards.sort(
        key=lambda one: (
            one.demo, bool(one.items), not one.standard, -len(one.records), one.title
        )
    )  # fmt: skip
    return boards, left_out


def version_of(record: Record) -> str:
    """A hash of everything that must be the same for two runs to be ranked together."""
    run, suite = record.run, record.run.suite
    tasks = {
        name: (
            task.formulation_hash,
            task.data.content_hash,
            task.primary,
            task.score.higher_is_better,
        )
        for name, task in sorted(record.tasks.items())
    }
    return content_hash([suite and suite.name, sorted(run.mean_tasks), tasks, item_set(run)])


def title_of(record: Record) -> str:
    """What a run is a run of, in words: its suite, or its tasks."""
    run = record.run
    return (
        (run.suite.title or run.suite.name) if run.suite else ", ".join(map(run.title, run.tasks))
    )


def ranked(key: str, records: list[Record]) -> Board:
    """The board of some runs that can be ranked together."""
    run = records[0].run
    kinds = {one.kind for one in reservations(run)}
    board = Board(
        title=title_of(records[0]),
        version=key[:8],
        items=items_in_words(run),
        demo="demo data" in kinds,
        standard="not standard" not in kinds,
        official="data differ" not in kinds,
        records=records,
    )
    return replace(board, records=sorted(records, key=board.place))
