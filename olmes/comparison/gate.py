"""Whether a candidate may replace a baseline: no worse by more than a margin, task by task.

A test of non-inferiority: a task passes when the interval of the difference lies above minus the
margin. For a pass every task and the mean must pass, which needs no correction (intersection-union
test, Berger 1982). A task fails when its interval lies below minus the margin; any one makes the gate
fail, so that these intervals are corrected for how many there are (Bonferroni). The rest is
inconclusive: nothing was shown, one way or the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypedDict

from olmes import stats
from olmes.comparison.compare import Comparison, TaskComparison, UnpairedTask, compare_runs
from olmes.comparison.eligibility import UNRANKED, Reservation, reservations
from olmes.comparison.policy import MEAN, Policy
from olmes.records.record import Record
from olmes.stats import Difference, PairedDifference
from olmes.stats.intervals import at_level
from olmes.tools.appended_rows import append, readable_rows
from olmes.types import JsonObject, Unit

Outcome = Literal["pass", "fail", "inconclusive"]
EXIT_STATUS: dict[Outcome, int] = {"pass": 0, "fail": 1, "inconclusive": 3}
GATES = "gates.jsonl"
"""In the candidate's folder: a line for each time it was gated."""


class GateLine(TypedDict):
    """A line of `gates.jsonl`."""

    time: str
    outcome: Outcome
    baseline: str
    """The run's id."""
    baseline_model: str
    baseline_fingerprint: str
    policy: str
    """Its file; '' for the default one."""
    policy_hash: str
    scores: dict[str, Outcome]
    """By task; `mean` is the mean of the tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedScore:
    """A task, or the mean of the tasks, at the gate."""

    name: str
    outcome: Outcome
    reason: str
    """Why, in words."""
    required: bool
    unit: Unit
    higher_is_better: bool
    baseline: float | None = None
    candidate: float | None = None
    difference: float | None = None
    """Candidate less baseline."""
    ci_low: float | None = None
    """Of the interval that a pass goes by, at the policy's `alpha` on each side."""
    ci_high: float | None = None
    allowed: float | None = None
    """By how much it may be worse."""
    n: int | None = None
    needed: int | None = None
    """Of an inconclusive one: the items that would show a pass 4 times in 5, were the difference as
    measured."""
    notes: Sequence[str] = ()
    """What must be known about the comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What a gate says of a candidate."""

    outcome: Outcome
    baseline: str
    """The run's id; its model is `baseline_model`."""
    baseline_model: str
    candidate: str
    candidate_model: str
    policy: Policy
    scores: Sequence[GatedScore]
    """The tasks, then the mean."""
    notes: Sequence[str]

    @property
    def exit_status(self) -> int:
        """0 for a pass, 1 for a fail, 3 where nothing was shown."""
        return EXIT_STATUS[self.outcome]

    def to_json(self) -> JsonObject:
        """A JSON object with every field, the hash of the policy and the exit status."""
        from olmes.tools.as_json import as_json

        fields = {name: as_json(getattr(self, name)) for name in self.__slots__}
        return fields | {"policy_hash": self.policy.hash, "exit_status": self.exit_status}


def gate(a: Record, b: Record, policy: Policy | None = None) -> GateResult:
    """Hold run `b`, the candidate, against run `a`, the baseline, by a policy.

    Args:
        a: the baseline.
        b: the candidate.
        policy: how much worse the candidate may be; the default one where none is given.

    Raises:
        OlmesError: the policy names a task that neither run has, or samples are damaged.
    """
    policy = policy or Policy()
    policy.check_names(list(dict.fromkeys([*a.tasks, *b.tasks])))
    found = compare_runs(a, b)
    judge = Judge(a, b, policy, found)
    scores = list(judge.scores())
    return GateResult(
        outcome=outcome_of(scores),
        baseline=a.id,
        baseline_model=a.run.model.name,
        candidate=b.id,
        candidate_model=b.run.model.name,
        policy=policy,
        scores=scores,
        notes=list(judge.notes()),
    )


