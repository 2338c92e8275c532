"""Our number of a published column, and whether its setting is the reported one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from olmes import stats
from olmes.comparison.eligibility import asked, is_limited
from olmes.comparison.model_scores import ModelScores
from olmes.records.record import Record
from olmes.records.schema import BROKEN, TaskResult
from olmes.reproduction.paper import Column, plain
from olmes.stats import Estimate
from olmes.types import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number of ours, and what it was measured with."""

    record: Record
    task: str
    subtask: str
    metric: str
    estimate: Estimate
    unit: Unit
    demo: bool
    differs: tuple[str, ...]
    """Why it is not of the reported setting, a clause each; empty where it is."""
    notes: tuple[str, ...]
    """What else a reader of it must know."""

    @property
    def result(self) -> TaskResult:
        """The task it is of."""
        return self.record.tasks[self.task]

    @property
    def max_tokens(self) -> int | None:
        """New tokens a response could have; None where none are generated, or no record says."""
        found = settings_of(self.result).get("max_tokens")
        return found if isinstance(found, int) and found > 1 else None


def measured(model: ModelScores, task: str, column: Column) -> Measured | str:
    """A model's number of a column, or in words why it has none.

    Of several records of the task that with the least against it counts, and of such the newest.
    """
    record = model.record_of(task)
    if record is None:
        reasons = [why for one in model.records if (why := one.run.not_run.get(task))]
        return next(iter(reasons), "not run")
    result = record.tasks[task]
    metric = column.metric or result.primary
    if metric not in result.metrics:
        return f"{record.id} has no {metric}"
    subtask, estimate = "", result.metrics[metric].estimate
    if column.subtasks:
        subtask, estimate = subtask_number(result, metric, column)
        if not subtask:
            return f"{record.id} has no sub-task {column.subtasks[0]}"
    if estimate is None:
        return f"{record.id} has no finite number"
    return Measured(
        record=record,
        task=task,
        subtask=subtask,
        metric=metric,
        estimate=estimate,
        unit=result.metrics[metric].unit,
        demo=result.demo,
        differs=tuple(differences(result, column, metric)),
        notes=tuple(notes_on(record, result)),
    )


def subtask_number(result: TaskResult, metric: str, column: Column) -> tuple[str, Estimate | None]:
    """A task's sub-task under one of the names that a column knows it by, and its number.

    The name is '' where there is none; of a sub-task that is divided the number is the unweighted mean
    of its parts.
    """
    by_name = {plain(name): name for name in result.subtasks}
    for one in column.subtasks:
        if name := by_name.get(plain(one)):
            score = result.subtasks[name].metrics.get(metric)
            return name, score.estimate if score else None
    parts = [by_name[plain(one)] for one in column.parts if plain(one) in by_name]
    if not parts or len(parts) < len(column.parts):
        return "", None
    scores = {part: result.subtasks[part].metrics.get(metric) for part in parts}
    numbers = {part: score.estimate for part, score in scores.items() if score}
    known = {part: number for part, number in numbers.items() if number}
    whole = len(known) == len(parts)
    return parts[0].partition(":")[0], stats.suite_mean(known) if whole else None


def differences(result: TaskResult, column: Column, metric: str) -> Iterator[str]:
    """What of a task's setting is not the reported one.

    It goes by the record: what `--set` changed, the fields of the formulation that the paper fixes,
    the items, the judge, and whether every response has a score.
    """
    if result.demo:
        yield "demo data, not the benchmark's items"
        return
    if result.metrics[metric].unit != "share":
        yield f"{metric} has values outside 0 to 1, so that it is no percentage"
    if not result.data.official:
        notes = " ".join(result.data.notes)
        yield notes or "the items are not known to be those of the official set"
    yield from formulation_differences(result, column)
    if column.judge:
        yield from judge_differences(result, column.judge)
    if column.differs:
        yield column.differs
    if broken := sum(result.said(flag) for flag in BROKEN):
        yield f"{broken:,} of {result.n:,} responses have no score"


def formulation_differences(result: TaskResult, column: Column) -> Iterator[str]:
    """Which fields of the formulation are not as reported, and what else was changed."""
    ours, named = settings_of(result), set()
    for name, wanted in column.formulation.items():
        if name in ours and ours[name] != wanted:
            named.add(name)
            yield f"{name} is {ours[name]}, reported {wanted}"
    others = [
        f"{key}={value}"
        for key, value in result.settings.items()
        if key.removeprefix("generation.") not in named
    ]
    if others:
        yield f"set: {', '.join(others)}"
    if not (result.standard or named or others):
        yield "not the standard formulation"


def judge_differences(result: TaskResult, reported: str) -> Iterator[str]:
    """That another model judged than the paper's, or none is named."""
    model = result.judge.model if result.judge else None
    if model is None:
        yield f"no judge is recorded, reported {reported}"
    elif plain(reported) not in plain(model.name):
        yield f"judged by {model.name}, reported {reported}"


def notes_on(record: Record, result: TaskResult) -> Iterator[str]:
    """Over how few items a number is, and what keeps a reader from trusting it."""
    if is_limited(record.run, result):
        yield f"over {asked(record.run, result):,} of {result.data.n:,} items"
    if cut := result.said("prompt_truncated"):
        yield f"{cut:,} prompts were cut from the left"


def settings_of(result: TaskResult) -> Mapping[str, Any]:
    """The fields of a formulation, those of its generation beside them."""
    generation = result.formulation.get("generation")
    return result.formulation | (generation if isinstance(generation, dict) else {})
