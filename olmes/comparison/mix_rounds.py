"""The rounds of a mix as texts: one answer for the terminal, the page and the tables of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from olmes.benchmark.suite import Pair
from olmes.comparison.ablations import MEAN, AblationColumn, AblationRow, Ablations
from olmes.comparison.compare import CONDITIONAL
from olmes.comparison.mix_advice import Advice
from olmes.records.shown import LOWER, NUMBER, difference_interval, shown, shown_difference
from olmes.stats.verdicts import GLYPHS

DEV_ALONE = "decided by dev alone: the recipe allows no look at a held-out suite"
DEV_DECIDES = (
    "what is proposed is decided by dev alone; the unseen scores stand beside it and decide nothing"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixRound:
    """One round: its ablations, and what they speak for."""

    number: int
    dev: Ablations
    unseen: Ablations | None
    """The same variants on the held-out suite; None where no look was allowed."""
    pairs: tuple[Pair, ...]
    """Tasks of dev and the unseen task that asks for the same skill."""
    advice: tuple[Advice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixReport:
    """All finished rounds of a mix."""

    name: str
    stage: str
    rounds: tuple[MixRound, ...]
    over_rounds: Ablations | None
    """The full mixtures of the rounds, held against the first; None of one round."""
    proposed: str
    """The file of the next mix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixCell:
    """A variant on a task."""

    score: str
    difference: str = ""
    """From the full mixture, with its sign; '' in the full mixture's own row."""
    interval: str = ""
    p: str = ""
    """Corrected by Holm over all tests of the round."""
    glyph: str = ""
    verdict: str = ""

    @property
    def line(self) -> str:
        """All that a narrow table has room for: `71.2 (+3.4 ▲)`."""
        return f"{self.score} ({self.difference} {self.glyph})" if self.difference else self.score


def head_of(column: AblationColumn) -> str:
    """What a table calls a column: the mean, or the task's name with its signs."""
    name = "mean" if column.name == MEAN else column.name
    signs = [LOWER] if not column.higher_is_better else []
    return " ".join([name, *signs, *([NUMBER] if column.unit == "number" else [])])


def cell_of(row: AblationRow, column: AblationColumn) -> MixCell:
    """One of them."""
    score = shown(row.scores.get(column.name), column.unit)
    one = row.differences.get(column.name)
    if one is None:
        return MixCell(score=score)
    return MixCell(
        score=score,
        difference=shown_difference(one.difference, column.unit),
        interval=difference_interval(one.ci_low, one.ci_high, column.unit),
        p="< 0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}",
        glyph=GLYPHS[one.verdict],
        verdict=one.verdict,
    )


def notes_of(found: Ablations) -> list[str]:
    """What must be known of a table."""
    said = [
        f"differences are from the first row, on the same items, with 95 % intervals; p-values "
        f"corrected by Holm over all {found.tests} tests of the table",
        "▲ better, ▼ worse, = tied within a point, · not enough data, which never means no difference",
    ]
    if found.seeds == 1:
        said.append(
            "one seed: " + CONDITIONAL[0].lower() + CONDITIONAL[1:].rstrip(".") + "; with "
            "'mix.seeds' of 2 or more the intervals hold for other seeds too"
        )
    else:
        noisy = [
            f"{head_of(column)} {shown(column.noise.variance**0.5, column.unit)}"
            for column in found.columns
            if column.noise
        ]
        said.append(
            f"means over {found.seeds} seeds, paired by item and seed; the intervals hold for other "
            f"items and other seeds (standard deviation of one training: {', '.join(noisy)})"
        )
    said += [one.rstrip(".") for one in found.reservations]
    for name, why in found.not_compared.items():
        said.append(f"{name} is not compared: {why}")
    if found.demo_data:
        said.append(
            f"{', '.join(found.demo_data)}: scored on built-in demo data, which show that all works "
            "and nothing of a mixture"
        )
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTable:
    """Development beside unseen, as the paper's Table 32 has it."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The variant's name, then `dev / unseen` by pair, the average first."""


def pair_table(one: MixRound) -> PairTable | None:
    """Dev and unseen scores of every variant side by side; None where nothing was looked at."""
    if one.unseen is None:
        return None
    dev = {column.name: column for column in one.dev.columns if column.name != MEAN}
    unseen = {column.name: column for column in one.unseen.columns}
    pairs = [
        (tuple(name for name in pair.dev if name in dev), pair.unseen)
        for pair in one.pairs
        if pair.unseen in unseen and any(name in dev for name in pair.dev)
    ]
    if not pairs:
        return None
    shares = all(dev[name].unit == "share" for names, _ in pairs for name in names) and all(
        unseen[name].unit == "share" for _, name in pairs
    )
    averaged = shares and len(pairs) > 1
    rows = []
    for ours, theirs in zip(one.dev.rows, one.unseen.rows, strict=True):
        halves = [
            (fmean(ours.scores[name] for name in names), theirs.scores[name_unseen])
            for names, name_unseen in pairs
        ]
        cells = [
            f"{shown(first, dev[names[0]].unit)} / {shown(second, unseen[name].unit)}"
            for (first, second), (names, name) in zip(halves, pairs, strict=True)
        ]
        if averaged:
            first, second = (fmean(half) for half in zip(*halves, strict=True))
            cells.insert(0, f"{shown(first, 'share')} / {shown(second, 'share')}")
        rows.append((ours.variant.name, *cells))
    heads = [f"{', '.join(names)} / {name}" for names, name in pairs]
    return PairTable(heads=("mix", *(["average"] if averaged else []), *heads), rows=tuple(rows))


def rows_text(row: AblationRow) -> str:
    """`chats 120, math 80`: how many rows of each source a variant trains on."""
    return ", ".join(f"{name} {count:,}" for name, count in row.variant.rows.items())


def advice_line(one: Advice) -> str:
    """A source's weights and the reason, in one line."""
    before, after = f"{one.weight:g}", f"{one.proposed:g}" if one.proposed else "left out"
    arrow = f"{before} → {after}" if one.changes else f"{before} stays"
    return f"{one.source}: {arrow}. {one.reason[:1].upper()}{one.reason[1:]}."


def changes_text(advice: Sequence[Advice]) -> str:
    """What is proposed, in one line."""
    changed = [
        f"{one.source} {one.weight:g} → {f'{one.proposed:g}' if one.proposed else 'left out'}"
        for one in advice
        if one.changes
    ]
    return ", ".join(changed) or "no change: every source keeps its weight"