def outcome_of(scores: Sequence[GatedScore]) -> Outcome:
    """A fail anywhere is one; a pass needs that something was judged, and that all of it passed."""
    outcomes = {score.outcome for score in scores}
    if "fail" in outcomes:
        return "fail"
    return "pass" if outcomes == {"pass"} else "inconclusive"


def write_down(result: GateResult, candidate: Record, baseline: Record, policy_file: str) -> None:
    """Append a line to the candidate's `gates.jsonl`.

    Raises:
        OSError: the folder cannot be written to.
    """
    line: GateLine = {
        "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "outcome": result.outcome,
        "baseline": result.baseline,
        "baseline_model": result.baseline_model,
        "baseline_fingerprint": baseline.run.model.fingerprint,
        "policy": policy_file,
        "policy_hash": result.policy.hash,
        "scores": {score.name: score.outcome for score in result.scores},
    }
    append(candidate.folder / GATES, line)


def gates_of(record: Record) -> list[GateLine]:
    """The lines of a record's `gates.jsonl`, the oldest first; none where it was never gated."""
    return readable_rows(record.folder / GATES)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges what a comparison found by a policy."""

    a: Record
    b: Record
    policy: Policy
    found: Comparison

    @property
    def required(self) -> list[str]:
        """The tasks without which there is no pass."""
        named = self.policy.required
        names = list(self.a.tasks) if named is None else list(named)
        return [name for name in names if name not in self.policy.ignore]

    @property
    def compared(self) -> dict[str, TaskComparison | UnpairedTask]:
        """What was compared and is to be judged, by task."""
        tasks: list[TaskComparison | UnpairedTask] = [*self.found.tasks, *self.found.unpaired]
        return {task.name: task for task in tasks if task.name not in self.policy.ignore}

    @property
    def looks(self) -> int:
        """How many differences are judged, any of which can make the gate fail."""
        return max(1, len(self.compared) + (self.mean_wanted and self.found.suite is not None))

    @property
    def mean_wanted(self) -> bool:
        """Whether there is a mean beside the tasks, to be judged."""
        return MEAN not in self.policy.ignore and len(self.compared) > 1

    def scores(self) -> Iterator[GatedScore]:
        """The tasks in the baseline's order, required ones that are missing, and the mean."""
        for name, task in self.compared.items():
            yield self.judged(name, task)
        for name in self.required:
            if name not in self.compared:
                yield self.missing(name)
        if self.mean_wanted and self.found.suite is not None:
            yield self.judged_mean()

    def missing(self, name: str) -> GatedScore:
        """A required task that could not be compared."""
        refused = {task.name: task for task in self.found.refused}
        if name in refused:
            reason = f"not comparable: {' and '.join(refused[name].reasons)}"
        else:
            lacks = [
                word
                for word, run in (("the baseline", self.a), ("the candidate", self.b))
                if name not in run.tasks
            ]
            reason = f"{' and '.join(lacks)} has no such task"
        return GatedScore(
            name=name, outcome="inconclusive", reason=reason, required=True, unit="share",
            higher_is_better=True,
        )  # fmt: skip

    def judged(self, name: str, task: TaskComparison | UnpairedTask) -> GatedScore:
        """A task that was compared."""
        kept = self.kept(name)
        unusable = [one.sentence for one in kept if one.kind in UNRANKED]
        notes = [one.sentence for one in kept if one.kind not in UNRANKED]
        if isinstance(task, TaskComparison):
            if task.only_a or task.only_b:
                alone = f"{task.only_a} only in A, {task.only_b} only in B"
                notes.append(f"on the {task.n:,} items of both; {alone}")
            n: int | None = task.n
        else:
            notes.append("not paired: samples are missing")
            n = None
        return self.score(
            name, task.difference, task.unit, task.higher_is_better, n=n, notes=notes,
            unusable="; ".join(unusable),
        )  # fmt: skip

    def judged_mean(self) -> GatedScore:
        """The mean of the tasks that were paired."""
        suite = self.found.suite
        assert suite is not None
        unit: Unit = "share" if suite.difference.is_share else "number"
        left = [name for name in self.required if name not in suite.tasks]
        return self.score(
            MEAN, suite.difference, unit, suite.difference.higher_is_better, n=None,
            notes=[f"of {len(suite.tasks)} tasks"],
            unusable=f"it lacks {', '.join(left)}" if left else "",
            values=(suite.baseline, suite.candidate),
        )  # fmt: skip

    def score(
        self,
        name: str,
        difference: PairedDifference | Difference | None,
        unit: Unit,
        higher_is_better: bool,
        *,
        n: int | None,
        notes: Sequence[str],
        unusable: str,
        values: tuple[float, float] | None = None,
    ) -> GatedScore:
        """A difference held against what the policy allows."""
        policy = self.policy
        before, after = values or self.values(name, difference)
        own = policy.mean if name == MEAN else policy.allowance(name)
        allowed = None if before is None else policy.allowed(own, unit, before)
        value = None
        if difference is not None:
            paired = isinstance(difference, PairedDifference)
            value = difference.difference if paired else difference.value  # type: ignore[union-attr]
        low, high = at_level(difference, policy.alpha) if difference else (None, None)
        least, most = (
            at_level(difference, policy.alpha / self.looks) if difference else (None, None)
        )
        sign = 1 if higher_is_better else -1
        outcome: Outcome = "inconclusive"
        needed = None
        if unusable:
            reason = unusable
        elif low is not None and high is not None and min(sign * low, sign * high) > 0:
            outcome, reason = "pass", "better, whatever the margin"
        elif allowed is None:
            where = "[mean]" if name == MEAN else f"[tasks.{name}]"
            reason = f"the policy has no margin for a number; add {where} with margin or relative"
        elif low is None or high is None or least is None or most is None:
            reason = "no interval from so few items"
        elif min(sign * low, sign * high) > -allowed:
            outcome, reason = "pass", "no worse by more than the margin"
        elif max(sign * least, sign * most) < -allowed:
            outcome, reason = "fail", "worse by more than the margin"
        else:
            reason = "too few items to tell"
            needed = items_for(difference, sign, allowed)
        return GatedScore(
            name=name, outcome=outcome, reason=reason, required=name in self.required, unit=unit,
            higher_is_better=higher_is_better, baseline=before, candidate=after, difference=value,
            ci_low=low, ci_high=high, allowed=allowed, n=n, needed=needed, notes=notes,
        )  # fmt: skip

    def values(
        self, name: str, difference: PairedDifference | Difference | None
    ) -> tuple[float | None, float | None]:
        """Both scores, on the items of both runs where these were paired."""
        if isinstance(difference, PairedDifference):
            return difference.baseline, difference.candidate
        return self.a.tasks[name].score.value, self.b.tasks[name].score.value

    def kept(self, name: str) -> list[Reservation]:
        """What the task's number in either run is not, each kind once."""
        found = [one for run in (self.a, self.b) for one in reservations(run.run, [name])]
        return list({one.kind: one for one in found}.values())

    def notes(self) -> Iterator[str]:
        """What was not judged, and why."""
        for refused in self.found.refused:
            if refused.name not in (*self.required, *self.policy.ignore):
                yield f"{refused.name} is not judged: {' and '.join(refused.reasons)}"
        for word, names in zip(("baseline", "candidate"), self.found.only, strict=True):
            others = [name for name in names if name not in (*self.required, *self.policy.ignore)]
            if others:
                yield f"only the {word} has {', '.join(others)}; not judged"
        if self.policy.ignore:
            yield f"ignored: {', '.join(self.policy.ignore)}"
        if self.mean_wanted and self.found.suite is None:
            yield "no mean is judged: the tasks have no unit or direction in common"


def items_for(
    difference: PairedDifference | Difference | None, sign: int, allowed: float
) -> int | None:
    """How many items would show a pass 4 times in 5; None where even a perfect test would not."""
    if not isinstance(difference, PairedDifference) or difference.item_variance is None:
        return None
    room = sign * difference.difference + allowed
    return stats.items_needed(room, difference.item_variance) if room > 0 else None
