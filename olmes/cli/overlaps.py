"""Overlaps of training data with evaluations on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from olmes.cli.tables import blank_table
from olmes.decontamination.matches import CONTAMINATED
from olmes.records.shown import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from olmes.decontamination.clean import Cleaned
    from olmes.decontamination.findings import DataSet, Finding, Findings
    from olmes.decontamination.published_overlaps import Beside


def print_findings(found: Findings, screen: Console) -> None:
    """The table, what must be known of it, and what the rule says."""
    screen.print(findings_table(found))
    for note in notes(found):
        screen.print(f"! {note}", style="yellow", soft_wrap=True)
    for one in found.data_sets:
        style = "red" if one.contaminated else "green"
        screen.print(verdict(one), style=style, soft_wrap=True)


def findings_table(found: Findings) -> Table:
    """A row a data set and evaluation."""
    table = blank_table("data set", "evaluation", "items", "overlap", "share %", "rows", "")
    labels = found.labels()
    for one in found.data_sets:
        for number, finding in enumerate(one.findings):
            table.add_row(
                "" if number else labels[one.name],
                label(finding),
                f"{finding.n:,}",
                f"{len(finding.overlapped):,}",
                shown(finding.share, "share"),
                f"{finding.matched_rows:,}",
                "contaminated" if finding.contaminated else "",
                style="red" if finding.contaminated else None,
            )
        table.add_section()
    return table


def label(finding: Finding) -> str:
    """An evaluation's name, and what of it may not be shown."""
    one = finding.evaluation
    return one.task + (" (held out)" if one.held_out else " (gated)" if one.gated else "")


def verdict(one: DataSet) -> str:
    """What the rule says of a data set."""
    names = [finding.evaluation.task for finding in one.findings if finding.contaminated]
    limit = f"{CONTAMINATED:.0%}".replace("%", " %")
    if not names:
        return f"{one.name}: no evaluation has more than {limit} of its items in {one.rows:,} rows"
    return f"{one.name}: contaminated: more than {limit} of the items of {', '.join(names)}"


def notes(found: Findings) -> Iterator[str]:
    """What a reader of the table must know."""
    for task, why in found.skipped.items():
        yield f"{task}: skipped: {why}"
    demo = [one.task for one in found.evaluations if one.origin == "demo"]
    if demo:
        yield f"demo data in {', '.join(demo)}: this says nothing of the benchmark"
    for one in found.evaluations:
        if one.without_tokens:
            yield (
                f"{one.task}: {one.without_tokens:,} of {len(one.items):,} items have no word to "
                "compare, and overlap with nothing"
            )
    for data_set in found.data_sets:
        if data_set.without_text:
            yield (
                f"{data_set.name}: {data_set.without_text:,} of {data_set.rows:,} rows have no text "
                "that is compared (--field names where it is)"
            )
    if any(one.closed for one in found.evaluations):
        yield "of held-out and gated items counts alone are shown"


def print_cleaned(cleaned: Sequence[Cleaned], screen: Console) -> None:
    """What was written without what overlaps."""
    for one in cleaned:
        data_set = one.data_set
        if one.file:
            said = f"clean   {one.file}: {one.dropped:,} of {data_set.rows:,} rows dropped"
            screen.print(said, soft_wrap=True)
        else:
            names = ", ".join(finding.evaluation.task for finding in data_set.closed_by)
            said = f"left out whole: {data_set.name}, contaminated by {names}"
            screen.print(said, style="red", soft_wrap=True)


def print_published(rows: Sequence[Beside], screen: Console) -> None:
    """The published numbers beside ours."""
    table = blank_table("training set", "evaluation", "published %", "ours %", "n")
    shown_set = ""
    for row in rows:
        ours = shown(None if row.ours is None else row.ours / 100, "share")
        table.add_row(
            "" if row.training_set == shown_set else row.training_set,
            row.evaluation or "rows removed",
            f"{row.published:.1f}",
            ours if row.ours is not None else "not here",
            f"{row.n:,}" if row.n else "",
            style="dim" if row.ours is None else None,
        )
        shown_set = row.training_set
    screen.print(table)
    for one in dict.fromkeys((row.training_set, row.note) for row in rows if row.note and row.n):
        screen.print(f"! {one[0]}: {one[1]}", style="yellow", soft_wrap=True)
    for why in dict.fromkeys(row.why_missing for row in rows):
        if why not in ("", "not here"):
            screen.print(f"! {why}", style="yellow", soft_wrap=True)
