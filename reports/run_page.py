"""The page of one run: headline numbers and a browser of its samples.

Reads the record alone (`run.json` and `samples/*.jsonl`) and writes one HTML file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.eligibility import items_in_words
from olmes.comparison.gate import gates_of
from olmes.comparison.overlap import RunOverlap, run_overlap
from olmes.comparison.overlap_words import marked_line, overlap_line
from olmes.records.part_kinds import Judged, PartKinds
from olmes.records.record import Record
from olmes.records.schema import MetricScore, RunRecord, TaskResult
from olmes.records.shown import count_over, metric_label, signs_of
from olmes.records.shown_repeats import repeat_views
from olmes.reports import numbers
from olmes.reports.collectors import RowCollector, seen_by
from olmes.reports.cost import run_cost
from olmes.reports.dates import date
from olmes.reports.format_cost import REASONS, FormatCost, flag_lost, format_cost, in_words
from olmes.reports.held_out import held_out_view, link_of
from olmes.reports.judges import judge_facts
from olmes.reports.lengths import Lengths, ResponseLengths, length_view
from olmes.reports.links import HELD_OUT
from olmes.reports.notices import record_notices
from olmes.reports.page import render_page
from olmes.reports.part_kinds import KindTable, kind_table
from olmes.reports.provenance import Pairs, gate_words, settings_lines, task_facts, training_of
from olmes.reports.run_head import only_score, what_was_run
from olmes.reports.sample_scripts import Mathematics, sample_scripts, sample_styles
from olmes.reports.samples import PackedTask, ShownSamples, honest_metrics, pack_task
from olmes.reports.scores import (
    ScoreGroup,
    ScoreView,
    legend_of,
    score_view,
    subtask_scores,
    suite_score,
    task_scores,
)
from olmes.reports.thoughts import issue_words
from olmes.tools import jsonl
from olmes.tools.as_json import as_json

ISSUES = {
    "failed": "failed",
    "empty": "empty",
    "refusal": "refusal",
    "unparsed": "unparsed",
    "misformatted": "not in the form asked for",
    "truncated": "truncated",
    "unfinished_thinking": "unfinished thinking",
    "prompt_truncated": "prompt cut",
    "thought_marks": "marks of a thought in the answer",
    "unjudged": "not judged",
    "timeout": "scorer timeout",
    "crashed": "scorer crashed",
    "disputed": "disputed",
}
"""What can be wrong with a response, by flag: the words a page uses for it."""
WORDS = ISSUES | {f"lost_{reason}": f"lost to format: {word}" for reason, word in REASONS.items()}
"""Words for every flag, those of the format diagnosis too."""

DEMO_TAG = "demo data"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """One task, ready to be shown."""

    group: ScoreGroup
    subtasks: tuple[ScoreGroup, ...]
    tags: tuple[str, ...]
    """Why its numbers cannot be compared."""
    responses: str
    """`50 items, 200 responses`; '' where each item has one response."""
    issues: tuple[tuple[str, str, str], ...]
    """Count, word and link."""
    formulation_hash: str
    overlap: str
    """What its items have in common with the training data; '' where nobody compared them."""
    marked: bool
    """Whether any has."""
    sealed: bool
    """Whether its samples are under seal."""
    gated: bool
    """Whether they are of items that may not be published in plain text."""
    format_cost: FormatCost | None
    """None in older records."""
    lengths: Lengths | None
    """None where nothing was generated."""
    kinds: KindTable | None
    """How often each kind of instruction is followed; None where responses are not judged so."""
    judge: Pairs
    """Who judged, and at what price; empty for a task that is scored by rules."""
    facts: Pairs
    """What the numbers rest on: hashes, data, tokens."""
    settings: Pairs
    """The formulation, a line a field."""


def write_run_page(found: Path | Record, output: Path) -> Path:
    """Write the page of a run.

    Args:
        found: a record, or its folder with `run.json` and `samples/<task>.jsonl`.
        output: the HTML file to write.

    Returns:
        `output`.

    Raises:
        OlmesError: the record is missing, damaged or newer than this olmes.
    """
    record = found if isinstance(found, Record) else Record.load(found)
    run = record.run
    sealed = [name for name in run.tasks if record.sealed(name)]
    lengths, kinds, mathematics = ResponseLengths(), PartKinds(), Mathematics()
    packed = {name: pack(record, name, [lengths, kinds, mathematics]) for name in run.tasks}
    browsable = {name: own for name, own in packed.items() if name not in sealed}
    mean, overlap = suite_score(record), run_overlap(record)
    tasks = [
        _task_view(record, name, packed[name], lengths.of(name), kinds.of(name), overlap)
        for name in run.tasks
    ]
    metrics = [metric for task in run.tasks.values() for metric in task.metrics.values()]
    context = {
        "run": run,
        "what": what_was_run(run),
        "score": only_score(run, tasks[0].group if tasks else None),
        "created": date(run.created),
        "mean": _mean(record, mean, HELD_OUT if sealed and not browsable else "#browser", overlap),
        "averaged": _averaged(run),
        "missing": run.suite.missing if run.suite else [],
        "suite": run.suite,
        "limited": items_in_words(run),
        "notices": record_notices(record, sealed),
        "held_out": held_out_view(record),
        "tasks": tasks,
        "legend": legend_of([*metrics, mean] if mean else metrics),
        "repeats": [view for name, task in run.tasks.items() for view in repeat_views(name, task)],
        "browsable": len(browsable),
        "left_out": _left_out(run, browsable),
        "responses": sum(task.n for task in run.tasks.values()),
        "cost": run_cost(run),
        "engine": settings_lines(run.model.engine),
        "training": training_of(run.model),
        "gates": [gate_words(line) for line in gates_of(record)],
        "environment": settings_lines(as_json(run.environment)),
        "issues": ISSUES,
    }
    data, blobs = _browser_data(record, browsable)
    page = render_page(
        "run.html.jinja",
        context,
        scripts=sample_scripts("samples.js", mathematics=mathematics.seen) if browsable else (),
        styles=sample_styles(mathematics=mathematics.seen),
        data=data if browsable else None,
        blobs=blobs,
    )
    jsonl.write_atomically(output, page)
    return output


def _mean(
    record: Record, mean: MetricScore | None, link: str, overlap: RunOverlap
) -> ScoreView | None:
    if mean is None:
        return None
    count = count_over(mean.n, [record.tasks[name] for name in record.run.mean_tasks])
    return score_view(
        mean, metric="mean", unit=mean.unit, about=mean, count=count, link=link,
        overlap=marked_line(overlap, ""),
    )  # fmt: skip


def _averaged(run: RunRecord) -> int:
    """How many tasks the mean of the suite is over."""
    missing = run.suite.missing if run.suite else []
    return sum(name not in missing for name in run.mean_tasks)


def pack(record: Record, name: str, collectors: Sequence[RowCollector]) -> PackedTask:
    """The task's samples, shown to the collectors; nothing of them where they are under seal."""
    task = record.tasks[name]
    if record.sealed(name):
        return pack_task([], task)
    rows = seen_by(collectors, name, record.samples(name))
    if task.diagnosis:
        rows = (flag_lost(row, task) for row in rows)
    return pack_task(rows, task, ShownSamples.of(task.n, _repeats(task)))


