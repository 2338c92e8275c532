"""The pages that no static report has: runs, trainings, ledger. Same frame, same style."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.client.types import Number, Primary, UnderWay
from olmes.records.shown import MISSING, interval, shown
from olmes.seal.ledger import Entry
from olmes.server.pages.look_lines import look_lines
from olmes.server.pages.report_pages import Page, served
from olmes.server.store.cursors import cursor, read_cursor
from olmes.server.store.kept_line import KeptLine
from olmes.server.store.look_counts import back_in_time
from olmes.server.store.store import RunFilter, Store
from olmes.server.store.table_rows import FamilyRow, RunRow
from olmes.tools.visible_text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent / "templates"
RUNS_A_PAGE = 100
FORKS = 20
"""Forks of ledgers that are told at once."""
LOOKED = {
    "run": "scores",
    "unseal": "samples",
    "score": "scores",
    "show": "items",
    "check": "items",
    "overlap-counted": "overlap with training data",
}
"""What was seen, by the event of a ledger."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What a run is of, and its score as it is written."""

    what: str
    """The suite or the tasks."""
    score: str
    """The suite's mean, or the number of the one task."""
    interval: str
    """Its 95 % interval; '' where there is none."""
    thoughts: str
    """Of which tasks a share of the responses ended inside their thought; '' for none."""


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A line of the list of runs."""

    run: RunRow
    head: Headline
    look: str
    """Which look at held-out tasks it was; '' for others."""


@functools.cache
def environment() -> Environment:
    """The server's templates above those of the reports."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

    from olmes.reports import page as frame
    from olmes.reports.dates import date

    found = Environment(
        loader=ChoiceLoader([FileSystemLoader(HERE), FileSystemLoader(frame.HERE / "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible_text,
    )
    found.filters["date"] = date
    return found


def visible_text(value: Any) -> Any:
    """What a template prints: text with what steers, or cannot be encoded, made visible."""
    return visible(value) if type(value) is str else value


def own_page(template: str, current: str, **context: Any) -> Page:
    """A page from one of the server's templates.

    Args:
        template: its name.
        current: which entry of the bar it is.
        context: what the template shows.
    """
    return served(own_text(template, **context), depth=0, current=current)


def own_text(template: str, **context: Any) -> str:
    """The HTML of one of the server's templates, before the server's bar stands on it.

    Args:
        template: its name.
        context: what it shows.
    """
    from markupsafe import Markup

    from olmes.reports.page import asset, content_policy

    style, theme = asset("report.css"), asset("theme.js")
    return (
        environment()
        .get_template(template)
        .render(
            **context,
            policy=content_policy(style, [theme]),
            style=Markup(style),  # noqa: S704 (the reports' own files)
            theme=Markup(theme),  # noqa: S704
            scripts=[],
            data=None,
            blobs=[],
        )
    )


def unpacked(page: Page) -> bytes:
    """A page's HTML."""
    return gzip.decompress(page.body)


def runs_page(
    store: Store,
    running: Sequence[UnderWay],
    asked: Mapping[str, str | None],
    after: str | None,
    address: str,
) -> Page:
    """The list of runs, with the evaluations under way and a form that compares two.

    Args:
        store: where they are.
        running: the evaluations under way.
        asked: the filter.
        after: a place in the list to resume from.
        address: of the server, for whoever has no run yet.
    """
    wanted = RunFilter(
        words=asked["q"] or "", suite=asked["suite"] or None, model=asked["model"] or None
    )
    since = store.newest_seq()
    rows = store.find_runs(wanted, limit=RUNS_A_PAGE + 1, before=read_cursor(after), by="arrived")
    more, rows = len(rows) > RUNS_A_PAGE, rows[:RUNS_A_PAGE]
    count, samples = store.count_runs()
    numbers = store.primaries([row.seq for row in rows])
    looks = look_lines(store, rows)
    return own_page(
        "runs.html.jinja",
        "runs.html",
        address=address,
        runs=[
            ListedRun(row, headline(row, numbers[row.seq]), looks.get(row.seq, "")) for row in rows
        ],
        running=running,
        asked=asked,
        following=cursor(rows[-1].created, rows[-1].seq) if more else "",
        first=after is None and not any(asked.values()),
        since=since,
        count=count,
        samples=samples,
    )


def headline(row: RunRow, tasks: Mapping[str, Primary]) -> Headline:
    """What a run is of, and its score: the suite's mean, or that of its one task."""
    what = row.suite or ", ".join(tasks)
    number: Number | None = row.suite_mean
    if number is None and len(tasks) == 1:
        [number] = tasks.values()
    if number is None:
        return Headline(what, MISSING, "", unfinished(tasks))
    unit, low, high = number["unit"], number["ci_low"], number["ci_high"]
    ends = "" if low is None else interval(low, high, unit)
    return Headline(what, shown(number["value"], unit), ends, unfinished(tasks))


def unfinished(tasks: Mapping[str, Primary]) -> str:
    """Of which tasks a share of the responses ended inside their thought; '' for none."""
    shares = {name: task["unfinished_thinking"] for name, task in tasks.items()}
    found = [f"{shown(share, 'share')} % of {name}" for name, share in shares.items() if share]
    return f"unfinished thinking: {', '.join(found)}" if found else ""


def families_page(families: Sequence[FamilyRow]) -> Page:
    """The list of trainings."""
    return own_page("families.html.jinja", "checkpoints.html", families=families)


@dataclass(frozen=True, slots=True)
class ListedLook:
    """A line of the table of looks."""

    line: KeptLine
    looked: str
    """What was seen."""
    of: str
    """The run, or the tasks where it was none."""
    before: int | None
    """Looks before over every ledger here; None for a line that does not count as a look."""
    back_in_time: bool
    here: bool
    """Whether its run is here."""


def ledger_page(store: Store) -> Page:
    """Every look at held-out tasks, and where a ledger was continued twice."""
    lines = store.ledgers.lines()
    before, back = store.ledgers.looks_before(), back_in_time(lines)
    shown_lines = [line for line in lines if line.entry.get("event") != "result"]
    here = store.known_runs(line.entry["run"] for line in shown_lines)
    looks = [
        ListedLook(
            line,
            looked=looked(str(line.entry["event"])),
            of=line.entry["run"] or tasks_of(line.entry),
            before=before.get(line.hash),
            back_in_time=line.hash in back,
            here=line.entry["run"] in here,
        )
        for line in shown_lines
    ]
    forks = [line for line in lines if line.parts]
    return own_page(
        "looks.html.jinja",
        "ledger.html",
        looks=looks,
        forks=forks[:FORKS],
        more_forks=len(forks[FORKS:]),
        lines=len(lines),
        count=len(before),
    )


def looked(event: str) -> str:
    """What was seen at a look, in a word."""
    return LOOKED.get(event, event)


def tasks_of(entry: Entry) -> str:
    """The tasks that a line names; '' for none."""
    tasks = entry.get("tasks")
    return ", ".join(map(str, tasks)) if isinstance(tasks, list) else ""
