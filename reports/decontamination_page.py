"""The page of `olmes decontaminate`: what data overlap with, and the pairs, marked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from olmes.decontamination.findings import Finding, Findings
from olmes.decontamination.matches import CONTAMINATED, MATCHED, NGRAM
from olmes.decontamination.pairs import Pair
from olmes.records.shown import shown
from olmes.reports import numbers
from olmes.reports.notices import DEMO_DATA, Notice, demo_notice
from olmes.reports.page import render_page
from olmes.tools import jsonl
from olmes.tools.durable_files import atomic_writer

SHOWN = 20
"""Pairs of a data set and an evaluation that the page has; the file has all."""
LONGEST = 4000
"""Characters of an item's text that the page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextView:
    """A text in pieces, each with whether both sides have it."""

    head: str
    segments: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """A row and an item, side by side."""

    row: str
    item: str
    share: str
    row_texts: tuple[TextView, ...]
    item_texts: tuple[TextView, ...]

    @classmethod
    def of(cls, pair: Pair) -> PairView:
        """A pair as it is shown."""
        match = pair.match
        name = f" ({pair.row_id})" if pair.row_id else ""
        return cls(
            row=f"row {match.row:,}{name}",
            item=pair.item.id,
            share=f"{match.matched:,} of {match.length:,} tokens, {shown(match.share, 'share')} %",
            row_texts=tuple(
                TextView(
                    head=f"text {one.number + 1}, from character {one.start:,}"
                    if one.number or one.start
                    else "",
                    segments=cut(one.segments()),
                )
                for one in pair.row_parts
            ),
            item_texts=tuple(
                TextView(head="", segments=cut(one.segments())) for one in pair.item_texts
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A data set beside an evaluation."""

    data_set: str
    task: str
    title: str
    closed: str
    n: str
    without_tokens: str
    overlapped: str
    share: str
    rows: str
    contaminated: bool
    link: str
    """To its pairs; '' where there are none to show."""


@dataclass(frozen=True, slots=True)
class Section:
    """The first pairs of a data set and an evaluation."""

    id: str
    data_set: str
    task: str
    count: int
    """Of all."""
    pairs: tuple[PairView, ...]


@dataclass
class PairsReport:
    """The files of a report: every pair as it is found, then the counts and the page."""

    folder: Path
    shown: dict[tuple[str, str], list[PairView]] = field(default_factory=dict)
    """By data set and task, the first pairs."""
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    stream: BinaryIO | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Take pairs; what is there when an exception ends the block is not kept."""
        with atomic_writer(self.folder / "pairs.jsonl") as self.stream:
            yield

    def keep(self, pair: Pair) -> None:
        """Write a pair down."""
        assert self.stream is not None
        self.stream.write(jsonl.line_of(pair.to_json()))
        key = (pair.data_set, pair.match.task)
        self.counts[key] = self.counts.get(key, 0) + 1
        views = self.shown.setdefault(key, [])
        if len(views) < SHOWN:
            views.append(PairView.of(pair))

    def write(self, found: Findings) -> list[Path]:
        """Write the counts and the page; every file of the report."""
        counts, page = self.folder / "overlap.json", self.folder / "index.html"
        jsonl.write_atomically(counts, jsonl.dumps(found.to_json(items=True)) + "\n")
        jsonl.write_atomically(page, self.html(found))
        return [page, self.folder / "pairs.jsonl", counts]

    def html(self, found: Findings) -> str:
        """The page."""
        sections = [
            Section(f"pairs-{number}", *key, self.counts[key], tuple(views))
            for number, (key, views) in enumerate(self.shown.items(), start=1)
        ]
        labels = found.labels()
        anchors = {(one.data_set, one.task): f"#{one.id}" for one in sections}
        context = {
            "lines": list(lines_of(found, anchors)),
            "notices": list(notices(found)),
            "sections": sections,
            "ngram": NGRAM,
            "matched": f"{MATCHED:.0%}".replace("%", " %"),
            "contaminated": f"{CONTAMINATED:.0%}".replace("%", " %"),
            "fields": " and ".join(found.fields),
            "is_contaminated": found.contaminated,
            "labels": labels,
            "contaminated_sets": [labels[one.name] for one in found.data_sets if one.contaminated],
        }
        return render_page("decontamination.html.jinja", context)


def lines_of(found: Findings, anchors: Mapping[tuple[str, str], str]) -> Iterator[Line]:
    """The rows of the table."""
    labels = found.labels()
    for data_set in found.data_sets:
        for one in data_set.findings:
            name = (data_set.name, one.evaluation.task)
            yield Line(
                data_set=labels[data_set.name],
                task=one.evaluation.task,
                title=one.evaluation.title,
                closed=closed_word(one),
                n=numbers.count(one.n),
                without_tokens=numbers.count(one.evaluation.without_tokens or None),
                overlapped=numbers.count(len(one.overlapped)),
                share=shown(one.share, "share"),
                rows=numbers.count(one.matched_rows),
                contaminated=one.contaminated,
                link=anchors.get(name, ""),
            )


def closed_word(finding: Finding) -> str:
    """Why no item of an evaluation is shown; '' where they are."""
    if finding.evaluation.held_out:
        return f"held out by {', '.join(finding.evaluation.held_out)}"
    return "gated" if finding.evaluation.gated else ""


def notices(found: Findings) -> Iterator[Notice]:
    """What must be known before the table is read."""
    demo = [one.title for one in found.evaluations if one.origin == "demo"]
    if demo:
        yield demo_notice(f"{', '.join(demo)}: {DEMO_DATA}.")
    for task, why in found.skipped.items():
        yield Notice("caution", "Skipped", f"{task}: {why}")
    for one in found.data_sets:
        if one.without_text:
            count = f"{one.without_text:,} of {one.rows:,} rows of {one.name}"
            text = f"{count} have no text that is compared."
            yield Notice("caution", "Rows without text", text)


def cut(segments: Sequence[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    """As much of a text as a page shows."""
    left, found = LONGEST, []
    for text, same in segments:
        found.append((text[:left], same))
        left -= len(text)
        if left < 0:
            return (*found, (" …", False))
    return tuple(found)
