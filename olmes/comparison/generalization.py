"""Whether what was tuned on the development suite holds on held-out tasks.

Tülu 3 sets each skill's development and unseen score side by side (Tables 3 and 31). This module takes
the records of one or several models, finds for each its development and its held-out scores, and says
for each pair: both scores, how far both moved from a base, what of the move on dev shows on unseen,
and the same over several models. It says what the numbers are, not why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from olmes import stats
from olmes.benchmark.suite import Pair
from olmes.comparison.best import shared_by_suite, shared_by_task
from olmes.comparison.carried import Carried, Halves, carried_over
from olmes.comparison.carried_words import change_in_words
from olmes.comparison.changes import Change, change_of
from olmes.comparison.compare import CONDITIONAL
from olmes.comparison.halves import Corrected, Half, HalfScore, half_of, on_one_scale, suite_half
from olmes.comparison.items import SharedItems
from olmes.comparison.model_scores import ModelScores, ReadModel, by_model, named_pairs
from olmes.comparison.training_order import Base, base_among, trained
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.records.schema import DiagnosisCounts
from olmes.stats import BestOf, Difference
from olmes.stats.intervals import of_shares

NO_ZERO = (
    "The gap between two different benchmarks has no zero and says nothing alone; its change from a "
    "base does, so give the runs of the model that training began with too."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """One model's development and unseen score."""

    dev: HalfScore | None
    unseen: HalfScore | None
    rewritten: HalfScore | None
    """Of the task with newly made items of the unseen one's kind."""
    gap: Difference | None
    """By how much dev is better than unseen."""
    change: Change | None
    """Against the base."""
    why_no_change: str
    """'' where there is one, and for the base itself."""
    in_words: str
    """What of the change on dev shows on unseen; '' without a change."""
    left_out: list[str]
    """Tasks without a score."""
    why_not_in_slope: str
    """'' for a model that the line is through."""
    remembered: Difference | None
    """Unseen less rewritten: what a model that had seen the exam would be better by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverModels:
    """A development and an unseen score over some models, a row a model."""

    rows: list[SideBySide]
    carried: Carried

    @property
    def anything(self) -> bool:
        """Whether any model has an unseen score on it: development scores alone are no pair."""
        return any(row.unseen or row.rewritten for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOverModels(OverModels):
    """A pair of tasks over some models."""

    dev: list[str]
    unseen: str
    rewritten: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalization:
    """Development and held-out scores side by side."""

    models: list[ReadModel]
    base: Base
    suites: OverModels
    """The means of the suites."""
    pairs: list[PairOverModels]
    not_run: list[str]
    """Pairs that no model has an unseen score on."""
    diagnosis: list[dict[str, DiagnosisCounts]]
    """By model, then by task: what the format cost."""
    conditional: str = CONDITIONAL
    no_zero: str = NO_ZERO


def generalization(
    records: Iterable[Record], pairs: Sequence[Pair] = (), *, base: str | None = None
) -> Generalization:
    """Development and held-out scores side by side.

    Args:
        records: of one or several models; of several records of one task that with the least against
            it counts (full before limited, standard before changed), and of such the newest.
        pairs: which tasks are held against which; by default those that the held-out suites among
            the records name.
        base: the model that changes are counted from, by name, fingerprint or run (`base_among`).

    Raises:
        OlmesError: no record is of a held-out suite, and no pairs are given; or there is no such base.
    """
    models = by_model(records)
    pairs = pairs or named_pairs(models)
    if not pairs:
        raise OlmesError(
            "none of these runs is of a held-out suite, so there is nothing to hold against the "
            "development scores; give a run of `olmes run --suite unseen` too."
        )
    found, items = base_among(models, base), SharedItems(each=True)
    over = [over_pair(pair, models, found, items) for pair in pairs]
    names = {name for pair in pairs for name in pair.dev}, {pair.unseen for pair in pairs}
    suites = [
        (suite_half(model, model.dev, names[0]), suite_half(model, model.unseen, names[1]))
        for model in models
    ]
    return Generalization(
        models=[ReadModel.of(model) for model in models],
        base=found,
        suites=over_models(models, suites, [None] * len(models), found, items),
        pairs=[one for one in over if one.anything],
        not_run=[f"{', '.join(one.dev)} → {one.unseen}" for one in over if not one.anything],
        diagnosis=[
            {
                name: diagnosis
                for name, record in model.chosen().items()
                if (diagnosis := record.tasks[name].diagnosis)
            }
            for model in models
        ],
    )


def over_pair(
    pair: Pair, models: Sequence[ModelScores], base: Base, items: SharedItems
) -> PairOverModels:
    """One pair over all models."""
    halves = [(half_of(model, pair.dev), half_of(model, [pair.unseen])) for model in models]
    rewritten = [
        half_of(model, [pair.rewritten]).score if pair.rewritten else None for model in models
    ]
    found = over_models(models, halves, rewritten, base, items)
    return PairOverModels(
        dev=list(pair.dev),
        unseen=pair.unseen,
        rewritten=pair.rewritten if any(rewritten) else "",
        rows=found.rows,
        carried=found.carried,
    )


def over_models(
    models: Sequence[ModelScores],
    halves: Sequence[Halves],
    rewritten: Sequence[HalfScore | None],
    base: Base,
    items: SharedItems,
) -> OverModels:
    """A row a model, and the line through them."""
    carried = carried_over(models, halves, items)
    best = corrections(models, [dev for dev, _ in halves], items)
    corrected = [
        (with_correction(dev, best.get(place)), unseen)
        for place, (dev, unseen) in enumerate(halves)
    ]
    rows = []
    for place, (dev, unseen) in enumerate(corrected):
        change: Change | str = ""
        if place != base.index:
            # The base was not chosen for its score: its own correction has no part in a change.
            change = change_of(halves[base.index], (dev, unseen), items)
            change = f"no change: {change}" if isinstance(change, str) else change
        fresh = rewritten[place]
        rows.append(
            SideBySide(
                dev=dev.score,
                unseen=unseen.score,
                rewritten=fresh,
                gap=gap_of(dev.score, unseen.score),
                change=None if isinstance(change, str) else change,
                why_no_change=change if isinstance(change, str) else "",
                in_words=""
                if isinstance(change, str)
                else change_in_words(change, trained=trained(models[base.index], models[place])),
                left_out=[*dev.left_out, *unseen.left_out],
                why_not_in_slope=carried.left_out.get(place, ""),
                remembered=gap_of(unseen.score, fresh),
            )
        )
    return OverModels(rows=rows, carried=carried)


def gap_of(first: HalfScore | None, second: HalfScore | None) -> Difference | None:
    """By how much the first is better than the second; None where they have no scale in common."""
    if first is None or second is None or first.higher_is_better != second.higher_is_better:
        return None
    if not on_one_scale(first, second):
        return None
    gap = stats.generalization_gap(first.best_known, second.best_known)
    if first.unit == second.unit == "share":
        low, high = of_shares(gap.ci_low, gap.ci_high)
        gap = Difference(gap.value, gap.stderr, low, high)
    return gap if first.higher_is_better else stats.negated(gap)


def corrections(
    models: Sequence[ModelScores], dev: Sequence[Half], items: SharedItems
) -> dict[int, Corrected]:
    """The best checkpoint of each training on one half, by its place, corrected for the choice."""
    rivals: dict[tuple[str, str], list[int]] = {}
    for place, (model, half) in enumerate(zip(models, dev, strict=True)):
        if half.score is not None and model.family is not None and model.step is not None:
            rivals.setdefault((model.family, half.score.version), []).append(place)
    found = {}
    for places in rivals.values():
        best = best_of([dev[place] for place in places], items) if len(places) > 1 else None
        if best is not None:
            score = dev[places[best.index]].score
            assert score is not None
            found[places[best.index]] = Corrected(
                score.value - best.bias, best.ci_low, best.ci_high, best.checkpoints
            )
    return found


def with_correction(half: Half, corrected: Corrected | None) -> Half:
    """A half with the corrected score of a checkpoint that was the best."""
    if corrected is None or half.score is None:
        return half
    return replace(half, score=replace(half.score, corrected=corrected))


def best_of(halves: Sequence[Half], items: SharedItems) -> BestOf | None:
    """The best of some checkpoints on one half; None where their samples are missing."""
    names = list(halves[0].records)
    by_name = [[half.records[name] for half in halves] for name in names]
    if len(names) == 1:
        shared = shared_by_task(names[0], by_name[0], items)
    elif all(records == by_name[0] for records in by_name):
        shared = shared_by_suite(names, by_name[0], items)
    else:
        return None
    return shared.best() if shared else None
