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
    return found


def percent(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f}"


def own_page(template: str, **context: Any) -> Page:
    """A page from one of the server's templates."""
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
    return served(text, depth=0)


def unpacked(page: Page) -> bytes:
    """A page's HTML."""
    return gzip.decompress(page.body)


def runs_page(
    store: Store, running: Sequence[Any], asked: Mapping[str, str | None], after: str | None
) -> Page:
    """The list of runs, with the evaluations under way and a form that compares two."""
    from olmes.server.routes.runs import cursor, place

    wanted = RunFilter(
        words=asked["q"] or "", suite=asked["suite"] or None, model=asked["model"] or None
    )
    since = store.newest_seq()
    rows = store.find_runs(wanted, limit=RUNS_A_PAGE + 1, before=place(after), by="arrived")
    more, rows = len(rows) > RUNS_A_PAGE, rows[:RUNS_A_PAGE]
    count, samples = store.count_runs()
    return own_page(
        "runs.html.jinja",
        runs=with_looks(store.database, rows),
        running=running,
        asked=asked,
        following=cursor(rows[-1]["created"], rows[-1]["seq"]) if more else "",
        first=after is None and not any(asked.values()),
        since=since,
        count=count,
        samples=samples,
    )


def families_page(families: Sequence[Any]) -> Page:
    """The list of trainings."""
    return own_page("families.html.jinja", families=families)


def ledger_page(entries: Sequence[Entry]) -> Page:
    """Every look at held-out tasks."""
    looks = [entry for entry in entries if entry.get("event") in LOOKS]
    return own_page("looks.html.jinja", looks=looks, lines=len(entries))
