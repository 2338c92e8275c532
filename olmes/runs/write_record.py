"""Writing the record of a run: samples, then `run.json` (docs/record.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import UNSET

from olmes.benchmark.task import Task
from olmes.judging.stage import JudgementCounts, Judging
from olmes.models.base import Model
from olmes.models.checkpoint.lineage import family, lineage, training_step
from olmes.records.aggregate import TaskNumbers, suite_mean, suite_unit
from olmes.records.diagnosis import Diagnosis
from olmes.records.environment import environment, program
from olmes.records.reasons import why
from olmes.records.record import RUN_FILE, Record
from olmes.records.schema import (
    SCHEMA,
    Cost,
    HeldOut,
    Reason,
    RecordedModel,
    RecordedPair,
    ResponseRow,
    RunRecord,
    SuiteResult,
    TaskResult,
)
from olmes.requests.plan import Plan, TaskPlan
from olmes.runs.cost import settled
from olmes.runs.response_rows import RunSheet
from olmes.runs.score_sheet import MARKS_LEFT
from olmes.seal.look import TakenLook
from olmes.seal.sealing import record_result, sealed_files, sealed_samples
from olmes.tools import jsonl
from olmes.tools.durable_files import atomic_writer, write_atomically
from olmes.tools.hashing import sha256
from olmes.tools.visible_text import encodable


def write_record(
    folder: Path,
    plan: Plan,
    model: Model,
    identity: str,
    sheets: Sequence[RunSheet],
    *,
    judges: Judging | None,
    look: TakenLook | None,
    timing: dict[str, float],
    cost: Cost,
    troubles: Sequence[str] = (),
) -> Record:
    """Write samples, then `run.json`, each at once: a record that is there is whole.

    Of held-out tasks the ledger has the record's hash before it is there.
    `troubles` are what else went wrong on this machine, a sentence each, for the record's warnings.
    """
    tasks = {
        sheet.task.name: task_result(sheet.plan, write_samples(folder, sheet, look), judges, plan.k)
        for sheet in sheets
    }
    checkpoint = getattr(model, "checkpoint", None)
    run = RunRecord(
        schema=SCHEMA,
        id=folder.name,
        identity=identity,
        complete=all(task.whole for task in tasks.values()),
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        olmes=program(),
        model=RecordedModel(
            name=encodable(model.title or model.name),
            written=model.name,
            commit=getattr(checkpoint, "commit", None) or UNSET,
            adapter=getattr(checkpoint, "named", UNSET),
            fingerprint=model.fingerprint,
            parts=model.fingerprint_parts,
            engine=model.engine,
            family=look.held_out.family if look else family(model),
            step=training_step(model),
            lineage=lineage(model),
        ),
        suite=suite_result(plan, tasks),
        limit=plan.limit,
        held_out=sealed(folder, look, tasks) if look else None,
        gated=sealed_files(
            folder,
            {one.task.name: tasks[one.task.name].n for one in plan.tasks if one.dataset.gated},
        ),
        tasks=tasks,
        not_run=dict(plan.not_run),
        warnings=[*notes(plan, model, judges), *warnings(tasks, plan, judges), *troubles],
        environment=environment(),
        timing={name: round(seconds, 3) for name, seconds in timing.items()},
        cost=settled(cost, recorded=model.recorded),
    )
    content = (jsonl.dumps(msgspec.to_builtins(run)) + "\n").encode("utf-8")
    with atomic_writer(folder / RUN_FILE) as stream:
        stream.write(content)
        if look:
            record_result(folder.parent, folder.name, sha256(content))
    return Record.load(folder)


def showing(record: Record, k: Sequence[int]) -> Record:
    """The record of a finished run, with the chosen k shown as far as it has their numbers.

    What was looked at under seal stays as it was written.
    """
    if not k or record.run.held_out:
        return record
    tasks = {name: with_k(task, k) for name, task in record.tasks.items()}
    return rewritten(record, msgspec.structs.replace(record.run, tasks=tasks))


def with_k(task: TaskResult, k: Sequence[int]) -> TaskResult:
    """A task's numbers with other k shown."""
    if task.repeats is None:
        return task
    has = {at.k for found in task.repeats.metrics.values() for at in found.at}
    shown = [one for one in sorted(set(k)) if one in has] or task.repeats.k
    return msgspec.structs.replace(task, repeats=msgspec.structs.replace(task.repeats, k=shown))


