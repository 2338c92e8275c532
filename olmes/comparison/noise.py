"""How far the numbers of two runs, and their difference, move from run to run on the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.records.record import Record
from olmes.records.shown_repeats import primary_repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNoise:
    """How far two runs' numbers move from run to run on the same items, as standard deviations.

    It is the luck of the sampled responses alone. The interval of a difference holds it together with
    the choice of the items.
    """

    a: float | None
    """Of the score of one response an item; None where the run has one response an item."""
    b: float | None
    runs_a: int
    """Responses an item, over whose whole means the standard deviation is."""
    runs_b: int
    difference: float | None
    """Of the difference of the two scores as they are: of means over so many responses."""


def noise_of(name: str, a: Record, b: Record) -> RunNoise | None:
    """The noise beside the difference of two runs on a task; None where neither was repeated."""
    first, second = primary_repeats(a.tasks[name]), primary_repeats(b.tasks[name])
    if not (first and first.sd is not None) and not (second and second.sd is not None):
        return None
    runs = [len(one.means) if one else 1 for one in (first, second)]
    sds = [one.sd if one else None for one in (first, second)]
    known = [sd for sd in sds if sd is not None]
    both = len(known) == len(sds)
    variances = [sd**2 / count for sd, count in zip(known, runs, strict=False)] if both else []
    return RunNoise(
        a=sds[0],
        b=sds[1],
        runs_a=runs[0],
        runs_b=runs[1],
        difference=math.sqrt(math.fsum(variances)) if both else None,
    )


def mean_noise(tasks: Sequence[RunNoise | None]) -> float | None:
    """How far the mean of some tasks' differences moves from run to run; None if one does not say."""
    known = [task.difference for task in tasks if task and task.difference is not None]
    if not known or len(known) < len(tasks):
        return None
    return math.sqrt(math.fsum(sd**2 for sd in known)) / len(known)
