"""How much of what changed on dev shows on unseen over several models, and what may be said of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmes import stats
from olmes.comparison.carried_words import Kind, in_words
from olmes.comparison.halves import Half, on_one_scale
from olmes.comparison.items import SharedItems
from olmes.comparison.model_scores import ModelScores
from olmes.comparison.training_order import follow_one_another, of_one_training
from olmes.records.record import Record
from olmes.stats import CarryOver, RankAgreement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Halves = tuple[Half, Half]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The line through some models' scores, and the order they stand in."""

    kind: Kind
    carry_over: CarryOver
    ranks: RankAgreement | None
    in_words: str
    """What the slope says, in a sentence."""
    left_out: dict[int, str]
    """The models that the line is not through, by their places, with the reason."""


def carried_over(
    models: Sequence[ModelScores], halves: Sequence[Halves], items: SharedItems
) -> Carried:
    """The line through the models whose numbers are complete and of the same thing.

    Args:
        models: in the order given, (m,).
        halves: the development and the unseen half of each, (m,).
        items: what was read of the samples before.
    """
    left_out = why_left_out(halves)
    places = [place for place in range(len(models)) if place not in left_out]
    steps = of_one_training([models[place] for place in places])
    if steps is not None:
        in_order = sorted(zip(steps, places, strict=True))
        places, steps = [place for _, place in in_order], [step for step, _ in in_order]
    chosen = [models[place] for place in places]
    kind: Kind = "models"
    if steps is not None:
        kind = "training"
    elif follow_one_another(chosen):
        kind = "several trainings"
    sides = [[halves[place][side] for place in places] for side in (0, 1)]
    line, ranks = through(sides, steps, items)
    if kind == "several trainings" and line.slope is not None:
        reason = (
            "these are checkpoints of more than one training; give one training for an interval"
        )
        line = CarryOver(line.checkpoints, reason, False, line.slope, None, None, line.reliability)
    words = in_words(line, kind, gained=rose(sides[0]))
    return Carried(kind=kind, carry_over=line, ranks=ranks, in_words=words, left_out=left_out)


def why_left_out(halves: Sequence[Halves]) -> dict[int, str]:
    """The models that no line can be drawn through, by their places, and why.

    A model that lacks a task of the pair is one of them, unless all do: then all means are of the rest.
    """
    found: dict[int, str] = {}
    versions: dict[int, tuple[str, str]] = {}
    some_whole = any(
        dev.score and unseen.score and not (dev.left_out or unseen.left_out)
        for dev, unseen in halves
    )
    for place, (dev, unseen) in enumerate(halves):
        lacking = [*dev.left_out, *unseen.left_out]
        if dev.score is None or unseen.score is None:
            said = [one.why_not for one in (dev, unseen) if one.why_not]
            found[place] = said[0] if said else "a score is missing"
        elif lacking and some_whole:
            found[place] = f"no score for {', '.join(lacking)}"
        elif not (dev.score.comparable and unseen.score.comparable):
            said = [*dev.score.reservations, *unseen.score.reservations]
            found[place] = "; ".join(dict.fromkeys(said))
        else:
            versions[place] = (dev.score.version, unseen.score.version)
    if versions:
        most = Counter(versions.values()).most_common(1)[0][0]
        for place, version in versions.items():
            if version != most:
                found[place] = "its tasks, formulations or data are not those of most others"
    return found


def through(
    sides: Sequence[Sequence[Half]], steps: Sequence[float] | None, items: SharedItems
) -> tuple[CarryOver, RankAgreement | None]:
    """The line and the ranks of models whose halves are all there."""
    rows: list[list[float]] = []
    errors: list[float] = []
    for side in sides:
        scores = [half.score for half in side if half.score]
        signs = [1 if score.higher_is_better else -1 for score in scores]
        rows.append([sign * score.value for sign, score in zip(signs, scores, strict=True)])
        squares = [(score.stderr or 0.0) ** 2 for score in scores]
        errors.append(math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0)
    dev, unseen = rows
    pairs = [(one.score, other.score) for one, other in zip(*sides, strict=True)]
    if not all(one and other and on_one_scale(one, other) for one, other in pairs):
        line = CarryOver(len(dev), "dev and unseen are on different scales", steps is not None)
        return line, stats.rank_agreement(dev, unseen)
    covariances = [covariance_of(side, items) for side in sides] if len(dev) > 1 else []
    known = [one for one in covariances if one is not None]
    if len(known) == 2:
        both = known[0], known[1]
        line = stats.carry_over(dev, unseen, steps=steps, covariances=both)
        return line, stats.rank_agreement(dev, unseen, both)
    # Without items the noise that models share is not known: it widens, and nothing is corrected.
    line = stats.carry_over(dev, unseen, steps=steps, unseen_noise=math.hypot(*errors))
    return line, stats.rank_agreement(dev, unseen)


def covariance_of(side: Sequence[Half], items: SharedItems) -> Array | None:
    """The covariance of some models' scores over the items they share; None where these are missing.

    (k, k), clustered, of the mean over the tasks of the half.
    """
    from olmes.stats.selection import paired_scores

    names = list(side[0].records)
    total: Array | None = None
    for name in names:
        records: list[Record] = [half.records[name] for half in side]
        if not all(record.can_be_paired(name) for record in records):
            return None
        own = items.of(name, records)
        if len(own.values) < 2:
            return None
        task = records[0].tasks[name]
        scores = paired_scores(
            own.values,
            clusters=own.clusters,
            strata=own.strata(task),
            sizes=own.sizes(),
        )
        if math.isnan(scores.df):
            return None
        part = scores.covariance / len(names) ** 2
        total = part if total is None else total + part
    return total


def rose(dev: Sequence[Half]) -> bool:
    """Whether the last dev score is better than the first."""
    scores = [half.score for half in dev if half.score]
    if len(scores) < 2:
        return False
    change = scores[-1].value - scores[0].value
    return change > 0 if scores[0].higher_is_better else change < 0
