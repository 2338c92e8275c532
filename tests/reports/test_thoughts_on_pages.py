"""Thoughts on pages: folded, with their length, as text alone; and the share that never ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes import Record
from olmes.comparison.compare import compare_runs
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.reports.run_page import write_run_page
from olmes.reports.thoughts import LONGEST, ON_A_PAGE, SHORTEST, room_for_each, shortened
from tests.olmes.reasoning.thinking_runs import HOSTILE, LONG, thinking_rows, thinking_run

Open = Callable[..., Any]
SAID = "25.0 % of the responses ended inside their thought"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Record]:
    """Without thoughts, and with a quarter of the thoughts cut."""
    folder = tmp_path_factory.mktemp("thinking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLMES_CACHE", str(folder / "cache"))
        patch.setenv("OLMES_OFFLINE", "1")
        patch.delenv("OLMES_DATA", raising=False)
        plain = [row | {"reasoning": "", "reasoning_tokens": 0} for row in thinking_rows(0)]
        return (
            thinking_run(folder, "plain", plain),
            thinking_run(folder, "cut", thinking_rows(7, wrong=3)),
        )


@pytest.fixture(scope="module")
def pages(runs: tuple[Record, Record], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("pages")
    plain, cut = runs
    return {
        "plain": write_run_page(plain.folder, place / "plain.html"),
        "cut": write_run_page(cut.folder, place / "cut.html"),
        "board": write_leaderboard_page(runs, place / "board.html"),
        "plain board": write_leaderboard_page([plain], place / "plain-board.html"),
        "comparison": write_comparison_page(compare_runs(plain, cut), place / "comparison.html"),
        "same": write_comparison_page(compare_runs(plain, plain), place / "same.html"),
        "checkpoints": write_checkpoints_page([(1, plain), (2, cut)], place / "checkpoints.html"),
    }


def shown(page: Path) -> str:
    """The text of a page, without what its scripts and styles say."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page.read_text("utf-8"))
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


@pytest.mark.parametrize("page", ["plain", "plain board", "same"])
def test_without_thoughts_no_page_speaks_of_any(pages: dict[str, Path], page: str) -> None:
    words = shown(pages[page]).replace("The response ended inside its thought, so", "")
    words = re.sub(r"unfinished thinking|marks of a thought in the answer", "", words, count=2)
    assert "unfinished" not in words.lower()
    assert "of it thought" not in words
    assert "of them thought" not in words
    assert "ended inside" not in words


def test_a_runs_page_has_shares_and_lengths(pages: dict[str, Path]) -> None:
    words = shown(pages["cut"])
    assert "Unfinished thinking GSM8K: 7 responses (25.0 %) ended inside their thought." in words
    assert "7 unfinished thinking (25.0 %)" in words  # below the score
    # Means of 1190 tokens, 980 of them thought, over 28 responses.
    assert re.search(r"GSM8K 42 35 8 40 50 512 7 25\.0 % 7 25\.0 %", words), words
    assert "Tokens written of them thought answer" in words
    assert "GSM8K 0 1,190 980 210" in words
    assert "of them thought 980" in words


def test_other_pages_have_the_share(pages: dict[str, Path]) -> None:
    assert SAID in shown(pages["board"])
    assert f"B: {SAID}" in shown(pages["comparison"])
    assert SAID in shown(pages["checkpoints"])


def test_long_thoughts_keep_their_beginning_and_end() -> None:
    assert room_for_each(28) == LONGEST
    assert room_for_each(5_000) == ON_A_PAGE // 5_000
    assert room_for_each(10**6) == SHORTEST
    row: Any = {"response": {"text": "x", "reasoning": "a" * 60 + "b" * 60}}
    assert shortened(row, 120) is row
    assert shortened(row, 100)["response"] == {
        "text": "x", "reasoning": "a" * 50, "reasoning_end": "b" * 50, "reasoning_chars": 120,
    }  # fmt: skip
    assert shortened({**row, "response": None}, 10)["response"] is None


@pytest.mark.browser
def test_a_thought_is_folded_text(pages: dict[str, Path], open_page: Open) -> None:
    page = open_page(pages["cut"], "#sample=gsm8k/11")
    fold = page.locator(".sample details.thought")
    fold.wait_for()
    length = len(f"{HOSTILE} thought 11")
    assert fold.locator("summary").inner_text() == f"Thought: {length} characters, 30 tokens"
    assert HOSTILE not in page.locator(".sample").inner_text()
    fold.locator("summary").click()
    fold.locator("pre").wait_for()
    assert fold.locator("pre").inner_text() == f"{HOSTILE} thought 11"
    assert page.evaluate("window.pwned") is None
    assert page.locator(".sample img, .sample b:has-text('bold')").count() == 0
    assert "40 response tokens, 30 of them thought" in page.locator(".sample").inner_text()


@pytest.mark.browser
def test_a_long_thought_says_what_is_left_out(pages: dict[str, Path], open_page: Open) -> None:
    page = open_page(pages["cut"], "#sample=gsm8k/10")
    fold = page.locator(".sample details.thought")
    fold.locator("summary").click()
    whole = len(f"{HOSTILE} thought 10{LONG}")
    assert fold.locator("summary").inner_text().startswith(f"Thought: {whole:,} characters")
    assert f"{whole - LONGEST:,} characters left out here" in fold.inner_text()


@pytest.mark.browser
def test_thoughts_are_searched_and_filtered_by(pages: dict[str, Path], open_page: Open) -> None:
    page = open_page(pages["cut"])
    page.get_by_role("searchbox").fill("thought 17")
    page.locator(".status").filter(has_text=re.compile("^1 sample$")).wait_for()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("combobox", name="Issue", exact=True).select_option("unfinished_thinking")
    page.locator(".status").filter(has_text=re.compile("^7 samples$")).wait_for()
    assert "unfinished thinking" in page.locator(".sample header").inner_text()


@pytest.mark.browser
def test_flips_show_the_answer_and_fold_the_thought(
    pages: dict[str, Path], open_page: Open
) -> None:
    page = open_page(pages["comparison"])
    page.locator(".side").nth(1).locator("details.thought summary").click()
    side = page.locator(".side").nth(1)
    side.locator("details.thought pre").wait_for()
    assert HOSTILE in side.locator("details.thought").inner_text()
    assert HOSTILE not in side.locator("pre.response").inner_text()
    assert page.locator(".side").nth(0).locator("details.thought").count() == 0
    assert page.evaluate("window.pwned") is None
