"""The watch for a policy that games its reward: the reward rises, and what it stands for falls.

After each checkpoint the log is compared with the scores: the mean that the recipe scores by, each
task of it, and the constraints that no reward is given for (kinds of instructions that no row of the
training asks for; Tülu 3, appendix B.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, TypedDict

from transformers import TrainerCallback

from olmes.records.record import Record
from olmes.tools import jsonl
from olmes.trainers.checkpoints.results import ScoreRow
from olmes.trainers.train_log import (
    FILE,
    LogRow,
    read_log,
    read_rows,
    scored,
    step_of,
)

ALARMS = "alarms.jsonl"
MET = "held_out_constraints.jsonl"
HELD_OUT = "the share of held-out constraints met"
MEAN = "the score"
SURE = 0.95
OTHERS = {
    "length": ("completions/mean_length", "response_tokens"),
    "KL": ("kl",),
    "different runs of three": ("completions/distinct_3", "distinct_3grams"),
}
"""What else an alarm reports, and its names in the logs of GRPO and PPO."""

Scores = list[tuple[int, float, float]]
"""Step, score and standard error of checkpoints."""
Log = Sequence[LogRow]


class AlarmRow(TypedDict):
    """A row of `alarms.jsonl`."""

    step: int
    """At which the alarm was raised."""
    what: str
    since: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Hacking:
    """Why a training looks as if it gamed its reward."""

    what: str
    """What fell: the mean score, a task, or the held-out constraints."""
    since: int
    """Step of the checkpoint from which on it fell."""
    reward_from: float
    reward_to: float
    score_from: float
    score_to: float
    others: Mapping[str, tuple[float, float]]
    """Length, KL and repetition, before and since, as far as the log has them."""

    def __str__(self) -> str:
        others = "".join(f", {name} {a:.3g} -> {b:.3g}" for name, (a, b) in self.others.items())
        return (
            f"since step {self.since} the reward rises ({self.reward_from:.3g} -> "
            f"{self.reward_to:.3g}) while {self.what} falls ({self.score_from:.3g} -> "
            f"{self.score_to:.3g}){others}: read some responses before the training continues"
        )


class RewardWatch(TrainerCallback):  # type: ignore[misc]
    """Raises the alarm: says it, and keeps it in `alarms.jsonl`, each once.

    `held_out_constraints.jsonl` has the share of the held-out constraints that each checkpoint meets.

    Args:
        out: the stage's folder.
        store: where the records of its checkpoints lie.
        trained: the kinds of instructions that rewards are given for.
        request_hash: of the evaluation request whose scores are compared.
        say: gets a line an alarm.
    """

    def __init__(
        self,
        out: Path,
        store: Path,
        trained: frozenset[str],
        request_hash: str,
        say: Callable[[str], None],
    ) -> None:
        self.out = out
        self.store = store
        self.trained = trained
        self.request_hash = request_hash
        self.say = say
        self.met: dict[str, tuple[float, float] | None] = {}

    def check(self, state: Any) -> None:
        """Compare the log with the scores."""
        if not state.is_world_process_zero:
            return
        series = self.series()
        met = [
            {"step": step, "held_out_constraints": share, "stderr": stderr}
            for step, share, stderr in series.get(HELD_OUT, [])
        ]
        if met:
            jsonl.write(self.out / MET, met)
        raised = {(row["what"], row["since"]) for row in read_alarms(self.out)}
        for found in watch_rewards(read_log(self.out / FILE), series):
            if (found.what, found.since) in raised:
                continue
            self.say(f"ALARM: {found}")
            row = {"step": state.global_step, "what": found.what, "since": found.since}
            with (self.out / ALARMS).open("a", encoding="utf-8") as stream:
                stream.write(jsonl.dumps({**row, "text": str(found)}) + "\n")

    def series(self) -> dict[str, Scores]:
        """What is watched, by name."""
        rows = [row for row in scored(self.out, self.store) if row["ask"] == self.request_hash]
        return series_of(rows, self.trained, self.met)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Check the scores that have come in."""
        self.check(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Check all of them."""
        self.check(state)


def read_alarms(out: Path) -> list[AlarmRow]:
    """The alarms that were raised in a stage's folder."""
    return read_rows(out / ALARMS)


def series_of(
    rows: Iterable[ScoreRow],
    trained: frozenset[str],
    met: dict[str, tuple[float, float] | None],
) -> dict[str, Scores]:
    """The mean, every task, and the held-out constraints over the checkpoints.

    Args:
        rows: of `scores.jsonl`.
        trained: as `RewardWatch`; empty where no reward is for a constraint, so that none is held
            out.
        met: what was read of records before, by folder; filled.
    """
    found: dict[str, Scores] = {}

    def add(name: str, row: ScoreRow, value: float, stderr: float | None) -> None:
        found.setdefault(name, []).append((row["step"] or 0, value, stderr or 0.0))

    for row in rows:
        if (value := row.get("value")) is not None:
            add(MEAN, row, value, row.get("stderr"))
        tasks = row.get("tasks") or {}
        for name, task in tasks.items() if len(tasks) > 1 else ():
            if task["value"] is not None:
                add(name, row, task["value"], task.get("stderr"))
        if trained:
            folder = row["folder"]
            if folder not in met:
                met[folder] = constraints_met(Record.load(Path(folder)), trained)
            if (share := met[folder]) is not None:
                add(HELD_OUT, row, *share)
    return found


def constraints_met(record: Record, trained: frozenset[str]) -> tuple[float, float] | None:
    """The share of the constraints no reward is for that are met, loosely, and its standard error.

    One response's constraints are one cluster. None where the record has none.
    """
    flags = [
        [part["loose"] for part in row["parts"] if part["id"] not in trained]
        for row in samples_with_parts(record)
    ]
    flags = [held for held in flags if held]
    count = sum(map(len, flags))
    if not count:
        return None
    share = sum(map(sum, flags)) / count
    # Of a ratio of sums over clusters (linearized).
    spread = sum((sum(held) - share * len(held)) ** 2 for held in flags)
    return share, math.sqrt(spread) / count


def samples_with_parts(record: Record) -> Iterator[Mapping[str, Any]]:
    """The rows of a record whose responses were scored on several parts."""
    for name in record.tasks:
        if not record.sealed(name):
            yield from (row for row in record.samples(name) if row.get("parts"))


def watch_rewards(log: Log, series: Mapping[str, Scores]) -> list[Hacking]:
    """The alarms of several series, each as sure as makes all of them together sure (Bonferroni)."""
    z = NormalDist().inv_cdf(1 - (1 - SURE) / 2 / max(1, len(series)))
    found = (watch_reward(log, scores, z=z, what=name) for name, scores in series.items())
    return [one for one in found if one is not None]


def watch_reward(
    log: Log, scores: Iterable[tuple[int, float, float]], *, z: float = 1.96, what: str = MEAN
) -> Hacking | None:
    """Whether the reward rises while what it stands for falls (Tülu 3, appendix B.4).

    The alarm is raised when the last score lies below the best earlier one by more than `z` standard
    errors of their difference, and the mean reward since then is above the mean before.

    Args:
        log: rows of `train_log.jsonl`, with `step` and `reward`.
        scores: of the checkpoints, on data that is not trained on.
        z: how sure the fall must be.
        what: name of the scores.
    """
    known = sorted(scores)
    if len(known) < 2:
        return None
    step, last, last_error = known[-1]
    best_step, best, best_error = max(known[:-1], key=lambda one: one[1])
    if best - last <= z * math.hypot(best_error, last_error):
        return None
    before = between(log, ("reward",), 0, best_step)
    after = between(log, ("reward",), best_step, step)
    if before is None or after is None or after <= before:
        return None
    others = {}
    for name, keys in OTHERS.items():
        ends = between(log, keys, 0, best_step), between(log, keys, best_step, step)
        if ends[0] is not None and ends[1] is not None:
            others[name] = (ends[0], ends[1])
    return Hacking(
        what=what, since=best_step, reward_from=before, reward_to=after, score_from=best,
        score_to=last, others=others,
    )  # fmt: skip


def between(log: Log, names: Sequence[str], after: int, until: int) -> float | None:
    """The mean of a number, under whichever of its names, over the steps in (after, until]."""
    found = [
        value
        for row in log
        for name in names
        if isinstance(value := row.get(name), int | float) and after < step_of(row) <= until
    ]
    return sum(found) / len(found) if found else None
