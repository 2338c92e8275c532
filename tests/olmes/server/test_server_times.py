"""Runs in the order of their own time, whenever they arrived, and what trainings scored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.client.types import Family
from olmes.server.pages.server_pages import families_page
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.cursors import Order, cursor, read_cursor
from olmes.server.store.families import families
from olmes.server.store.store import RunFilter, Store, place_of
from olmes.server.store.table_rows import moment_of
from tests.olmes.server.taken_in import add

TIMES = {
    "second": "2026-11-22T10:00:00.25Z",
    "last": "2026-11-22T08:30:00-03:00",
    "tied-b": "2026-11-22T10:00:00Z",
    "first": "2026-11-22T11:59:59+02:00",
    "tied-a": "2026-11-22T11:00:00+01:00",
}
"""By name, in the order of arrival."""
ORDER = ["last", "second", "tied-b", "tied-a", "first"]


def opened(store: str, tmp_path: Path) -> Store:
    found = Store(Settings(store=store, work=str(tmp_path / "work")))
    found.database.migrate()
    return found


def changed(folder: Path, **fields: Any) -> Path:
    data = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(data | fields))
    return folder


def test_runs_are_listed_by_their_own_time_page_by_page(
    store: str, copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    here = opened(store, tmp_path)
    for name, created in TIMES.items():
        add(here, changed(copy_run(name), created=created))
    seen, after = [], None
    while True:
        place = read_cursor(after, "created")
        found = here.find_runs(RunFilter(), limit=1, before=place, by="created")
        if not found:
            break
        [row] = found
        seen.append(row.id)
        after = cursor(place_of(row, "created"))
        if row.id == "second":  # what comes in between moves no later part of the list
            add(here, changed(copy_run("newest"), created="2026-11-23T00:00:00Z"))
    assert seen == ORDER
    rows = here.find_runs(RunFilter(), limit=9, before=None, by="arrived")
    assert [row.id for row in rows] == ["newest", *reversed(TIMES)]
    wrong: list[tuple[str | None, Order]] = [
        (after, "arrived"), (cursor(("", 3)), "created"), (cursor(("", True)), "arrived"),
    ]  # fmt: skip
    for text, by in wrong:
        with pytest.raises(RefusedError, match="not a place in this list"):
            read_cursor(text, by)
    here.database.close()


def test_a_time_sorts_as_text() -> None:
    assert moment_of("2026-11-22T08:30:00-03:00") == "2026-11-22T11:30:00.000000Z"
    assert moment_of("0999-01-01T00:00:00.1Z") < moment_of("2026-01-01T00:00:00Z")


def test_trainings_show_their_latest_and_their_best_score(
    store: str, copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    here = opened(store, tmp_path)
    for step, right in ((100.0, 6), (200.0, 11), (300.0, 9)):
        add(here, copy_run(f"sft-{step:.0f}", right=right, family="sft", step=step))
    broken = copy_run("sft-400", right=12, family="sft", step=400.5)
    add(here, changed(broken, complete=False))
    add(here, changed(copy_run("other", family="young", step=10.0), complete=False))
    add(here, copy_run("base", right=12))
    [sft, young] = families(here.database)
    assert (sft["runs"], sft["steps"], sft["last_step"], sft["what"]) == (4, 4, 400.5, "echo")
    assert [(one["step"], one["run"]) for one in (sft["latest"], sft["best"]) if one] == [
        (300, "sft-300"),
        (200, "sft-200"),
    ]
    assert sft["best"] is not None
    assert sft["best"]["value"] == pytest.approx(11 / 12)
    assert isinstance(young["last_step"], int)
    assert (young["latest"], young["best"]) == (None, None)
    text = page([sft, young])
    for words in (
        "75.0",
        "91.7",
        "step 300",
        "step 200",
        "400.5",
        'href="runs/sft-200/report.html"',
    ):
        assert words in text
    assert "olmes run" in page([])
    here.database.close()


def page(found: list[Family]) -> str:
    return gzip.decompress(families_page(found, "http://server").body).decode("utf-8")
