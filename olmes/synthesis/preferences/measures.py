"""What is measured on a panel: agreement, biases, who wins, and how far humans agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmes import stats
from olmes.stats import Alpha, Estimate
from olmes.stats.estimates import cluster_sums
from olmes.synthesis.preferences.biases import (
    LengthBias,
    PositionBias,
    length_bias,
    position_bias,
    with_holm,
)
from olmes.synthesis.preferences.binarised import Pair
from olmes.synthesis.preferences.gold import Agreement, GoldRow, agreement
from olmes.synthesis.preferences.panel import Judged, rated_units

ALL_ASPECTS, MEAN_RATING = "all aspects", "mean rating"


@dataclass(frozen=True, slots=True)
class JudgeMeasures:
    """One judge."""

    counts: Mapping[str, int]
    """As of `judging.Sheets.counts`."""
    position: PositionBias
    length: LengthBias
    gold: Agreement | None


@dataclass(frozen=True, slots=True)
class WriterMeasures:
    """One model that answers."""

    texts: int
    """Its texts that were rated."""
    rating: Estimate | None
    """The panel's mean rating of them, clustered by prompt."""
    wins: Estimate | None
    """Of the pairs in which it wrote a side, the share in which that is the chosen one; a pair of
    which it wrote both sides counts half."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The panel."""

    alphas: Mapping[str, Alpha]
    """Krippendorff's alpha between judges, ordinal, by aspect; over all of them, a text's aspects
    being units of their own; and (interval) of a text's mean rating, by which pairs are made."""
    judges: Mapping[str, JudgeMeasures]
    length: LengthBias
    """The panel's."""
    gold: Agreement | None
    """The panel's."""
    writers: Mapping[str, WriterMeasures]
    on_policy_chosen: Estimate | None
    """Of the pairs of which the model that is to be trained wrote one side and not the other, the
    share in which that is the chosen one."""
    longer_chosen: Estimate | None
    """Of the pairs whose sides differ in length, the share in which the longer one is chosen."""


def measured(
    judged: Sequence[Judged],
    pairs: Sequence[Pair],
    judges: Sequence[str],
    aspects: Sequence[str],
    counts: Mapping[str, Counter[str]],
    gold: tuple[Sequence[GoldRow], Sequence[Judged]] | None,
    seed: int,
) -> Measures:
    """Everything that is measured.

    Args:
        judged: prompts that the whole panel has rated.
        pairs: made of them.
        judges: names.
        aspects: names.
        counts: by judge, what it was asked and what could be read.
        gold: rows that humans have compared, and the panel's ratings of them.
        seed: of the resamples.
    """
    own, longer = sides_of(pairs)
    places = {name: position_bias(judged, name, seed) for name in judges}
    lengths = {name: length_bias(judged, name, seed) for name in judges}
    places, lengths = with_holm(places, lengths)
    return Measures(
        alphas=alphas(judged, judges, aspects, seed),
        judges={
            name: JudgeMeasures(
                counts[name], places[name], lengths[name], agreement(*gold, name) if gold else None
            )
            for name in judges
        },
        length=length_bias(judged, seed=seed),
        gold=agreement(*gold) if gold else None,
        writers=writer_measures(judged, pairs),
        on_policy_chosen=stats.mean(own) if own else None,
        longer_chosen=stats.mean(longer) if longer else None,
    )


def alphas(
    judged: Sequence[Judged], judges: Sequence[str], aspects: Sequence[str], seed: int
) -> dict[str, Alpha]:
    """Krippendorff's alpha by aspect, over all, and of the mean ratings; drawn by prompts."""
    found: dict[str, Alpha] = {}
    every: list[tuple[str, Sequence[float | None]]] = []
    for aspect in aspects:
        units = list(rated_units(judged, aspect))
        every += units
        found[aspect] = alpha_of(units, "ordinal", seed)
    found[ALL_ASPECTS] = alpha_of(every, "ordinal", seed)
    means: list[tuple[str, Sequence[float | None]]] = []
    for one in judged:
        columns = zip(*(one.scores(judge) for judge in judges), strict=True)
        means += [
            (one.id, [None if score is None else float(score) for score in column])
            for column in columns
        ]
    found[MEAN_RATING] = alpha_of(means, "interval", seed)
    return found


def alpha_of(
    units: Sequence[tuple[str, Sequence[float | None]]], level: stats.agreement.Level, seed: int
) -> Alpha:
    """The alpha of units with the ids of their prompts."""
    return stats.krippendorff_alpha(
        [ratings for _, ratings in units],
        level,
        clusters=[prompt for prompt, _ in units],
        seed=seed,
    )


def writer_measures(judged: Sequence[Judged], pairs: Sequence[Pair]) -> dict[str, WriterMeasures]:
    """Each model that has written a rated text, by its name in the recipe."""
    ratings: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for one in judged:
        for answer, score in zip(one.answers, one.scores(), strict=True):
            for model in answer.models if score is not None else ():
                ratings[model].append((one.id, float(score or 0)))
    wins: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        chosen, rejected = (
            set(pair.judged.answers[at].models) for at in (pair.chosen, pair.rejected)
        )
        for model in chosen | rejected:
            wins[model].append((1 + (model in chosen) - (model in rejected)) / 2)
    found = {}
    for model in sorted(ratings):
        prompts, values = zip(*ratings[model], strict=True)
        totals, sizes = cluster_sums(values, prompts)
        found[model] = WriterMeasures(
            texts=len(values),
            rating=stats.ratio(totals, sizes, is_share=False),
            wins=stats.mean(wins[model]) if wins[model] else None,
        )
    return found


def sides_of(pairs: Sequence[Pair]) -> tuple[list[float], list[float]]:
    """Of pairs with one side on policy whether it is chosen; of unequal lengths, whether the longer."""
    own: list[float] = []
    longer: list[float] = []
    for pair in pairs:
        chosen, rejected = (pair.judged.answers[at] for at in (pair.chosen, pair.rejected))
        if chosen.on_policy != rejected.on_policy:
            own.append(float(chosen.on_policy))
        if len(chosen.text) != len(rejected.text):
            longer.append(float(len(chosen.text) > len(rejected.text)))
    return own, longer
