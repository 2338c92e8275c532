"""The page of `olmes decontaminate` in a browser: rows are text, and what is shared is marked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.decontamination.against import Against
from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.look_through import LookThrough
from olmes.decontamination.tokens import tokens
from olmes.reports.decontamination_page import SHOWN, PairsReport
from olmes.rows.sources import find_source
from olmes.tools import jsonl

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }} \x1b[31m \u202e </div>"
ITEM = f"how many {HOSTILE} apples are in the basket by the door today"


def evaluation(name: str, *texts: str, held_out: tuple[str, ...] = ()) -> Evaluation:
    items = tuple(
        Item(f"{name}/{n}", f"hash{n}", (text,), (tuple(tokens(text)),))
        for n, text in enumerate(texts)
    )
    title = f"<b>{name}</b>"
    return Evaluation(task=name, title=title, data_hash="", held_out=held_out, items=items)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A report of rows with hostile texts, one of them often, and of a held-out evaluation."""
    secret = "the secret riddle of the seven silent towers by the sea"
    rows: list[dict[str, Any]] = [{"prompt": ITEM, "id": HOSTILE}] * (SHOWN + 3)
    path = tmp_path / "<i>train.jsonl"
    jsonl.write(path, [*rows, {"prompt": secret}, {"prompt": 5}])
    against = Against(
        (evaluation("open", ITEM, "?"), evaluation("closed", secret, held_out=("exam",))),
        {"lost": HOSTILE},
    )
    report = PairsReport(tmp_path / "report")
    with report.open():
        found = LookThrough(against=against, keep=report.keep, processes=1).findings(
            [find_source(str(path))]
        )
    written = report.write(found)
    assert secret not in written[0].read_text("utf-8")
    return written[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_rows_are_text_and_what_both_have_is_marked(
    page: Path, open_page: Callable[..., Any], scheme: str
) -> None:
    opened = open_page(page, color_scheme=scheme)
    assert opened.locator("h3").count() == SHOWN
    sides = opened.locator(".sides").first.locator(".text")
    assert sides.count() == 2
    assert sides.first.locator("mark").inner_text().startswith("how many")
    # Nothing that a row holds is markup: the page has its own marks and no other element inside.
    assert set(opened.locator(".text *").evaluate_all("all => all.map(one => one.tagName)")) == {
        "MARK"
    }
    assert opened.locator("script").count() == 1
    assert "49" not in opened.locator(".sides").first.inner_text()
    assert f"the first {SHOWN} are shown" in opened.locator("main").inner_text()
    assert "held out by exam" in opened.locator("main").inner_text()


def test_the_page_is_no_wider_than_a_telephone(page: Path, open_page: Callable[..., Any]) -> None:
    opened = open_page(page, viewport={"width": 390, "height": 800})
    width = opened.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
