"""What the format cost: the diagnosis of a record's tasks, ready to be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from olmes.records import diagnosis as engine
from olmes.records.schema import DiagnosisCounts, ResponseRow, TaskResult
from olmes.records.shown import MISSING, shown
from olmes.reports import numbers
from olmes.reports.links import Link

REASONS = {
    "latex": "LaTeX where plain was asked",
    "closing_phrase": "closing phrase missing",
    "truncated": "cut at the token limit",
    "other": "other",
}
"""Why a protocol's metric did not see a right answer."""
FLAGS = {
    "unfinished_thinking": "unfinished thinking",
    "truncated": "truncated",
    "refusal": "refusal",
    "empty": "empty",
    "unparsed": "unparsed",
    "thought_marks": "marks of a thought",
}
"""What else is known of wrong answers."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number, its share in words, and the samples behind it."""

    text: str
    share: str
    word: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatCost:
    """One task's diagnosis."""

    title: str
    n: str
    wrong: Count
    lost: Count | None
    """None for a task without a lenient reading."""
    bar: numbers.Bar | None
    """Share of all responses that are lost to the format."""
    reasons: tuple[Count, ...]
    flags: tuple[Count, ...]


def format_cost(title: str, diagnosis: DiagnosisCounts, link: Link, **filters: str) -> FormatCost:
    """A task's diagnosis as it is shown.

    Args:
        title: of the task.
        diagnosis: as the record has it.
        link: makes the links to the samples.
        filters: the task, as the links name it.
    """
    n, lost = diagnosis.n, diagnosis.lost

    def counted(number: int, word: str = "", **more: str) -> Count:
        share = f"{shown(number / n, 'share')} %" if n else MISSING
        return Count(numbers.count(number), share, word, link(**filters, **more))

    return FormatCost(
        title=title,
        n=numbers.count(n),
        wrong=counted(diagnosis.wrong, verdict="wrong"),
        lost=None if lost is None else counted(lost, verdict="wrong", flag="disputed"),
        bar=None if lost is None or not n else numbers.bar(lost / n, None, None, "share"),
        reasons=tuple(
            counted(number, in_words(reason), flag=f"lost_{reason}")
            for reason, number in _in_order(diagnosis.lost_by, REASONS)
        ),
        flags=tuple(
            counted(number, FLAGS.get(flag, flag), verdict="wrong", flag=flag)
            for flag, number in _in_order(diagnosis.flags, FLAGS)
        ),
    )


def in_words(reason: str) -> str:
    """A reason as it is shown; of an instruction's id the name without its family."""
    return REASONS.get(reason) or reason.rpartition(":")[2].replace("_", " ")


def flag_lost(row: ResponseRow, task: TaskResult) -> ResponseRow:
    """A sample with a flag that says how the format cost it its score, where it did.

    Args:
        row: the sample.
        task: what it is a sample of.
    """
    values = row["values"]
    honest = (values.get(name) for name, metric in task.metrics.items() if metric.honest)
    if values.get(task.primary, 1) or not any(value == 1 for value in honest):
        return row
    return {**row, "flags": [*row["flags"], f"lost_{engine.reason(row)}"]}


def _in_order(counts: dict[str, int], order: Iterable[str]) -> list[tuple[str, int]]:
    """The counts that are not 0, the known kinds first and in their order."""
    known = [kind for kind in order if kind in counts]
    return [
        (kind, counts[kind])
        for kind in [*known, *(kind for kind in counts if kind not in known)]
        if counts[kind]
    ]
