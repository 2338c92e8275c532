"""Runs under seal: the look that was taken, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from olmes.records.record import Record
from olmes.records.schema import DevScore, HeldOut
from olmes.records.shown import shown, shown_interval
from olmes.reports import numbers
from olmes.reports.dates import date
from olmes.reports.links import Link, samples_link, sealed_link
from olmes.seal.counted_look import CountedLook

if TYPE_CHECKING:
    from olmes.comparison.model_scores import PastLook

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFileView:
    """The samples of one held-out task."""

    title: str
    file: str
    rows: str
    sha256: str
    opened: bool
    """Whether the samples were opened since, which was a look of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutView:
    """A look at held-out tasks, ready to be shown."""

    line: str
    """The look in one line: which one it is, and the development score at that time."""
    facts: Pairs
    files: tuple[SealedFileView, ...]
    closed: bool
    """Whether any samples are packed still."""
    command: str
    """What opens the samples; '' where none are left that may be opened."""


def link_of(record: Record, task: str) -> Link:
    """What makes the links from a task's numbers: to its samples, or to what is said of the seal."""
    return sealed_link if record.sealed(task) else samples_link


def held_out_view(record: Record) -> HeldOutView | None:
    """The look a run was; None for a run without held-out tasks and for older records."""
    look = record.run.held_out
    if look is None:
        return None
    files = tuple(
        SealedFileView(
            title=record.run.title(task),
            file=sealed.file,
            rows=numbers.count(sealed.rows),
            sha256=sealed.sha256,
            opened=not record.sealed(task),
        )
        for task, sealed in look.sealed.items()
    )
    to_open = any(
        not file.opened and task not in record.run.gated
        for task, file in zip(look.sealed, files, strict=True)
    )
    return HeldOutView(
        line=look_line(look),
        facts=tuple(_facts(look)),
        files=files,
        closed=not all(file.opened for file in files),
        command=f'olmes unseal RUNS/{record.id} --reason "..."' if to_open else "",
    )


def look_line(look: HeldOut | PastLook | None, altered: str = "") -> str:
    """What has to stand beside a held-out score: which look it was, and the dev score at that time.

    Args:
        look: None for a record that says nothing of the look that it was.
        altered: that the record was changed (`Record.altered`).
    """
    parts = (ordinal_look(look), dev_words(look.dev), known_words(look)) if look else ()
    return "; ".join(filter(None, (*parts, altered)))


def ordinal_look(look: HeldOut | PastLook) -> str:
    """`Look 3 of the family tulu-8b`."""
    return f"Look {look.looks_before + 1} of the family {look.family}"


def known_words(look: HeldOut | PastLook) -> str:
    """How many looks went before by every ledger that is known; '' where its own says the same."""
    if not isinstance(look, CountedLook) or look.known_before == look.looks_before:
        return ""
    looks = "look" if look.known_before == 1 else "looks"
    return f"{numbers.count(look.known_before)} {looks} before it in all ledgers here"


def dev_words(dev: DevScore | None) -> str:
    """The development score of the same weights when they were looked at."""
    if dev is None or dev.value is None:
        return "no dev score of these weights was known then"
    incomplete = "" if dev.complete else " of an incomplete run"
    return f"dev score then {_score(dev)}{incomplete}"


def _score(dev: DevScore) -> str:
    return f"{shown(dev.value, dev.unit)} {shown_interval(dev, dev.unit)}"


def _facts(look: HeldOut) -> Iterator[tuple[str, str]]:
    before, dev = look.looks_before, look.dev
    yield "reason", look.reason
    yield "asked by", f"{look.who} ({look.asked_by})"
    yield "when", date(look.time)
    yield "family", look.family
    yield "looks before", "none" if not before else numbers.count(before)
    if known := known_words(look):
        yield "elsewhere", known
    yield "lineage", " → ".join(map(_step, look.lineage)) or "not stated by the model"
    yield "dev score then", dev_words(dev) if dev is None else f"{_score(dev)}, n = {dev.n:,}"
    if dev is not None:
        incomplete = "" if dev.complete else " (incomplete)"
        yield "dev run", f"{dev.run}, suite {dev.suite}{incomplete}"
    yield "ledger", f"line {look.ledger.number}, hash {look.ledger.hash}"
    for task, suites in look.tasks.items():
        yield task, f"held out by {', '.join(suites)}"


def _step(step: Mapping[str, object]) -> str:
    """One step of a lineage: `base meta-llama/..., step 400`."""
    told = {key: value for key, value in step.items() if not isinstance(value, list | dict)}
    return ", ".join(f"{key} {value}" for key, value in told.items())
