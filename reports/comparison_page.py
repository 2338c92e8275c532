"""The page of `olmes compare`: why two runs differ, by how much, and which answers flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes.comparison.compare import (
    ComparedRun,
    Comparison,
    ScoredTwice,
    TaskComparison,
    UnpairedTask,
)
from olmes.comparison.noise_words import noise_lines
from olmes.comparison.power_words import power_words
from olmes.records.shown import NUMBER, difference_interval, metric_label, shown, shown_difference
from olmes.reports import numbers
from olmes.reports.dates import date
from olmes.reports.flips import pack_flips
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, page_link, samples_link
from olmes.reports.notices import Notice, demo_notice
from olmes.reports.page import render_page
from olmes.reports.sample_scripts import sample_scripts, sample_styles
from olmes.reports.scores import ScoreView, legend_of, score_view
from olmes.stats import Difference, PairedDifference
from olmes.tools import jsonl
from olmes.types import Unit

NO_REACH = 0.01
"""How far the axis goes where no share differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A difference and its interval as positions on an axis with 0 in the middle, 0 to 100."""

    low: float
    high: float
    point: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceView:
    """A difference as it is shown."""

    value: str
    interval: str
    span: Span | None
    """Of shares alone: one axis cannot hold numbers in other units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """One task's comparison."""

    title: str
    metric: str
    """With the signs of its direction and unit."""
    a: ScoreView
    b: ScoreView
    difference: DifferenceView
    p: str
    verdict: str
    power: str
    """What more items would show; '' where there is a verdict."""
    link: str
    """To the flips, of which the difference is the sum; '' for none."""
    won: str
    lost: str
    won_link: str
    lost_link: str
    n: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One of the two runs."""

    name: str
    id: str
    link: str
    created: str
    suite: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteLine:
    """The mean over the tasks."""

    tasks: int
    sign: str
    """`#` where the tasks are no shares."""
    a: str
    b: str
    difference: DifferenceView
    p: str
    verdict: str


def write_comparison_page(data: Comparison, output: Path) -> Path:
    """Write the page of a comparison.

    Args:
        data: as `olmes.comparison.compare_runs` made it.
        output: the HTML file to write.

    Returns:
        `output`.
    """
    jsonl.write_atomically(output, comparison_html(data, output))
    return output


def comparison_html(data: Comparison, output: Path) -> str:
    """The page of a comparison.

    Args:
        data: as `olmes.comparison.compare_runs` made it.
        output: where it will lie, by which its links are made.
    """
    packed = pack_flips(data.tasks)
    entries: list[TaskComparison | UnpairedTask] = [*data.tasks, *data.unpaired]
    reach = max((_reach(entry) for entry in entries), default=0.0) or NO_REACH
    context = {
        "runs": [_run(run, output) for run in data.runs],
        "why": data.why,
        "notices": _notices(data),
        "tasks": [_line(entry, data.runs, reach, output) for entry in entries],
        "suite": _suite(data, reach),
        "reach": _reach_words(entries, reach),
        "margin": shown(data.margin, "share"),
        "legend": legend_of(entry.a for entry in entries),
        "noise": list(noise_lines(data)),
        "conditional": data.conditional,
        "flips": packed.count,
    }
    browser = {
        "index": 0,
        "chunks": [[1 + number, start] for number, start in enumerate(packed.starts)],
        "titles": {entry.name: entry.title or entry.name for entry in entries},
        "tasks": [entry.name for entry in data.tasks if entry.flips],
        "names": [run.name for run in data.runs],
    }
    return render_page(
        "comparison.html.jinja",
        context,
        scripts=sample_scripts("diff.js", "comparison.js", mathematics=packed.mathematics)
        if packed.count
        else (),
        styles=sample_styles(mathematics=packed.mathematics),
        data=browser if packed.count else None,
        blobs=[packed.index, *packed.chunks] if packed.count else [],
    )


def _run(run: ComparedRun, output: Path) -> RunView:
    return RunView(
        name=run.name,
        id=run.id,
        link=page_link(_folder(run), output),
        created=date(run.created),
        suite=run.suite or "",
        look=look_line(run.held_out) if run.held_out else "",
    )


def _folder(run: ComparedRun) -> Path | None:
    return Path(run.folder) if run.folder else None


def _notices(data: Comparison) -> list[Notice]:
    found = []
    for letter, run in zip("AB", data.runs, strict=True):
        if run.demo_data:
            text = f"Run {letter} used the built-in demo data for {', '.join(run.demo_data)}."
            found.append(demo_notice(text))
        if not run.complete:
            text = f"Run {letter} lacks responses."
            found.append(Notice("stop", "Incomplete run", text, bound="nothing"))
        found += [
            Notice("caution", f"Run {letter}", f"{said[:1].upper()}{said[1:]}.", short=said)
            for said in run.reservations
        ]
    for task in data.tasks:
        if task.mismatch:
            text = f"{task.title}: {' and '.join(task.mismatch)}."
            found.append(Notice("stop", "Forced", text))
    for refused in data.refused:
        text = f"{refused.title}: not compared, because {' and '.join(refused.reasons)}."
        found.append(Notice("stop", "Refused", text))
    for unpaired in data.unpaired:
        text = f"{unpaired.title}: a run lacks its samples; the interval is wider."
        found.append(Notice("caution", "Not paired", text))
    for letter, names in zip("AB", data.only, strict=True):
        if names:
            found.append(Notice("caution", f"Only in run {letter}", f"{', '.join(names)}."))
    return found


def _reach(entry: TaskComparison | UnpairedTask) -> float:
    """How far from 0 the interval of a difference of shares goes."""
    found = entry.difference
    if found is None or entry.unit != "share":
        return 0.0
    ends = (found.ci_low, found.ci_high, _value(found))
    return max((abs(end) for end in ends if end is not None), default=0.0)


def _reach_words(entries: Sequence[ScoredTwice], reach: float) -> str:
    """The end of the axis in percentage points; '' where no difference is one of shares."""
    if entries and all(entry.unit != "share" for entry in entries):
        return ""
    return shown_difference(reach, "share").lstrip("+")


def _value(found: PairedDifference | Difference) -> float:
    return found.difference if isinstance(found, PairedDifference) else found.value


def _line(
    entry: TaskComparison | UnpairedTask, runs: Sequence[ComparedRun], reach: float, output: Path
) -> TaskLine:
    name = entry.name
    a, b = (
        score_view(
            found, metric=entry.metric, unit=entry.unit, link=_samples_link(run, name, output)
        )
        for found, run in zip((entry.a, entry.b), runs, strict=True)
    )
    paired = entry if isinstance(entry, TaskComparison) else None
    found = paired.difference if paired else None
    return TaskLine(
        title=entry.title or name,
        metric=metric_label(entry.metric, entry.a),
        a=a,
        b=b,
        difference=_difference(entry.difference, entry.unit, reach),
        p=numbers.p_value(found.p_adjusted if found else None),
        verdict=found.verdict if found else "not paired",
        power=power_words(found) if found and found.verdict == "not enough data" else "",
        link=samples_link(task=name) if paired and paired.flips else "",
        won=numbers.count(found.wins if found else None),
        lost=numbers.count(found.losses if found else None),
        won_link=samples_link(task=name, kind="won"),
        lost_link=samples_link(task=name, kind="lost"),
        n=numbers.count(paired.n if paired else None),
        notes=(
            *(_line_notes(paired) if paired else ()),
            *_thoughts(name, runs),
            *_overlap(name, runs),
        ),
    )


def _line_notes(entry: TaskComparison) -> list[str]:
    notes = [
        f"{number} items only in {letter}"
        for number, letter in ((entry.only_a, "A"), (entry.only_b, "B"))
        if number
    ]
    if entry.prompts_differ:
        notes.append(f"prompts differ on {entry.prompts_differ} items")
    if entry.sealed:
        notes.append("paired under seal: no item is shown")
    return notes


def _thoughts(task: str, runs: Sequence[ComparedRun]) -> list[str]:
    """What went wrong with the thoughts of either run."""
    return [
        f"{letter}: {said}"
        for letter, run in zip("AB", runs, strict=True)
        for said in run.thoughts.get(task, ())
    ]


def _overlap(task: str, runs: Sequence[ComparedRun]) -> list[str]:
    """What items of either run have in common with the training data."""
    return [
        f"{letter}: {run.overlap[task]}"
        for letter, run in zip("AB", runs, strict=True)
        if task in run.overlap
    ]


def _samples_link(run: ComparedRun, task: str, output: Path) -> str:
    """The run's page at a task's samples; what the seal says where they may be under seal."""
    sealed = run.held_out.sealed if run.held_out else {}
    fragment = HELD_OUT if task in sealed else samples_link(task=task)
    return page_link(_folder(run), output, fragment)


def _difference(
    found: PairedDifference | Difference | None, unit: Unit, reach: float
) -> DifferenceView:
    if found is None:
        return DifferenceView(
            value=shown_difference(None, unit),
            interval=difference_interval(None, None, unit),
            span=None,
        )
    value = _value(found)
    return DifferenceView(
        value=shown_difference(value, unit),
        interval=difference_interval(found.ci_low, found.ci_high, unit),
        span=_span(value, found.ci_low, found.ci_high, reach) if unit == "share" else None,
    )


def _span(value: float, low: float | None, high: float | None, reach: float) -> Span | None:
    if not numbers.is_number(value):
        return None

    def position(end: float | None) -> float:
        return round(50 + 50 * (value if end is None else end) / reach, 2)

    return Span(low=position(low), high=position(high), point=position(value))


def _suite(data: Comparison, reach: float) -> SuiteLine | None:
    if data.suite is None:
        return None
    found = data.suite.difference
    unit: Unit = "share" if found.is_share else "number"
    return SuiteLine(
        tasks=len(data.suite.tasks),
        sign="" if found.is_share else f" {NUMBER}",
        a=shown(data.suite.baseline, unit),
        b=shown(data.suite.candidate, unit),
        difference=_difference(found, unit, reach),
        p=numbers.p_value(found.p_value),
        verdict=found.verdict,
    )
