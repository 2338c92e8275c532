"""The scores of checkpoints, with their intervals, to the trackers that have the training's log.

They arrive after the fact, so each goes to its checkpoint's own step:

    score/gsm8k, score/gsm8k_low, score/gsm8k_high      a task's primary metric and its interval
    score/dev, score/dev_low, score/dev_high            the suite's mean

A held-out suite's numbers are there only after its look is in the ledger, since it was scored then.
Responses are never sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.checkpoints.results import Numbers, ScoreRow
from olmes.trainers.trackers.callbacks import Tracker
from olmes.trainers.trackers.memory import Memory
from olmes.trainers.train_log import scored


class SendScores(TrainerCallback):  # type: ignore[misc]
    """Sends each score once, as soon as the training looks: at every row of the log, and at the end.

    Args:
        out: the stage's folder.
        store: where the records of its checkpoints lie.
        trackers: that get them.
        memory: of what was sent.
    """

    def __init__(self, out: Path, store: Path, trackers: Sequence[Tracker], memory: Memory) -> None:
        self.out = out
        self.store = store
        self.trackers = list(trackers)
        self.memory = memory
        self.file = training_folder(store, out) / "scores.jsonl"
        self.seen = 0

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Look for new scores."""
        self.send_new()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Look for new scores."""
        self.send_new()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Look once more; the hook has waited for the last score by now, where it waits."""
        self.send_new()

    def waiting(self) -> list[ScoreRow]:
        """The scores that have arrived and were not sent."""
        changed = self.file.stat().st_mtime_ns if self.file.is_file() else 0
        if changed == self.seen:
            return []
        self.seen = changed
        known = set(self.memory.sent)
        return [row for row in scored(self.out, self.store) if key_of(row) not in known]

    def send_new(self) -> int:
        """Send what has arrived since the last time; how many checkpoints that are."""
        new = self.waiting()
        for row in new:
            for tracker in self.trackers:
                tracker.send(row["step"] or 0, numbers_of(row))
            self.memory.sent.append(key_of(row))
        if new:
            self.memory.write()
        return len(new)


def key_of(row: ScoreRow) -> str:
    """What tells one score from another: a checkpoint that is written again is scored again."""
    return f"{row['checkpoint']} {row['ask']} {row['ended']}"


def numbers_of(row: ScoreRow) -> dict[str, float]:
    """The numbers of a checkpoint by the names that trackers show, in the units of its record."""
    found = named(row["suite"], row)
    for task, score in row["tasks"].items():
        found |= named(task, score)
    return found


def named(name: str, score: Numbers | Mapping[str, Any]) -> dict[str, float]:
    """A number and its interval; nothing of what is not known."""
    parts = {"": score["value"], "_low": score["ci_low"], "_high": score["ci_high"]}
    return {f"score/{name}{end}": float(v) for end, v in parts.items() if v is not None}
