"""Pages and comparisons, made in a worker process by the functions that write the static reports.

A page gets the server's bar, its style and the script of live updates; its content security policy
moves from the page into the answer's header and allows these two files and this server.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import html
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import TemplateError

import olmes
from olmes.client.types import Leaderboard
from olmes.comparison.compare import Comparison, compare_runs
from olmes.records.record import Record
from olmes.server.pages.leaderboard import leaderboard
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.store import RunFilter
from olmes.server.store.stored_records import StoredRecords
from olmes.tools.as_json import as_json, json_bytes, one_level
from olmes.tools.hashing import sha256
from olmes.types import JsonObject

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">\n?')
PLACES = (
    ("leaderboard.html", "Leaderboard"),
    ("runs.html", "Runs"),
    ("checkpoints.html", "Checkpoints"),
    ("ledger.html", "Ledger"),
)
UNFIT = (TemplateError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What is raised over a record that this olmes cannot read."""
CURRENT = ' aria-current="true"'
MADE_WITH = ("comparison", "records", "reports", "seal", "server", "stats")
"""Rooms of olmes that pages are made with."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, ready to be sent."""

    body: bytes
    """HTML, or JSON for the API; gzipped."""
    policy: str
    """Its content security policy; '' for that of every answer that is no page."""
    tag: str
    """Its ETag."""


@functools.cache
def stored_records(settings: Settings) -> StoredRecords:
    """The stored records, for as long as the process lives."""
    return StoredRecords(settings)


def ready() -> None:
    """Import what a worker needs, before somebody waits for it."""
    import olmes.reports.comparison_page
    import olmes.reports.run_page  # noqa: F401


@functools.cache
def pages_version() -> str:
    """A hash of everything that pages are made with: another olmes makes other pages."""
    digest = []
    for room in MADE_WITH:
        for path in sorted((Path(olmes.__path__[0]) / room).resolve().rglob("*")):
            if path.is_file() and path.suffix in (".py", ".jinja", ".js", ".css"):
                digest.append(sha256(path.read_bytes()))
    return sha256("".join(digest).encode())[:16]


def served(text: str, depth: int, current: str, *, live: bool = True) -> Page:
    """A static page as the server sends it.

    Args:
        text: the page.
        depth: how many folders below the server's root its address is.
        current: the entry of the bar it belongs to, one of `PLACES`; '' for none.
        live: whether it hears of runs that arrive.
    """
    match = POLICY.search(text)
    if match is None:
        raise ValueError("a page without a content security policy")
    root = "../" * depth
    links = "".join(
        f'<a href="{root}{place}"{CURRENT if place == current else ""}>{word}</a>'
        for place, word in PLACES
    )
    status = '<span id="live" role="status" aria-live="polite"></span>' if live else ""
    bar = f'<nav class="server" aria-label="Server">{links}{status}</nav>\n'
    text = text[: match.start()] + text[match.end() :]
    text = text.replace(
        "</head>", f'<link rel="stylesheet" href="{root}static/server.css">\n</head>', 1
    )
    text = text.replace("<body>", f'<body data-root="{root or "./"}">\n{bar}', 1)
    if live:
        before, _, after = text.rpartition("</body>")
        text = f'{before}<script src="{root}static/live.js"></script>\n</body>{after}'
    # Half of a surrogate pair, which UTF-8 cannot encode, is shown as it is escaped on disk.
    body = gzip.compress(text.encode("utf-8", "backslashreplace"), compresslevel=5, mtime=0)
    return Page(body, server_policy(html.unescape(match[1])), tag_of(body))


def tag_of(body: bytes) -> str:
    """The ETag of a page's bytes."""
    return f'"{sha256(body)[:32]}"'


def server_policy(policy: str) -> str:
    """A static page's policy with what the server adds: two files, and the stream of events."""
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    for name in ("style-src", "script-src"):
        rules[name] = f"{rules.get(name, '')} 'self'".strip()
    rules["connect-src"] = "'self'"
    rules["form-action"] = "'self'"
    rules["frame-ancestors"] = "'none'"
    return "; ".join(f"{name} {value}".strip() for name, value in rules.items())


