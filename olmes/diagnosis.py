"""What the format cost: answers that a lenient reading calls right and the protocol's metric does not.

Tülu 3 (section 7.4.1) found models to lose on unseen mathematics not by wrong answers but by LaTeX
where plain text was asked for. The counts are made when the record is written, because the samples
of a held-out suite stay sealed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from olmes.record import Row
from olmes.task import Task

LATEX = re.compile(r"\\[A-Za-z]+|\\[(\[]|\$")
TAIL = 300
"""Characters of a response's end in which the form of its answer is looked for."""
WHY_WRONG = ("truncated", "refusal", "empty", "unparsed")
"""Flags by which answers that no reading calls right are told apart."""


def diagnose(task: Task, rows: Sequence[Row]) -> dict[str, Any]:
    """How a task's wrong answers came about.

    Returns:
        `n` scored responses; `wrong` of them by the primary metric; `lost` of these that an honest
        metric calls right, with `lost_by` (latex, closing_phrase, truncated, other); and `flags` of
        the wrong ones. `lost` is None for a task without an honest metric.
    """
    honest = [metric.name for metric in task.metrics if metric.honest and not metric.over_parts]
    scored = [row for row in rows if task.primary in row["values"]]
    wrong = [row for row in scored if not row["values"][task.primary]]
    lost = [row for row in wrong if any(row["values"].get(name) == 1 for name in honest)]
    reasons = Counter(reason(row) for row in lost)
    flags = Counter(flag for row in wrong for flag in row["flags"] if flag in WHY_WRONG)
    return {
        "n": len(scored),
        "wrong": len(wrong),
        "lost": len(lost) if honest else None,
        "lost_by": dict(sorted(reasons.items())),
        "flags": {flag: flags[flag] for flag in WHY_WRONG},
    }


def reason(row: Row) -> str:
    """Why the protocol's metric did not see a right answer."""
    if "truncated" in row["flags"]:
        return "truncated"
    # Where the gold itself is LaTeX, the answer is asked for in it.
    if not LATEX.search(str(row.get("gold", ""))) and LATEX.search(end_of(row)):
        return "latex"
    return "closing_phrase" if {"misformatted", "unparsed"} & set(row["flags"]) else "other"


def end_of(row: Row) -> str:
    """The end of a response, where its answer stands."""
    return str((row["response"] or {}).get("text", ""))[-TAIL:]
