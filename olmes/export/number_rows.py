"""Every number of a record, one row each, with what it rests on (`columns.NUMBERS`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from olmes.comparison.eligibility import asked, item_set, marks, told_incomplete, without_number
from olmes.comparison.eligibility import members as members_of
from olmes.comparison.overlap import RunOverlap, TaskOverlap, run_overlap
from olmes.export.columns import COST, NUMBERS
from olmes.records.aggregate import run_mean
from olmes.records.record import Record
from olmes.records.schema import FLAGS, RunRecord, Score, TaskResult
from olmes.records.shown_repeats import readings
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject

ESTIMATE = ("value", "stderr", "ci_low", "ci_high", "n")
MEAN = "mean"
"""The metric of the row of a whole run."""


def number_rows(records: Iterable[Record]) -> Iterator[JsonObject]:
    """The row of each run, then one a task, sub-task and metric; every row has every column."""
    for record in records:
        overlap = run_overlap(record)
        yield dict.fromkeys(NUMBERS) | run_row(record, overlap)
        for name, task in record.tasks.items():
            about = dict.fromkeys(NUMBERS) | about_task(record, name, task, overlap.tasks.get(name))
            yield from task_rows(about, task, overlap.tasks.get(name))
            yield from repeat_rows(about, task)


def run_row(record: Record, overlap: RunOverlap) -> JsonObject:
    """The whole run: its mean, its counts over all tasks, its time and cost."""
    run, tasks = record.run, list(record.tasks.values())
    names = list(record.tasks)
    mean = run_mean(run)
    cost = {name: getattr(run.cost, name) for name in COST} if run.cost else {}
    lacking = without_number(run, members_of(run), whole_run=False)
    return {
        **about_run(record),
        "task": "",
        "title": "Mean",
        "subtask": "",
        "metric": MEAN,
        "primary": False,
        "honest": False,
        **(numbers_of(mean) if mean else {"n": 0}),
        "unit": mean.unit if mean else "",
        "higher_is_better": run.higher_is_better,
        "mean_of": ", ".join(run.mean_tasks) if mean else "",
        "missing": ", ".join(lacking),
        "complete": record.complete and not lacking and not told_incomplete(run),
        "marks": ", ".join(marks(run)),
        "standard": all(task.standard for task in tasks),
        "formulation_hash": joint_hash(
            {name: one.formulation_hash for name, one in run.tasks.items()}
        ),
        "data_hash": joint_hash({name: one.data.content_hash for name, one in run.tasks.items()}),
        "data_origin": ", ".join(dict.fromkeys(task.data.origin for task in tasks)),
        "demo_data": bool(run.demo_tasks),
        "items": sum(asked(run, task) for task in tasks),
        "data_items": sum(task.data.n for task in tasks),
        "item_set": item_set(run),
        **counts_of(tasks),
        "held_out": run.held_out is not None,
        "overlapped": overlapped(overlap.tasks[name] for name in names if name in overlap.tasks),
        "value_without_overlap": overlap.mean.without.value if overlap.mean else None,
        **tokens_of(tasks),
        **{name: run.timing.get(name) for name in ("answer_s", "judge_s", "score_s")},
        **cost,
    }


def about_run(record: Record) -> JsonObject:
    """Whose numbers they are."""
    run, held = record.run, record.run.held_out
    return {
        "run": record.id,
        "created": run.created,
        "model": run.model.name,
        "fingerprint": run.model.fingerprint,
        "family": run.model.family or "",
        "step": run.model.step,
        "lineage": lineage_in_words(run),
        "suite": run.suite.name if run.suite else "",
        "limit": run.limit,
        "looks_before": held.looks_before if held else None,
        "dev_then": held.dev.value if held and held.dev else None,
    }


def about_task(
    record: Record, name: str, task: TaskResult, overlap: TaskOverlap | None
) -> JsonObject:
    """What every number of a task rests on."""
    run, held = record.run, record.run.held_out
    return {
        **about_run(record),
        "task": name,
        "title": run.title(name),
        "mean_of": "",
        "missing": "",
        "complete": record.complete,
        "marks": ", ".join(marks(run, [name])),
        "standard": task.standard,
        "formulation_hash": task.formulation_hash,
        "data_hash": task.data.content_hash,
        "data_origin": task.data.origin,
        "demo_data": task.demo,
        "items": asked(run, task),
        "data_items": task.data.n,
        "item_set": item_set(run, [name]),
        **counts_of([task]),
        "held_out": held is not None and name in held.tasks,
        "overlapped": overlapped([overlap] if overlap else []),
        **tokens_of([task]),
    }


def task_rows(
    about: JsonObject, task: TaskResult, overlap: TaskOverlap | None
) -> Iterator[JsonObject]:
    """One row a sub-task and metric, the whole task first."""
    without = overlap.without.value if overlap and overlap.without else None
    for metric, score in task.metrics.items():
        primary = metric == task.primary
        found = task.diagnosis if primary else None
        yield {
            **metric_row(about, task, metric, "", score),
            "value_without_overlap": without if primary else None,
            "wrong": found.wrong if found else None,
            "lost": found.lost if found else None,
        }
    # What happened to its responses is known of the whole task alone.
    unknown = dict.fromkeys((*FLAGS, "items", "data_items", "overlapped", *tokens_of([task])))
    for subtask, group in task.subtasks.items():
        own = {**about, **unknown, "responses": group.n}
        for metric, score in group.metrics.items():
            yield metric_row(own, task, metric, subtask, score)


def metric_row(
    about: JsonObject, task: TaskResult, metric: str, subtask: str, score: Score
) -> JsonObject:
    """One number of a task or sub-task."""
    of = task.metrics.get(metric)
    return {
        **about,
        "subtask": subtask,
        "metric": metric,
        "primary": metric == task.primary,
        "honest": of.honest if of else False,
        **numbers_of(score),
        "unit": of.unit if of else task.score.unit,
        "higher_is_better": of.higher_is_better if of else True,
    }


def repeat_rows(about: JsonObject, task: TaskResult) -> Iterator[JsonObject]:
    """One row a reading of several responses an item: `exact_match/pass@4`, `exact_match/run_sd`."""
    if task.repeats is None:
        return
    for metric, found in task.repeats.metrics.items():
        of = task.metrics[metric]
        about = {**about, "subtask": "", "primary": False, "honest": of.honest, "unit": of.unit}
        about["higher_is_better"] = of.higher_is_better
        for one in readings(found):
            yield {**about, "metric": f"{metric}/{one.name}", **numbers_of(one.score)}
        noise = {"metric": f"{metric}/run_sd", "value": found.sd, "n": len(found.means)}
        yield {**about, **noise, "higher_is_better": False}


def numbers_of(score: Score) -> JsonObject:
    """A number with its error, interval and n."""
    return {field: getattr(score, field) for field in ESTIMATE}


def counts_of(tasks: Sequence[TaskResult]) -> JsonObject:
    """How many responses some tasks have, and what happened to them."""
    counts = {flag: sum(task.said(flag) for task in tasks) for flag in FLAGS}
    return {"responses": sum(task.n for task in tasks), **counts}


def tokens_of(tasks: Sequence[TaskResult]) -> JsonObject:
    """What some tasks' responses and judgements took; None where nobody counted it."""
    found: JsonObject = {
        f"{name}_tokens": sum(task.tokens.get(name, 0) for task in tasks)
        if any(task.tokens for task in tasks)
        else None
        for name in ("prompt", "completion", "reasoning")
    }
    judges = [task.judge for task in tasks if task.judge]
    spent = sum(sum(judge.tokens.values()) for judge in judges)
    return found | {"judge_tokens": spent if judges else None}


def overlapped(found: Iterable[TaskOverlap]) -> int | None:
    """How many items overlap, of tasks that were compared; None where none was."""
    counts = [one.overlapped for one in found if one.compared]
    return sum(counts) if counts else None


def lineage_in_words(run: RunRecord) -> str:
    """`base → sft, step 60`; empty where the model's files do not say it."""
    return " → ".join(filter(None, map(step_in_words, run.model.lineage or ())))


def step_in_words(step: Mapping[str, object]) -> str:
    """One step of a lineage: what training began from, or a training with its step."""
    name = step.get("training") or step.get("base") or ""
    at = step.get("step")
    return f"{name}, step {at}" if name and at is not None else str(name)


def joint_hash(hashes: Mapping[str, str]) -> str:
    """A hash over those of a run's tasks."""
    return content_hash(dict(sorted(hashes.items())))[:16]