def render(write: Callable[[Path], object], folder: Path, depth: int, current: str) -> Page:
    """What a function writes, as the server sends it.

    Args:
        write: writes a page at the path it is given.
        folder: where the page would lie, by which its links are made.
        depth: as for `served`.
        current: as for `served`.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".page-", suffix=".html") as file:
        with readable_records():
            write(Path(file.name))
        # The writer replaces the file: read it by its name.
        return served(Path(file.name).read_text("utf-8"), depth, current)


@contextlib.contextmanager
def readable_records() -> Iterator[None]:
    """Refuse what a record does not fit, of another olmes, say: the server is not broken.

    Raises:
        RefusedError: it lacks a part, or a number of it cannot be worked with.
    """
    try:
        yield
    except UNFIT as error:
        why = f"{type(error).__name__}: {error}"
        raise RefusedError(422, f"a record here lacks what this page shows ({why}).") from error


def run_page(settings: Settings, run: str) -> Page:
    """The page of a run."""
    from olmes.reports.run_page import write_run_page

    found = stored_records(settings)
    record = found.record(run)
    record.check_samples()
    page = render(
        lambda output: write_run_page(Record(record.folder, record.run), output),
        record.folder,
        depth=2,
        current="runs.html",
    )
    found.tidy()
    return page


def board_page(settings: Settings) -> Page:
    """The page of the leaderboard."""
    from olmes.reports.leaderboard_page import write_leaderboard_page

    found = stored_records(settings)
    records = found.records(RunFilter())
    page = render(
        lambda output: write_leaderboard_page(records, output, compare_link=comparison_address),
        found.folder,
        depth=0,
        current="leaderboard.html",
    )
    found.tidy()
    return page


def comparison_address(baseline: str, candidate: str) -> str:
    """The page of two runs compared, as seen from the server's root."""
    return "compare.html?" + urlencode({"a": baseline, "b": candidate})


def board_numbers(settings: Settings) -> Leaderboard:
    """The leaderboard as numbers."""
    return leaderboard(stored_records(settings).records(RunFilter()))


def board_answer(settings: Settings) -> Page:
    """The leaderboard for the API."""
    return as_answer(board_numbers(settings))


def as_answer(value: Any) -> Page:
    """What the API answers: JSON, ready to be sent."""
    body = gzip.compress(json_bytes(value), compresslevel=2, mtime=0)
    return Page(body, "", f'"{sha256(body)[:32]}"')


def compare(settings: Settings, names: Sequence[str], *, margin: float, force: bool) -> Comparison:
    """Two runs compared, the second held against the first."""
    found = stored_records(settings)
    first, second = (found.record(name) for name in names)
    for record in (first, second):
        record.check_samples()
    with readable_records():
        comparison = compare_runs(first, second, force=force, margin=margin)
    found.tidy()
    return comparison


def comparison_numbers(
    settings: Settings, names: Sequence[str], *, margin: float, force: bool
) -> JsonObject:
    """A comparison as numbers: without places on the server's disk."""
    found: JsonObject = as_json(comparison_fields(settings, names, margin=margin, force=force))
    return found


def comparison_fields(
    settings: Settings, names: Sequence[str], *, margin: float, force: bool
) -> dict[str, Any]:
    """A comparison by its fields: without places on the server's disk."""
    found: dict[str, Any] = one_level(compare(settings, names, margin=margin, force=force))
    runs = [one_level(run) for run in found["runs"]]
    return found | {
        "runs": [{name: said for name, said in run.items() if name != "folder"} for run in runs]
    }


def comparison_answer(
    settings: Settings, names: Sequence[str], *, margin: float, force: bool
) -> Page:
    """A comparison for the API."""
    return as_answer(comparison_fields(settings, names, margin=margin, force=force))


def comparison_page(
    settings: Settings, names: Sequence[str], *, margin: float, force: bool
) -> Page:
    """The page of a comparison."""
    from olmes.reports.comparison_page import comparison_html

    comparison = compare(settings, names, margin=margin, force=force)
    with readable_records():
        # Not by way of the disk, which may be busy with uploads.
        text = comparison_html(comparison, stored_records(settings).folder / "compare.html")
    return served(text, depth=0, current="runs.html")


def checkpoints_page(settings: Settings, family: str) -> Page:
    """The page of a training."""
    from olmes.reports.checkpoints_page import write_checkpoints_page

    found = stored_records(settings)
    found.write_ledger()
    records = found.records(RunFilter(family=family))
    steps = [
        (float(step), record) for record in records if (step := record.run.model.step) is not None
    ]
    if not steps:
        raise RefusedError(404, f"no run of {family[:80]!r} says its training step.", "family")
    return render(
        lambda output: write_checkpoints_page(steps, output, title=family),
        found.folder,
        depth=0,
        current="checkpoints.html",
    )
