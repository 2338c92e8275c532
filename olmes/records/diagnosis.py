"""What the format cost: answers that a lenient reading calls right and the protocol's metric does not.

Tülu 3 (section 7.4.1) found models to lose on unseen mathematics not by wrong answers but by LaTeX
where plain text was asked for. The counts are made when the record is written, because the samples
of a held-out suite stay sealed.
"""

from __future__ import annotations

import re
from collections import Counter

from olmes.benchmark.task import Task
from olmes.records.schema import DiagnosisCounts, ResponseRow

LATEX = re.compile(r"\\[A-Za-z]+|\\[(\[]|\$")
TAIL = 300
"""Characters of a response's end in which the form of its answer is looked for."""
WHY_WRONG = ("truncated", "refusal", "empty", "unparsed")
"""Flags that tell apart the answers which no reading calls right."""
OF_THOUGHTS = ("unfinished_thinking", "thought_marks")
"""Those that only models which think can have; named where there are any."""


class Diagnosis:
    """How a task's wrong answers came about, from rows that are added one by one and not kept."""

    def __init__(self, task: Task) -> None:
        self.primary = task.primary
        self.honest = [m.name for m in task.metrics if m.honest and not m.over_parts]
        self.scored = self.wrong = 0
        self.lost_by: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()

    def add(self, row: ResponseRow) -> None:
        """Count one row in."""
        values = row["values"]
        if self.primary not in values:
            return
        self.scored += 1
        if values[self.primary]:
            return
        self.wrong += 1
        for flag in row["flags"]:
            self.flags[flag] += 1
        if any(values.get(name) == 1 for name in self.honest):
            self.lost_by[reason(row)] += 1

    def counted(self) -> DiagnosisCounts:
        """What is known of the rows so far.

        `lost` is None for a task without an honest metric; `lost_by` has latex, closing_phrase,
        truncated and other, and for instructions the id of the check.
        """
        return DiagnosisCounts(
            n=self.scored,
            wrong=self.wrong,
            lost=self.lost_by.total() if self.honest else None,
            lost_by=dict(sorted(self.lost_by.items())),
            flags={flag: self.flags[flag] for flag in WHY_WRONG}
            | {flag: self.flags[flag] for flag in OF_THOUGHTS if self.flags[flag]},
        )


def reason(row: ResponseRow) -> str:
    """Why the protocol's metric did not see a right answer.

    Of a response to instructions it is the id of the first one that is met as it is stated and missed
    by the published check.
    """
    for part in row.get("parts", []):
        if part.get("stated") and not part["loose"]:
            return part["id"]
    if "truncated" in row["flags"]:
        return "truncated"
    # Where the gold itself is LaTeX, the answer is asked for in it.
    if not LATEX.search(str(row.get("gold", ""))) and LATEX.search(end_of(row)):
        return "latex"
    return "closing_phrase" if {"misformatted", "unparsed"} & set(row["flags"]) else "other"


def end_of(row: ResponseRow) -> str:
    """The end of a response, where its answer stands."""
    response = row["response"]
    return response["text"][-TAIL:] if response else ""
