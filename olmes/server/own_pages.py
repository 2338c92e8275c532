"""The pages that no static report has: runs, trainings, ledger. Same frame, same style."""

from __future__ import annotations

import functools
import gzip
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.seal.ledger import Entry
from olmes.seal.look import LOOKS
from olmes.server.looks import with_looks
from olmes.server.rendering import Page, served
from olmes.server.store import RunFilter, Store

HERE = Path(__file__).parent / "templates"
RUNS_A_PAGE = 100


@functools.cache
def environment() -> Any:
    """The server's templates above those of the reports."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

    reports = importlib.import_module("olmes.reports.page")
    found = Environment(
        loader=ChoiceLoader([FileSystemLoader(HERE), FileSystemLoader(reports.HERE / "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["percent"] = percent
    found.filters["date"] = importlib.import_module("olmes.reports.dates").date
    return found


def percent(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f}"


def own_page(template: str, current: str, **context: Any) -> Page:
    """A page from one of the server's templates.

    Args:
        template: its name.
        current: which entry of the bar it is.
        context: what the template shows.
    """
    from markupsafe import Markup

    reports = importlib.import_module("olmes.reports.page")
    style, theme = reports.asset("report.css"), reports.asset("theme.js")
    text = (
        environment()
        .get_template(template)
        .render(
            **context,
            policy=reports.content_policy(style, [theme]),
            style=Markup(style),  # noqa: S704 (the reports' own files)
            theme=Markup(theme),  # noqa: S704
            scripts=[],
            data=None,
            blobs=[],
        )
    )
    return served(text, depth=0, current=current)


def unpacked(page: Page) -> bytes:
    """A page's HTML."""
    return gzip.decompress(page.body)


def runs_page(
    store: Store,
    running: Sequence[Any],
    asked: Mapping[str, str | None],
    after: str | None,
    address: str,
) -> Page:
    """The list of runs, with the evaluations under way and a form that compares two.

    Args:
        store: where they are.
        running: the evaluations under way.
        asked: the filter.
        after: a place in the list to go on from.
        address: of the server, for whoever has no run yet.
    """
    from olmes.server.routes.runs import cursor, place

    wanted = RunFilter(
        words=asked["q"] or "", suite=asked["suite"] or None, model=asked["model"] or None
    )
    since = store.newest_seq()
    rows = store.find_runs(wanted, limit=RUNS_A_PAGE + 1, before=place(after), by="arrived")
    more, rows = len(rows) > RUNS_A_PAGE, rows[:RUNS_A_PAGE]
    count, samples = store.count_runs()
    numbers = store.primaries([row["seq"] for row in rows])
    return own_page(
        "runs.html.jinja",
        "runs.html",
        address=address,
        runs=[row | headline(row, numbers[row["seq"]]) for row in with_looks(store.database, rows)],
        running=running,
        asked=asked,
        following=cursor(rows[-1]["created"], rows[-1]["seq"]) if more else "",
        first=after is None and not any(asked.values()),
        since=since,
        count=count,
        samples=samples,
    )


def headline(row: Mapping[str, Any], tasks: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is of, and its score: the suite's mean, or that of its one task."""
    if row["suite"]:
        return {"what": row["suite"], "score": row}
    one = next(iter(tasks.values())) if len(tasks) == 1 else None
    none = {"value": None, "ci_low": None}
    return {"what": ", ".join(tasks), "score": one or none}


def families_page(families: Sequence[Any]) -> Page:
    """The list of trainings."""
    return own_page("families.html.jinja", "checkpoints.html", families=families)


def ledger_page(entries: Sequence[Entry]) -> Page:
    """Every look at held-out tasks."""
    looks = [entry for entry in entries if entry.get("event") in LOOKS]
    return own_page("looks.html.jinja", "ledger.html", looks=looks, lines=len(entries))
