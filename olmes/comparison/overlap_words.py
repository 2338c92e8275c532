"""What is said of items that overlap with training data, on the screen and on pages alike."""

from __future__ import annotations

from collections.abc import Sequence

from olmes.comparison.overlap import MeanOverlap, RunOverlap, TaskOverlap
from olmes.records.shown import MISSING, difference_interval, shown, shown_difference
from olmes.stats import Estimate, SubsetDifference
from olmes.types import Unit

OVERLAPS = "‡"
"""Stands behind a score some of whose items overlap with the training data."""
OVERLAPS_MEANS = "items overlap with the training data"
MOST_NAMED = 3
"""Data sets that a line names; of more, how many there are."""


def overlap_line(one: TaskOverlap) -> str:
    """What a task's items have in common with the training data, and what that is worth."""
    if not one.compared:
        return (
            f"{named(one.other_data)} {were(one.other_data)} compared with other items than this "
            "run's: whether these overlap with the training data is not known"
        )
    which = "items" if one.of_run else "items of the task"
    count = f"{one.overlapped:,} of {one.n:,} {which}"
    verb = "overlaps" if one.overlapped == 1 else "overlap"
    said = f"{count} {verb} with the training data ({named(one.data_sets)})"
    if one.overlapped:
        said += without_words(one)
    if one.other_data:
        said += f"; {named(one.other_data)} {were(one.other_data)} compared with other items"
    return said


def without_words(one: TaskOverlap) -> str:
    """The score without them, or why there is none."""
    if one.without is not None and one.score is not None and one.difference is not None:
        return f": {moved(one.score, one.without, one.difference, one.unit)}"
    if not one.of_run:
        return "; how many this run was asked is not known without its samples"
    if one.n == one.overlapped:
        return ": no item is left for a score without them"
    return "; the score without them needs the samples"


def moved(score: Estimate, without: Estimate, difference: SubsetDifference, unit: Unit) -> str:
    """`71.2 → 70.4 without them (paired −0.8 [−1.2, −0.4], n = 1,281)`."""
    interval = difference_interval(difference.ci_low, difference.ci_high, unit)
    paired = f"paired {shown_difference(difference.value, unit)}"
    paired += "" if interval == MISSING else f" {interval}"
    return (
        f"{shown(score.value, unit)} → {shown(without.value, unit)} without them "
        f"({paired}, n = {difference.kept:,})"
    )


def mean_line(mean: MeanOverlap) -> str:
    """What the mean of a run's tasks is without the items that overlap."""
    numbers = moved(mean.score, mean.without, mean.difference, mean.unit)
    return f"Mean, where items of {', '.join(mean.tasks)} overlap with the training data: {numbers}"


def overlap_lines(found: RunOverlap) -> list[str]:
    """A line a task, with its title and its mark, and one of the mean, in this order."""
    lines = [
        f"{f'{OVERLAPS} ' if one.overlapped else ''}{one.title}: {overlap_line(one)}"
        for one in found.tasks.values()
    ]
    return [*lines, mean_line(found.mean)] if found.mean else lines


def marked_line(found: RunOverlap, name: str) -> str:
    """What a mark beside a number stands for: of a task, of the mean where `name` is ''; or ''.

    Of a mean whose score without these items is not known the tasks are named.
    """
    if name:
        return overlap_line(found.tasks[name]) if name in found.marked else ""
    if found.mean:
        return mean_line(found.mean)
    titles = ", ".join(found.tasks[one].title for one in sorted(found.marked))
    return f"Items of {titles} overlap with the training data" if titles else ""


def named(data_sets: Sequence[str]) -> str:
    """Some data sets by name."""
    more = len(data_sets) - MOST_NAMED
    shown_ones = ", ".join(data_sets[:MOST_NAMED])
    return f"{shown_ones} and {more} more" if more > 0 else shown_ones


def were(data_sets: Sequence[str]) -> str:
    """The verb for some data sets."""
    return "was" if len(data_sets) == 1 else "were"
