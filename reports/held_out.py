"""Runs under seal: the look that was taken, and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from olmes import stats
from olmes.records.record import Record
from olmes.reports import numbers
from olmes.reports.dates import date
from olmes.reports.links import Link, samples_link, sealed_link

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
    command: str
    """What opens the samples; '' when none are under seal any more."""


def link_of(record: Record, task: str) -> Link:
    """What makes the links from a task's numbers: to its samples, or to what is said of the seal."""
    return sealed_link if record.sealed(task) else samples_link


def held_out_view(record: Record) -> HeldOutView | None:
    """The look a run was; None for a run without held-out tasks and for older records."""
    held = record.data.get("held_out")
    if not held:
        return None
    files = tuple(
        SealedFileView(
            title=record.tasks[task].get("title") or task,
            file=sealed["file"],
            rows=numbers.count(sealed["rows"]),
            sha256=sealed["sha256"],
            opened=not record.sealed(task),
        )
        for task, sealed in held["sealed"].items()
    )
    closed = not all(file.opened for file in files)
    return HeldOutView(
        line=look_line(held),
        facts=(*_facts(held), *_gap(held, record.data.get("suite"))),
        files=files,
        command=f'olmes unseal RUNS/{record.id} --reason "..."' if closed else "",
    )


def look_line(held: dict[str, Any]) -> str:
    """What has to stand beside a held-out score: which look it was, and the dev score at that time."""
    return f"{ordinal_look(held)}; {dev_words(held['dev'])}"


def ordinal_look(held: dict[str, Any]) -> str:
    """`Look 3 of the family tulu-8b`."""
    return f"Look {held['looks_before'] + 1} of the family {held['family']}"


def dev_words(dev: dict[str, Any] | None) -> str:
    """The development score of the same weights when they were looked at."""
    if dev is None or dev.get("value") is None:
        return "no dev score of these weights was known then"
    incomplete = "" if dev.get("complete", True) else " of an incomplete run"
    return f"dev score then {_score(dev)}{incomplete}"


def _score(dev: dict[str, Any]) -> str:
    share = numbers.is_share(dev["value"])
    value = numbers.plain(dev["value"], share=share)
    return f"{value} {numbers.interval(dev['ci_low'], dev['ci_high'], share=share)}"


def _facts(held: dict[str, Any]) -> Iterator[tuple[str, str]]:
    before = held["looks_before"]
    yield "reason", held["reason"]
    yield "asked by", f"{held['who']} ({held['asked_by']})"
    yield "when", date(held["time"])
    yield "family", held["family"]
    yield "looks before", "none" if not before else numbers.count(before)
    yield "lineage", " → ".join(map(_step, held.get("lineage") or ())) or "not stated by the model"
    dev = held["dev"]
    yield "dev score then", dev_words(dev) if dev is None else f"{_score(dev)}, n = {dev['n']:,}"
    if dev is not None:
        incomplete = "" if dev.get("complete", True) else " (incomplete)"
        yield "dev run", f"{dev['run']}, suite {dev['suite']}{incomplete}"
    yield "ledger", f"line {held['ledger']['number']}, hash {held['ledger']['hash']}"
    for task, suites in held["tasks"].items():
        yield task, f"held out by {', '.join(suites)}"


def _gap(held: dict[str, Any], suite: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The development score then less the mean of the held-out suite, with its interval."""
    dev = held["dev"]
    if not (suite and suite["held_out"] and dev) or None in (dev["value"], suite["value"]):
        return
    one, other = (
        stats.Estimate(**{key: found[key] for key in ("value", "stderr", "ci_low", "ci_high", "n")})
        for found in (dev, suite)
    )
    gap = stats.generalization_gap(one, other)
    interval = numbers.points_interval(gap.ci_low, gap.ci_high)
    incomplete = "" if suite.get("complete", True) else ", of an incomplete suite"
    yield "dev less unseen", f"{numbers.points(gap.value)} points {interval}{incomplete}"


def _step(step: dict[str, Any]) -> str:
    """One step of a lineage: `base meta-llama/..., step 400`."""
    return ", ".join(f"{key} {value}" for key, value in step.items())
