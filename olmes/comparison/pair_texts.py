"""The numbers of a pair as texts: one answer for the terminal and the page.

JSON has the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.carried_words import with_ends
from olmes.comparison.changes import HalfChange
from olmes.comparison.eligibility import NOT_STANDARD
from olmes.comparison.generalization import OverModels, PairOverModels, SideBySide
from olmes.comparison.halves import HalfScore
from olmes.comparison.overlap_words import OVERLAPS
from olmes.records.shown import (
    LOWER,
    MISSING,
    NUMBER,
    difference_interval,
    interval,
    shown,
    shown_difference,
)
from olmes.stats import Difference, RankAgreement
from olmes.types import Unit


@dataclass(frozen=True, slots=True)
class Text:
    """A number, its interval, and what stands beside it."""

    value: str
    interval: str
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> str:
        """All of it, a line each."""
        return "\n".join(part for part in (self.value, self.interval, *self.notes) if part)


NOTHING = Text(MISSING, "")


def score_text(score: HalfScore | None) -> Text:
    """A score with its `!`, its n, its limit, and the corrected one where it was chosen."""
    if score is None:
        return NOTHING
    signs = [sign for sign, on in (
        (NOT_STANDARD, not score.standard),
        (LOWER, not score.higher_is_better),
        (NUMBER, score.unit == "number"),
        (OVERLAPS, score.overlaps),
    ) if on]  # fmt: skip
    notes = [f"n = {score.count}"]
    notes += [mark for mark in score.marks if mark != NOT_STANDARD]
    if chosen := score.corrected:
        ends = interval(chosen.ci_low, chosen.ci_high, score.unit)
        notes.append(f"corrected {shown(chosen.value, score.unit)} {ends}")
    return Text(
        " ".join([shown(score.value, score.unit), *signs]),
        interval(score.ci_low, score.ci_high, score.unit),
        tuple(notes),
    )


def difference_text(found: Difference | None, unit: Unit, notes: tuple[str, ...] = ()) -> Text:
    """A difference with its sign."""
    if found is None:
        return NOTHING
    ends = difference_interval(found.ci_low, found.ci_high, unit)
    return Text(shown_difference(found.value, unit), ends, notes)


def change_text(change: HalfChange | None) -> Text:
    """How far a half moved, over how many items, and what is odd about it."""
    if change is None:
        return NOTHING
    notes = (f"n = {change.n:,}", *(() if change.paired else ("not paired",)))
    return difference_text(change, change.unit, notes)


@dataclass(frozen=True, slots=True)
class RowTexts:
    """A model's row."""

    dev: Text
    unseen: Text
    rewritten: Text
    dev_change: Text
    unseen_change: Text
    difference: Text
    log_odds: Text
    share: str
    """The change on unseen as a share of that on dev."""
    gap: Text
    remembered: Text
    sentences: tuple[str, ...]
    """What of the change on dev shows on unseen, or why there is none; what else is to be said."""


def row_texts(row: SideBySide) -> RowTexts:
    """A model's row as texts."""
    change = row.change
    # What is not there is seen by its dash; sentences are for what is there and yet not compared.
    unit: Unit = "number" if row.dev is not None and row.dev.unit == "number" else "share"
    share = change.carried if change else None
    said = [row.in_words or (row.why_no_change if row.dev and row.unseen else "")]
    said += [*change.dev.notes, *change.unseen.notes] if change else []
    said += [line for half in (row.dev, row.unseen, row.rewritten) if half for line in half.overlap]
    if row.left_out and row.dev:
        said.append(f"without {', '.join(row.left_out)}")
    if row.why_not_in_slope and row.dev and row.unseen:
        said.append(f"the line is not through it: {row.why_not_in_slope}")
    return RowTexts(
        dev=score_text(row.dev),
        unseen=score_text(row.unseen),
        rewritten=score_text(row.rewritten),
        dev_change=change_text(change.dev if change else None),
        unseen_change=change_text(change.unseen if change else None),
        difference=difference_text(change.difference, change.dev.unit) if change else NOTHING,
        log_odds=difference_text(change.log_odds, "number") if change else NOTHING,
        share=with_ends(share.value, share.ci_low, share.ci_high) if share else MISSING,
        gap=difference_text(row.gap, unit),
        remembered=difference_text(row.remembered, row.unseen.unit if row.unseen else "share"),
        sentences=tuple(dict.fromkeys(sentence for sentence in said if sentence)),
    )


def row_sentences(names: Sequence[str], pair: OverModels) -> list[str]:
    """What else is to be said of a pair's rows: once for all the models that it is true of."""
    of: dict[str, list[str]] = {}
    for name, row in zip(names, pair.rows, strict=True):
        for sentence in row_texts(row).sentences:
            of.setdefault(sentence, []).append(name)
    return [
        f"{'all models' if len(found) == len(names) > 1 else ', '.join(found)}: {sentence}"
        for sentence, found in of.items()
    ]


def unseen_alone(names: Sequence[str], pair: OverModels) -> str:
    """A pair of which no model has a development score, in a sentence: the unseen scores alone."""
    texts = [(name, score_text(row.unseen)) for name, row in zip(names, pair.rows, strict=True)]
    said = [
        f"{name} {' '.join((text.value, text.interval, *text.notes))}"
        for name, text in texts
        if text is not NOTHING
    ]
    return f"{title_of(pair)}: {'; '.join(said)}"


def title_of(pair: OverModels) -> str:
    """`gsm8k, math → deepmind_math`; of the suites their means."""
    if isinstance(pair, PairOverModels):
        return f"{', '.join(pair.dev)} → {pair.unseen}"
    return "Suite means"


def line_sentences(pair: OverModels) -> list[str]:
    """What the line through the models and their order say, where there are two or more."""
    carried, line = pair.carried, pair.carried.carry_over
    exams = {row.rewritten.version for row in pair.rows if row.rewritten}
    said = ["the rewritten exams are not the same items"] if len(exams) > 1 else []
    if line.checkpoints < 2:
        return said
    said.append(carried.in_words)
    if line.reliability is not None and line.reliability < 0.995 and line.slope is not None:
        said.append(f"corrected for the noise of dev (reliability {line.reliability:.2f})")
    if carried.ranks is not None and line.checkpoints > 2:
        said.append(ranks_in_words(carried.ranks))
    return said


def ranks_in_words(ranks: RankAgreement) -> str:
    """Whether the models stand in the same order on both sides."""
    tau = "rank order, Kendall's tau"
    if ranks.ci_low is None or ranks.ci_high is None:
        return f"{tau} {with_ends(ranks.tau, None, None)}"
    told = ranks.same + ranks.reversed
    pairs = (
        f"of {ranks.pairs} pairs of models {told} differ beyond chance on both sides, {ranks.same} of "
        "these in the same order"
        if told
        else f"none of {ranks.pairs} pairs of models differs beyond chance on both sides"
    )
    ends = with_ends(ranks.tau, ranks.ci_low, ranks.ci_high)
    return f"{pairs} ({tau} {ends} for other items)"