def _repeats(task: TaskResult) -> int:
    """Responses to an item."""
    return int((task.formulation.get("generation") or {}).get("n") or 1)


def _left_out(run: RunRecord, packed: Mapping[str, PackedTask]) -> list[str]:
    """What a page does not hold of the samples it could show, a sentence a task."""
    return [
        f"The page holds {own.rows:,} of the {run.tasks[name].n:,} samples of {run.title(name)}, "
        "the first responses to each item; every score and count is over all of them. "
        f"The others are in {run.tasks[name].samples}."
        for name, own in packed.items()
        if own.rows < run.tasks[name].n
    ]


def _browser_data(
    record: Record, packed: Mapping[str, PackedTask]
) -> tuple[dict[str, Any], list[str]]:
    """What the browser's script needs at once, and the packed texts it refers to by number."""
    blobs: list[str] = []
    tasks = []
    for name, own in packed.items():
        task = record.tasks[name]
        first = len(blobs)
        blobs += [own.index, *own.chunks]
        metrics = task.metrics
        tasks.append(
            {
                "name": name,
                "title": record.run.title(name),
                "subtasks": list(task.subtasks),
                "parts": own.parts,
                "extracts": own.extracts,
                "metrics": [metric for metric in metrics if metric in own.values],
                "labels": {
                    name: metric_label(name, metric)
                    for name, metric in metrics.items()
                    if signs_of(metric)
                },
                "primary": task.primary,
                "honest": honest_metrics(task),
                "lower": [m for m, metric in metrics.items() if not metric.higher_is_better],
                "flags": [flag for flag in {**WORDS, **own.flags} if own.flags.get(flag)],
                "index": first,
                "chunks": [[first + 1 + k, start] for k, start in enumerate(own.starts)],
            }
        )
    flags = dict.fromkeys(flag for task in packed.values() for flag in task.flags)
    return {"tasks": tasks, "flags": WORDS | {flag: _words(flag) for flag in flags}}, blobs


def _words(flag: str) -> str:
    """The words for a flag; the format's cost may be named by any instruction's id."""
    reason = flag.removeprefix("lost_")
    return WORDS.get(flag) or (flag if reason == flag else f"lost to format: {in_words(reason)}")


def _task_view(
    record: Record,
    name: str,
    packed: PackedTask,
    lengths: Mapping[int, int],
    kinds: Mapping[str, Sequence[Judged]],
    overlap: RunOverlap,
) -> TaskView:
    task, link = record.tasks[name], link_of(record, name)
    counts = {**packed.flags, **task.counts}
    return TaskView(
        group=task_scores(name, task, packed.values, link, marked_line(overlap, name)),
        subtasks=subtask_scores(name, task, packed.values, link),
        tags=tuple(_tags(task)),
        responses=_responses(task),
        issues=tuple(
            (
                numbers.count(counts[flag]),
                issue_words(flag, word, task),
                link(task=name, flag=flag),
            )
            for flag, word in ISSUES.items()
            if counts.get(flag)
        ),
        overlap=overlap_line(overlap.tasks[name]) if name in overlap.tasks else "",
        marked=name in overlap.marked,
        sealed=record.sealed(name),
        gated=name in record.run.gated,
        format_cost=format_cost(record.run.title(name), task.diagnosis, link, task=name)
        if task.diagnosis
        else None,
        lengths=length_view(name, task, lengths, link),
        kinds=kind_table(name, record.run.title(name), kinds, link),
        judge=judge_facts(task),
        formulation_hash=task.formulation_hash,
        facts=tuple(task_facts(task)),
        settings=settings_lines(task.formulation),
    )


def _responses(task: TaskResult) -> str:
    if not task.repeated:
        return ""
    return f"{numbers.count(task.items)} items, {numbers.count(task.n)} responses"


def _tags(task: TaskResult) -> Iterator[str]:
    if task.demo:
        yield DEMO_TAG
    elif not task.data.official:
        yield "data not declared" if task.data.undeclared else "data differs"
    if not task.standard:
        yield "not standard"