def renamed(record: Record, name: str) -> Record:
    """A finished record under the name that tables and pages are to show from now on.

    One of held-out tasks stays as it is, for the ledger holds the hash of the whole record.
    """
    if not name or name == record.run.model.name or record.run.held_out:
        return record
    model = msgspec.structs.replace(record.run.model, name=name)
    return rewritten(record, msgspec.structs.replace(record.run, model=model))


def rewritten(record: Record, run: RunRecord) -> Record:
    """A finished record with what is shown of it changed."""
    if run != record.run:
        text = jsonl.dumps(msgspec.to_builtins(run)) + "\n"
        write_atomically(record.folder / RUN_FILE, text)
    return Record.load(record.folder)


class Counted:
    """What a record says of a task's rows; they are added one by one and not kept."""

    def __init__(self, task: Task) -> None:
        self.numbers = TaskNumbers(task)
        self.diagnosis = Diagnosis(task)
        self.judgements = JudgementCounts()
        self.reasons: dict[str, list[Reason]] = {}

    def add(self, row: ResponseRow) -> None:
        """Count one row in."""
        self.numbers.add(row)
        self.diagnosis.add(row)
        self.judgements.add(row)


def write_samples(folder: Path, sheet: RunSheet, look: TakenLook | None) -> Counted:
    """Write a task's samples, packed if it is held out or gated, and count them."""
    name, counted = sheet.task.name, Counted(sheet.task)
    packed = sheet.plan.dataset.gated or (look is not None and name in look.tasks)
    writing = sealed_samples(folder, name) if packed else open_samples(folder, sheet.task)
    with writing as write:
        for number, line in enumerate(sheet.rows.lines(), start=1):
            write(line)
            counted.add(jsonl.parse_line_64bit(line, f"the samples of {name}, line {number}"))
    counted.reasons = sheet.reasons.counted()
    return counted


@contextlib.contextmanager
def open_samples(folder: Path, task: Task) -> Iterator[Callable[[bytes], object]]:
    """Where the samples of a task go that is not held out. Gives the file's `write`."""
    with atomic_writer(folder / samples_file(task)) as stream:
        yield stream.write


def sealed(folder: Path, look: TakenLook, tasks: Mapping[str, TaskResult]) -> HeldOut:
    """What a record says of the look and of the samples under seal."""
    files = sealed_files(folder, {name: tasks[name].n for name in look.tasks})
    return msgspec.structs.replace(look.held_out, sealed=files)


def samples_file(task: Task) -> str:
    """Place of a task's samples below the run's folder."""
    return f"samples/{task.name}.jsonl"


def task_result(
    plan: TaskPlan, counted: Counted, judges: Judging | None, k: Sequence[int]
) -> TaskResult:
    """A task's part of `run.json`: where its numbers come from, then the numbers."""
    task, numbers = plan.task, counted.numbers.counted(k)
    return TaskResult(
        title=task.title,
        primary=task.primary,
        standard=task.standard,
        settings=dict(task.settings),
        formulation=task.formulation.to_json(),
        formulation_hash=task.formulation_hash,
        scorer_hash=plan.scorer_hash,
        data=plan.dataset.recorded(),
        n=numbers.n,
        items=numbers.items,
        items_hash=plan.items_hash,
        metrics=numbers.metrics,
        subtasks=numbers.subtasks,
        counts=numbers.counts,
        reasons=counted.reasons,
        tokens=numbers.tokens,
        repeats=numbers.repeats,
        diagnosis=counted.diagnosis.counted(),
        judge=counted.judgements.counted(judges, task.name) if judges and task.judged else None,
        shared_messages=list(plan.shared_messages),
        samples=samples_file(task),
    )


