"""The page of `olmes compare`: why two runs differ, by how much, and which answers flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.comparison.power_words import power_words
from olmes.reports import numbers
from olmes.reports.dates import date
from olmes.reports.flips import pack_flips
from olmes.reports.held_out import look_line
from olmes.reports.links import HELD_OUT, samples_link
from olmes.reports.notices import Notice
from olmes.reports.page import render_page
from olmes.reports.places import page_link
from olmes.reports.scores import Score, score
from olmes.tools import jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A difference and its interval as places on an axis with 0 in the middle, 0 to 100."""

    low: float
    high: float
    point: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """One task's comparison."""

    title: str
    metric: str
    a: Score
    b: Score
    difference: str
    interval: str
    span: Span | None
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


def write_comparison_page(data: dict[str, Any], output: Path) -> Path:
    """Write the page of a comparison.

    Args:
        data: as `olmes.comparison.compare_runs` made it.
        output: the HTML file to write.

    Returns:
        `output`.
    """
    packed = pack_flips(data["tasks"])
    entries = [*data["tasks"], *data.get("unpaired", ())]
    reach = max((_reach(entry["difference"]) for entry in entries), default=0.0) or 0.01
    titles = {entry["name"]: entry.get("title") or entry["name"] for entry in entries}
    suite = data.get("suite")
    context = {
        "runs": [_run(run, output) for run in data["runs"]],
        "why": data["why"],
        "notices": _notices(data),
        "tasks": [_line(entry, data["runs"], reach, output) for entry in entries],
        "suite": _suite(suite, reach) if suite and suite["difference"] else None,
        "reach": numbers.points(reach).lstrip("+"),
        "margin": numbers.plain(data.get("margin", 0.01), share=True),
        "flips": packed.count,
    }
    browser = {
        "index": 0,
        "chunks": [[1 + number, start] for number, start in enumerate(packed.starts)],
        "titles": titles,
        "tasks": [entry["name"] for entry in data["tasks"] if entry["flips"]],
        "names": [run["name"] for run in data["runs"]],
    }
    page = render_page(
        "comparison.html.jinja",
        context,
        scripts=("text.js", "diff.js", "comparison.js") if packed.count else (),
        data=browser if packed.count else None,
        blobs=[packed.index, *packed.chunks] if packed.count else [],
    )
    jsonl.write_atomically(output, page)
    return output


def _run(run: dict[str, Any], output: Path) -> dict[str, Any]:
    held = run.get("held_out")
    return {
        "name": run["name"],
        "id": run["id"],
        "link": page_link(_folder(run), output),
        "created": date(str(run["created"])),
        "suite": run.get("suite") or "tasks chosen one by one",
        "fingerprint": run["fingerprint"],
        "look": look_line(held) if held else "",
    }


def _folder(run: dict[str, Any]) -> Path | None:
    return Path(run["folder"]) if run.get("folder") else None


def _notices(data: dict[str, Any]) -> list[Notice]:
    found = []
    for letter, run in zip("AB", data["runs"], strict=True):
        if run.get("sample_data"):
            text = f"Run {letter} used the built-in sample for {', '.join(run['sample_data'])}."
            found.append(Notice("stop", "Sample data: not comparable", text))
        if not run.get("complete", True):
            found.append(Notice("stop", "Incomplete run", f"Run {letter} lacks responses."))
    for entry in data["tasks"]:
        if entry.get("mismatch"):
            text = f"{entry['title']}: {' and '.join(entry['mismatch'])}."
            found.append(Notice("stop", "Forced", text))
    for entry in data["refused"]:
        text = f"{entry['title']}: not compared, because {' and '.join(entry['reasons'])}."
        found.append(Notice("stop", "Refused", text))
    for entry in data.get("unpaired", ()):
        text = f"{entry['title']}: its samples are under seal or not there; the interval is wider."
        found.append(Notice("caution", "Not paired", text))
    for letter, names in zip("AB", data.get("only") or ((), ()), strict=True):
        if names:
            found.append(Notice("caution", f"Only in run {letter}", f"{', '.join(names)}."))
    return found


def _reach(difference: dict[str, Any] | None) -> float:
    """How far from 0 a difference's interval goes."""
    ends = [(difference or {}).get(key) for key in ("ci_low", "ci_high", "difference", "value")]
    return max((abs(end) for end in ends if end is not None), default=0.0)


def _line(
    entry: dict[str, Any], runs: Sequence[dict[str, Any]], reach: float, output: Path
) -> TaskLine:
    found = entry["difference"] or {}
    name = entry["name"]
    value = found.get("difference", found.get("value"))
    p = found.get("p_adjusted")
    scores = [
        score(entry[side], metric=entry["metric"], link=_samples(run, name, output))
        for side, run in zip("ab", runs, strict=True)
    ]
    return TaskLine(
        title=entry.get("title") or name,
        metric=entry["metric"],
        a=scores[0],
        b=scores[1],
        difference=numbers.points(value),
        interval=numbers.points_interval(found.get("ci_low"), found.get("ci_high")),
        span=_span(value, found.get("ci_low"), found.get("ci_high"), reach),
        p=numbers.p_value(p),
        verdict=found.get("verdict", "not paired"),
        power=power_words(found) if found.get("verdict") == "not enough data" else "",
        link=samples_link(task=name) if entry.get("flips") else "",
        won=_count(found.get("wins")),
        lost=_count(found.get("losses")),
        won_link=samples_link(task=name, kind="won"),
        lost_link=samples_link(task=name, kind="lost"),
        n=_count(entry.get("n")),
        notes=tuple(_line_notes(entry)),
    )


def _line_notes(entry: dict[str, Any]) -> list[str]:
    said = [
        f"{entry[key]} items only in {key[-1].upper()}"
        for key in ("only_a", "only_b")
        if entry.get(key)
    ]
    if entry.get("prompts_differ"):
        said.append(f"prompts differ on {entry['prompts_differ']} items")
    return said


def _samples(run: dict[str, Any], task: str, output: Path) -> str:
    """The run's page at a task's samples; what the seal says where they may be under seal."""
    held = (run.get("held_out") or {}).get("sealed") or {}
    return page_link(_folder(run), output, HELD_OUT if task in held else samples_link(task=task))


def _count(value: int | None) -> str:
    return numbers.MISSING if value is None else numbers.count(value)


def _span(value: float | None, low: float | None, high: float | None, reach: float) -> Span | None:
    if value is None or not numbers.is_number(value):
        return None

    def place(end: float | None) -> float:
        return round(50 + 50 * (value if end is None else end) / reach, 2)

    return Span(low=place(low), high=place(high), point=place(value))


def _suite(suite: dict[str, Any], reach: float) -> dict[str, Any]:
    found = suite["difference"]
    return {
        "tasks": len(suite["tasks"]),
        "difference": numbers.points(found["value"]),
        "interval": numbers.points_interval(found["ci_low"], found["ci_high"]),
        "span": _span(found["value"], found["ci_low"], found["ci_high"], reach),
    }
