"""What moves a judge's ratings and should not: the place in the list, the length of the text.

Where a text stands was drawn by seed, so that the draw itself is the test: under the hypothesis that
places do nothing, every other draw was as likely, with the same ratings (a randomization test, Fisher
1935). Whoever changed nothing but the draw sees how large differences between places are by chance.

Longer texts may well be better ones: length is tested in the same way within prompts, but what is
found is an association, to be held beside what humans prefer (`--gold`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from olmes import stats
from olmes.stats import Estimate
from olmes.stats.estimates import cluster_sums
from olmes.synthesis.preferences.panel import Judged, Sheet

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]

RESAMPLES = 1_999
"""Draws of a test; with the observed one 2,000, so that no p-value is below 0.0005."""


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Whether a judge's ratings depend on the place of a text."""

    places: tuple[Estimate, ...]
    """By place, from the first: the mean of ratings less their sheets' means; clustered by prompt."""
    p_value: float | None
    """Of the differences between places together; None where no sheet has two ratings."""
    p_adjusted: float | None = None
    """Holm's, over the judges."""

    @property
    def spread(self) -> float:
        """From the place that is rated lowest to the highest, in points of the scale."""
        values = [place.value for place in self.places]
        return max(values) - min(values) if values else 0.0


@dataclass(frozen=True, slots=True)
class LengthBias:
    """Whether a judge rates the longer texts of a prompt higher."""

    slope: Estimate | None
    """Points of the scale a doubling of the length in characters, within prompts and clustered by
    them; None where no prompt has texts of two lengths."""
    p_value: float | None
    p_adjusted: float | None = None
    """Holm's, over the judges."""


def position_bias(judged: Sequence[Judged], judge: str, seed: int = 0) -> PositionBias:
    """How a judge's ratings depend on the place.

    For the test, each rating is first taken less what its sheet and its text get on average, which
    no place has a part in under the hypothesis; its statistic is Σ over places of S²/n, S the sum of
    those over the n ratings of a place.
    """
    deviations: dict[int, list[tuple[str, float]]] = {}
    tables: list[Array] = []
    for one in judged:
        sheets = [s for s in one.of_judge(judge) if len(numbers_of(s)) > 1]
        for sheet in sheets:
            for place, value in centred(sheet).items():
                deviations.setdefault(place, []).append((one.id, value))
        if sheets:
            tables.append(sums_by_draw(sheets))
    places = []
    for place in sorted(deviations):
        prompts, values = zip(*deviations[place], strict=True)
        totals, sizes = cluster_sums(values, prompts)
        places.append(stats.ratio(totals, sizes, is_share=False))
    counts = [len(deviations.get(place, ())) for place in range(max(deviations, default=0) + 1)]
    return PositionBias(tuple(places), randomized(tables, counts, seed) if tables else None)


def numbers_of(sheet: Sheet) -> dict[int, int]:
    """The ratings of a sheet that are numbers, by place."""
    return {at: rating for at, rating in enumerate(sheet.ratings) if isinstance(rating, int)}


def centred(sheet: Sheet) -> dict[int, float]:
    """The ratings of a sheet less their mean, by place."""
    numbers = numbers_of(sheet)
    middle = sum(numbers.values()) / len(numbers)
    return {place: rating - middle for place, rating in numbers.items()}


def sums_by_draw(sheets: Sequence[Sheet]) -> Array:
    """What each text adds to each place's sum, by where the draw puts it, (text, drawn place, place).

    The drawn place is the one before rotations. Its diagonal of the actual draw is what happened;
    `[t, s]` is what would have been added, had text t been drawn into s.
    """
    import numpy as np

    count = len(sheets[0].order)
    rests = np.full((len(sheets), count), np.nan)
    for row, sheet in zip(rests, sheets, strict=True):
        for place, value in centred(sheet).items():
            row[sheet.order[place]] = value
    if len(sheets) > 1:  # of one sheet the text's mean would be the rating itself
        known = ~np.isnan(rests).all(axis=0)
        rests[:, known] -= np.nanmean(rests[:, known], axis=0)
    table = np.zeros((count, count, count))
    for row, sheet in zip(np.nan_to_num(rests), sheets, strict=True):
        for drawn in range(count):
            table[:, drawn, (drawn + sheet.rotation) % count] += row
    first = sheets[0]
    actual = np.empty(count, dtype=int)
    for place, text in enumerate(first.order):
        actual[text] = (place - first.rotation) % count
    # Texts in the order of their drawn places: then what happened is the diagonal.
    return np.asarray(table[np.argsort(actual)])