def suite_result(plan: Plan, tasks: Mapping[str, TaskResult]) -> SuiteResult | None:
    """The suite's part of `run.json`; None for a run of single tasks.

    `missing` names the members that have no number; the mean is then over the others, and `complete`
    is false. Where values outside 0 to 1 made a number of one share, they have no mean.
    """
    suite = plan.suite
    if suite is None:
        return None
    members = {
        name: tasks[name]
        for name in suite.tasks
        if name in tasks and tasks[name].score.estimate is not None
    }
    missing = [name for name in suite.tasks if name not in members]
    averaged = {
        name: task for name, task in members.items() if suite.mean is None or name in suite.mean
    }
    return SuiteResult.of(
        suite_mean(averaged),
        name=suite.name,
        title=suite.title,
        held_out=suite.held_out,
        aggregate=suite.aggregate,
        mean=None if suite.mean is None else list(suite.mean),
        complete=all(task.whole for task in members.values()) and not missing,
        tasks=list(suite.tasks),
        missing=missing,
        pairs=[
            RecordedPair(dev=list(pair.dev), unseen=pair.unseen, rewritten=pair.rewritten)
            for pair in suite.pairs
        ],
        unit=suite_unit(averaged.values()),
    )


FLAG_WARNINGS = {
    "failed": "requests failed and are not in the score",
    "crashed": "responses could not be scored because a scorer broke",
    "unjudged": "responses have no judgement and are not in the score",
    "prompt_truncated": "prompts were cut from the left to fit the model's window",
    "timeout": "responses hit a scorer's time or memory limit and count as wrong",
    "unfinished_thinking": "responses ended inside their thought: they have no answer "
    "(--thinking-budget gives thoughts more room)",
    "thought_marks": MARKS_LEFT,
}


def notes(plan: Plan, model: Model, judges: Judging | None) -> list[str]:
    """How model and judge were asked, where that is not as they are asked by others; each once."""
    said = [*plan.notes, *model.notes]
    for judge in judges.judges if judges else ():
        said += [f"the judge: {note}" for note in judge.model.notes]
    return list(dict.fromkeys(said))


def warnings(tasks: Mapping[str, TaskResult], plan: Plan, judges: Judging | None) -> list[str]:
    """What a reader of the numbers must know, a sentence each."""
    said = [f"{name}: not run: {why}" for name, why in plan.not_run.items()]
    declared = {one.task.name: one.task for one in plan.tasks}
    for name, task in tasks.items():
        if not task.standard:
            changed = ", ".join(f"{key}={value}" for key, value in task.settings.items())
            said.append(f"{name}: not the standard formulation ({changed}).")
        said.extend(f"{name}: {note}" for note in task.data.notes if note)
        said.extend(
            f"{name}: {task.said(flag)} {words}{why(task, flag)}."
            for flag, words in FLAG_WARNINGS.items()
            if task.said(flag)
        )
        said.extend(
            f'{name}: {metric.name} has values outside 0 to 1; declare its Metric with unit="number".'
            for metric in declared[name].metrics
            if metric.unit != task.metrics[metric.name].unit
        )
        if task.judge and judges:
            said.extend(f"{name}: {reason}" for reason in judges.unasked(name))
        if task.judge and (unread := task.said("unparsed")):
            out = f"of which {task.unread} are" if 0 < task.unread < unread else "and are"
            valued = "; the task gave their responses values, which are in the score."
            said.append(
                f"{name}: {unread} judgements could not be read"
                + (f" {out} not in the score." if task.unread else valued)
            )
    return said
