"""The watch for a policy that games its reward: the reward rises, and what it stands for falls.

After each checkpoint the log is compared with the scores: the mean that the recipe scores by, each
task of it, and the constraints that no reward is given for (kinds of instructions that no row of the
training asks for; Tülu 3, appendix B.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from transformers import TrainerCallback

from olmes.stats import Alarm
from olmes.tools import jsonl
from olmes.tools.appended_rows import append, readable_rows
from olmes.trainers.checkpoints.results import ScoreRow
from olmes.trainers.rewards.series import WatchedSeries
from olmes.trainers.train_log import (
    FILE,
    LogRow,
    read_log,
    scored,
    step_of,
)

ALARMS = "alarms.jsonl"
MET = "held_out_constraints.jsonl"
OTHERS = {
    "length": ("completions/mean_length", "response_tokens"),
    "KL": ("kl",),
    "different runs of three": ("completions/distinct_3", "distinct_3grams"),
}
"""What else an alarm reports, and its names in the logs of GRPO and PPO."""

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
    """What got worse: the mean score, a task, or the held-out constraints."""
    since: int
    """Step of the checkpoint from which on it did."""
    reward_from: float
    reward_to: float
    score_from: float
    score_to: float
    others: Mapping[str, tuple[float, float]]
    """Length, KL and repetition, before and since, as far as the log has them."""

    def __str__(self) -> str:
        worsens = "falls" if self.score_to < self.score_from else "rises"  # a loss gets worse so
        others = "".join(f", {name} {a:.3g} -> {b:.3g}" for name, (a, b) in self.others.items())
        return (
            f"since step {self.since} the reward rises ({self.reward_from:.3g} -> "
            f"{self.reward_to:.3g}) while {self.what} {worsens} ({self.score_from:.3g} -> "
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
        self.request_hash = request_hash
        self.say = say
        self.watched = WatchedSeries(trained)

    def check(self, state: Any) -> None:
        """Compare the log with the scores."""
        if not state.is_world_process_zero:
            return
        rows = self.rows()
        met = [
            {"step": step, "held_out_constraints": share.value, "stderr": share.stderr}
            for step, share in self.watched.shares(rows)
        ]
        if met:
            jsonl.write(self.out / MET, met)
        alarms = self.watched.alarms(rows, planned_checkpoints(state))
        raised = {(row.get("what"), row.get("since")) for row in read_alarms(self.out)}
        for found in watch_rewards(read_log(self.out / FILE), alarms):
            if (found.what, found.since) in raised:
                continue
            self.say(f"ALARM: {found}")
            row = {"step": state.global_step, "what": found.what, "since": found.since}
            append(self.out / ALARMS, {**row, "text": str(found)})

    def rows(self) -> list[ScoreRow]:
        """The scores of this training's own request."""
        return [row for row in scored(self.out, self.store) if row["ask"] == self.request_hash]

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Check the scores that have come in."""
        self.check(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Check all of them."""
        self.check(state)


def planned_checkpoints(state: Any) -> int | None:
    """How many checkpoints a training will write, the last update's included; None if not known."""
    last, every = int(state.max_steps), int(state.save_steps)
    return math.ceil(last / every) if last > 0 and every > 0 else None


def read_alarms(out: Path) -> list[AlarmRow]:
    """The alarms that were raised in a stage's folder."""
    return readable_rows(out / ALARMS)


def watch_rewards(log: Log, alarms: Mapping[str, Alarm]) -> list[Hacking]:
    """Where the reward rises while what it stands for falls (Tülu 3, appendix B.4)."""
    found = (watch_reward(log, alarm, name) for name, alarm in alarms.items())
    return [one for one in found if one is not None]


def watch_reward(log: Log, alarm: Alarm, what: str) -> Hacking | None:
    """Whether a series has fallen, and the mean reward since then is above the mean before.

    Args:
        log: rows of `train_log.jsonl`, with `step` and `reward`.
        alarm: of the series; its checkpoints are named by their steps.
        what: name of the series.
    """
    if not alarm.raised:
        return None
    fall = alarm.fall
    since, step = int(fall.since), int(alarm.latest)
    before = between(log, ("reward",), 0, since)
    after = between(log, ("reward",), since, step)
    if before is None or after is None or after <= before:
        return None
    others = {}
    for name, keys in OTHERS.items():
        ends = between(log, keys, 0, since), between(log, keys, since, step)
        if ends[0] is not None and ends[1] is not None:
            others[name] = (ends[0], ends[1])
    return Hacking(
        what=what, since=since, reward_from=before, reward_to=after, score_from=fall.before,
        score_to=fall.after, others=others,
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