def randomized(tables: Sequence[Array], counts: Sequence[int], seed: int) -> float:
    """The p-value (1 + b)/(1 + B) of the differences between places."""
    import numpy as np

    rng = np.random.default_rng(seed)
    places = len(counts)
    totals = np.zeros((RESAMPLES + 1, max(places, *(len(table) for table in tables))))
    for size in {len(table) for table in tables}:
        group = np.array([table for table in tables if len(table) == size])
        prompts, texts = np.arange(len(group))[:, None], np.arange(size)[None, :]
        totals[0, :size] += group[prompts, texts, texts].sum(axis=(0, 1))
        for draw in range(1, RESAMPLES + 1):
            drawn = rng.random((len(group), size)).argsort(axis=1)
            totals[draw, :size] += group[prompts, texts, drawn].sum(axis=(0, 1))
    statistic = (totals[:, :places] ** 2 / np.maximum(1, counts)).sum(axis=1)
    # Equal sums differ in their last bits when they are taken in another order.
    beyond = int((statistic[1:] >= statistic[0] - 1e-9 * max(1.0, statistic[0])).sum())
    return (1 + beyond) / (1 + RESAMPLES)


def length_bias(judged: Sequence[Judged], judge: str = "", seed: int = 0) -> LengthBias:
    """How a judge's mean ratings of texts depend on their lengths; without a name, the panel's.

    The slope is that of least squares within prompts, Σ(x - x̄)(y - ȳ)/Σ(x - x̄)², x the binary
    logarithm of the length in characters and y the mean rating; the test gives the ratings of each
    prompt to its texts in another order.
    """
    import numpy as np

    lengths: list[Array] = []
    ratings: list[Array] = []
    for one in judged:
        rated = [
            (math.log2(max(1, len(answer.text))), float(score))
            for answer, score in zip(one.answers, one.scores(judge), strict=True)
            if score is not None
        ]
        if len({length for length, _ in rated}) > 1:
            x, y = (np.array(column) for column in zip(*rated, strict=True))
            lengths.append(x - x.mean())
            ratings.append(y - y.mean())
    if not lengths:
        return LengthBias(None, None)
    totals = [float(x @ y) for x, y in zip(lengths, ratings, strict=True)]
    slope = stats.ratio(totals, [float(x @ x) for x in lengths], is_share=False, n=len(lengths))
    rng = np.random.default_rng(seed)
    sums = np.zeros(RESAMPLES + 1)
    for size in {len(x) for x in lengths}:
        group = [at for at, x in enumerate(lengths) if len(x) == size]
        x, y = np.array([lengths[at] for at in group]), np.array([ratings[at] for at in group])
        sums[0] += float((x * y).sum())
        for draw in range(1, RESAMPLES + 1):
            sums[draw] += float((x * rng.permuted(y, axis=1)).sum())
    far = np.abs(sums)
    beyond = int((far[1:] >= far[0] - 1e-9 * max(1.0, far[0])).sum())
    return LengthBias(slope, (1 + beyond) / (1 + RESAMPLES))


def with_holm(
    places: dict[str, PositionBias], lengths: dict[str, LengthBias]
) -> tuple[dict[str, PositionBias], dict[str, LengthBias]]:
    """The same with Holm's p-values over the judges, those of places and of lengths by themselves."""
    by_place = adjusted({name: found.p_value for name, found in places.items()})
    by_length = adjusted({name: found.p_value for name, found in lengths.items()})
    return (
        {name: replace(one, p_adjusted=by_place.get(name)) for name, one in places.items()},
        {name: replace(one, p_adjusted=by_length.get(name)) for name, one in lengths.items()},
    )


def adjusted(p_values: dict[str, float | None]) -> dict[str, float]:
    """Holm's adjusted p-values of those that there are."""
    known = {name: p for name, p in p_values.items() if p is not None}
    return dict(zip(known, stats.holm(list(known.values())), strict=True))
