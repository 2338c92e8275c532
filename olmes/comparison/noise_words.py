"""How far two runs' numbers move from run to run, in words."""

from __future__ import annotations

from collections.abc import Iterator

from olmes.comparison.compare import Comparison
from olmes.comparison.noise import RunNoise
from olmes.records.shown import shown
from olmes.types import Unit


def noise_lines(found: Comparison) -> Iterator[str]:
    """A sentence for each task that has several responses an item in a run, and for their mean."""
    for task in (*found.tasks, *found.unpaired):
        if task.noise:
            yield f"{task.title or task.name}: {noise_words(task.noise, task.unit)}"
    mean = found.suite
    if mean and len(mean.tasks) > 1 and mean.noise is not None:
        unit: Unit = "share" if mean.difference.is_share else "number"
        moved = f"{shown(mean.noise, unit)}{points_of(unit)}"
        yield f"mean: from run to run on the same items the difference moves by {moved}"


def points_of(unit: Unit) -> str:
    """What stands behind a difference."""
    return " points" if unit == "share" else ""


def noise_words(noise: RunNoise, unit: Unit) -> str:
    """The noise of two runs and of their difference, in a sentence."""
    points = points_of(unit)
    said = [
        f"{letter} by {shown(sd, unit)}{points} (sd over {runs} runs)"
        for letter, sd, runs in (("A", noise.a, noise.runs_a), ("B", noise.b, noise.runs_b))
        if sd is not None
    ]
    words = f"from run to run on the same items one response an item moves {' and '.join(said)}"
    if noise.difference is not None:
        return f"{words}, the difference of their means by {shown(noise.difference, unit)}{points}"
    letter = "A" if noise.a is None else "B"
    return f"{words}; {letter} has one response an item, so that its own noise is not known"
