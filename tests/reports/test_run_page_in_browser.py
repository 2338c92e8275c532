"""The page of a run in a real Chromium: search, filters, keys, hostile texts, size, light and dark."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.reports.run_page import write_run_page

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def clean_page(clean_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_page(clean_run, tmp_path_factory.mktemp("page") / "clean.html")


@pytest.fixture(scope="module")
def hostile_page(hostile_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_page(hostile_run, tmp_path_factory.mktemp("page") / "hostile.html")


def wait_for_status(page: Any, pattern: str) -> str:
    """The text of the status line, once it matches."""
    status = page.locator(".status")
    status.filter(has_text=re.compile(pattern)).wait_for()
    return str(status.text_content())


def wait_for_sample(page: Any, id_: str) -> None:
    page.locator(".sample h3", has_text=re.compile(rf"^{re.escape(id_)}$")).wait_for()


def opened(page: Any) -> str:
    return str(page.locator(".sample h3").text_content())


def select(page: Any, name: str) -> Any:
    return page.get_by_role("combobox", name=name, exact=True)


def test_the_first_sample_is_open_with_all_of_its_parts(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page)
    assert wait_for_status(page, "samples") == "180 samples"
    assert opened(page) == "gsm8k/0"
    text = page.locator(".sample").inner_text()
    for part in ("Question:", "Response (dotted words were prefilled)", "Gold", "exact_match"):
        assert part in text
    assert page.locator(".sample .given").text_content() == "Answer:"
    marked = page.locator(".sample mark").text_content()
    assert marked == page.locator(".answers pre").first.text_content()


def test_few_shot_turns_are_folded_away(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page, "#sample=bbh/snarks/4")
    assert opened(page) == "bbh/snarks/4"
    fold = page.locator(".sample details")
    assert fold.locator("summary").text_content() == "8 few-shot turns before the question"
    assert fold.locator(".turn").count() == 0
    fold.locator("summary").click()
    turns = fold.locator(".turn")
    turns.first.wait_for()
    assert turns.count() == 8
    assert turns.first.inner_text().split("\n")[0] == "user"
    assert "snarks: Question: exemplar question 1" in turns.first.inner_text()


def test_search_reads_every_text_and_marks_the_words(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page)
    page.keyboard.press("/")
    page.keyboard.type("SNARKS/7")
    wait_for_status(page, "^1 sample$")
    wait_for_sample(page, "bbh/snarks/7")
    page.get_by_role("searchbox").fill("let us think. ")
    wait_for_status(page, "^60 samples$")
    assert page.evaluate("[...CSS.highlights.get('hit')].length") >= 1
    page.get_by_role("searchbox").fill("nowhere to be found")
    wait_for_status(page, "^0 samples$")
    assert page.locator(".sample").inner_text() == "No sample is open."


def test_search_takes_words_literally(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page)
    page.get_by_role("searchbox").fill("is (.*)[")
    wait_for_status(page, "^0 samples$")


def test_filters_join_and_count(clean_run: Path, clean_page: Path, open_page: Open) -> None:
    rows = [row for row in samples(clean_run, "bbh") if row["subtask"] == "navigate"]
    right = sum(row["values"]["exact_match"] == 1.0 for row in rows)
    page = open_page(clean_page)
    select(page, "Task").select_option("bbh")
    select(page, "Sub-task").select_option("navigate")
    wait_for_status(page, f"^{len(rows)} samples$")
    page.locator(".verdicts label", has_text="Right").click()
    wait_for_status(page, f"^{right} samples$")
    assert page.locator(".verdicts label", has_text="Wrong").inner_text().split() == [
        "✗",
        "Wrong",
        str(len(rows) - right),
    ]
    assert set(page.locator(".row .verdict").all_inner_texts()) == {"✓"}
    select(page, "Task").select_option("gsm8k")
    select(page, "Issue").select_option("truncated")
    page.locator(".verdicts label", has_text="All").click()
    truncated = sum("truncated" in row["flags"] for row in samples(clean_run, "gsm8k"))
    wait_for_status(page, f"^{truncated} samples$")
    page.get_by_role("link", name="Clear all filters").click()
    wait_for_status(page, "^180 samples$")


def test_the_verdict_is_that_of_the_chosen_metric(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page, "#task=ifeval")
    assert "Partly" not in page.locator(".verdicts").inner_text()
    select(page, "Metric").select_option("inst_level_strict")
    page.locator(".verdicts label", has_text="Partly").wait_for()
    page.locator(".verdicts label", has_text="Partly").click()
    page.locator(".sample .chip", has_text="Partly").wait_for()
    parts = page.locator(".sample table").nth(1).inner_text()
    assert "punctuation:no_comma" in parts
    assert "✗ no" in parts
    assert "✓ yes" in parts


def test_every_number_leads_to_its_samples(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page)
    links = page.locator(".scores a")
    for number in range(links.count()):
        link = links.nth(number)
        if not link.is_visible():
            continue
        text = str(link.text_content())
        link.click()
        status = wait_for_status(page, r"^[1-9][0-9]* samples?$")
        count = text.split()[0]
        if link.locator("xpath=ancestor::*[@class='below']").count():  # such as "5 truncated"
            wait_for_status(page, rf"^{count} samples?$")
        assert status
        assert page.locator("#browser").evaluate("node => node.getBoundingClientRect().top") < 900
    page.locator(".scores a", has_text="disputed").click()
    wait_for_status(page, r"^\d+ samples?$")
    values = page.locator(".sample table").first.inner_text()
    assert sorted(re.findall(r"[01]$", values, re.MULTILINE)) == ["0", "1"]


def test_a_link_to_where_the_browser_is_already_still_leads_there(
    clean_page: Path, open_page: Open
) -> None:
    page = open_page(clean_page)
    for _ in range(2):
        page.evaluate("scrollTo(0, 0)")
        page.locator(".scores a", has_text="BIG-Bench Hard").click()
        wait_for_status(page, "^60 samples$")
        page.wait_for_timeout(100)
        top = page.locator("#browser").evaluate("node => node.getBoundingClientRect().top")
        assert abs(top) < 20


def test_keys(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page)
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("j")
    wait_for_sample(page, "gsm8k/2")
    page.keyboard.press("k")
    wait_for_sample(page, "gsm8k/1")
    page.keyboard.press("/")
    page.keyboard.type("jk")  # no samples are turned while typing
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    assert page.get_by_role("searchbox").input_value() == "jk"
    wait_for_status(page, "^0 samples$")
    page.get_by_role("searchbox").fill("")
    wait_for_status(page, "^180 samples$")
    page.locator(".list").focus()
    page.keyboard.press("ArrowDown")
    wait_for_sample(page, "gsm8k/1")
    chosen = page.locator(".list").get_attribute("aria-activedescendant")
    assert page.locator(f"#{chosen}").get_attribute("aria-selected") == "true"


def test_previous_and_next_keep_the_focus(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page)
    page.get_by_role("button", name="Next").focus()
    for number in (1, 2, 3):
        page.keyboard.press("Enter")
        wait_for_sample(page, f"gsm8k/{number}")
    page.get_by_role("button", name="Previous").click()
    wait_for_sample(page, "gsm8k/2")


def test_the_address_leads_back(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page, "#task=bbh&verdict=wrong")
    page.keyboard.press("j")
    page.wait_for_url(re.compile("sample="))
    fragment = page.url.partition("#")[2]
    assert fragment.startswith("task=bbh&verdict=wrong&sample=bbh/")
    again = open_page(clean_page, f"#{fragment}")
    assert opened(again) == opened(page)
    assert select(again, "Task").input_value() == "bbh"
    assert again.locator("[name=verdict]:checked").input_value() == "wrong"


def test_an_address_that_leads_nowhere_is_said(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page, "#task=gone&metric=gone&verdict=toString&sample=gsm8k/999")
    wait_for_status(page, "^180 samples; gsm8k/999 is not among them$")


def test_hostile_texts_are_shown_and_do_nothing(hostile_page: Path, open_page: Open) -> None:
    page = open_page(hostile_page)
    seen = ""
    for number in range(20):
        seen += page.locator(".sample").inner_text()
        before = opened(page)
        if number < 19:
            page.keyboard.press("j")
            page.locator(".sample h3").filter(has_not_text=re.compile(f"^{before}$")).wait_for()
    for text in ("</script><script>", "<img src=x", "{{ 7 * 7 }}${7*7}", "]]></pre></body>"):
        assert f"before {text}" in seen
    select(page, "Task").select_option("bbh")
    select(page, "Sub-task").select_option('"><svg onload="window.pwned = 3">')
    wait_for_status(page, "^15 samples$")
    assert page.evaluate("window.pwned") is None
    assert page.locator(".sample img, .sample script, .list img").count() == 0


def test_hostile_markup_in_a_search_or_an_address_does_nothing(
    hostile_page: Path, open_page: Open
) -> None:
    page = open_page(hostile_page, "#sample=<img src=x onerror=window.pwned=5>")
    wait_for_status(page, "is not among them")
    page.get_by_role("searchbox").fill("<img src=x onerror")
    wait_for_status(page, "^1 sample$")
    assert page.evaluate("window.pwned") is None


def test_what_cannot_be_seen_is_made_visible(hostile_page: Path, open_page: Open) -> None:
    page = open_page(hostile_page, "#sample=gsm8k/8")
    response = page.locator(".response")
    shown = response.locator(".control").all_inner_texts()
    assert shown == ["\\x07", "\\x00", "\\r", "\\x85", "\\u202e", "\\u200b", "\\ud800"]
    assert response.evaluate("node => getComputedStyle(node).whiteSpace") in {
        "pre-wrap",
        "break-spaces",
    }
    text = response.text_content()
    assert "\n tab\there" in text
    assert "👩‍👩‍👧, العربية, עברית" in page.locator(".sample .turn .text").text_content()


def test_the_answer_is_marked_where_it_last_stands_as_a_word(
    hostile_page: Path, open_page: Open
) -> None:
    page = open_page(hostile_page, "#sample=gsm8k/11")
    before = page.locator("mark").evaluate("node => node.previousSibling.textContent")
    assert before.endswith("but 18 is ")


def test_numbers_beyond_javascript_keep_their_digits(hostile_page: Path, open_page: Open) -> None:
    gold = open_page(hostile_page, "#sample=gsm8k/0").locator(".answers pre").last.inner_text()
    assert str(2**60) in gold
    assert "NaN" in gold


def test_a_request_without_a_response(hostile_page: Path, open_page: Open) -> None:
    failed = open_page(hostile_page, "#sample=gsm8k/9").locator(".sample").inner_text()
    assert "The request failed: connection reset" in failed
    assert "No verdict" in failed
    missing = open_page(hostile_page, "#sample=gsm8k/10").locator(".sample").inner_text()
    assert "no response" in missing


def test_continuations_are_shown_with_their_weights(hostile_page: Path, open_page: Open) -> None:
    page = open_page(hostile_page, "#sample=gsm8k/12")
    lines = page.locator(".sample table").last.inner_text().split("\n")
    assert any("-1.500" in line and "likeliest" in line for line in lines)
    assert any("-Infinity" in line and "likeliest" not in line for line in lines)
    assert "Is it?" in page.locator(".sample").inner_text()
    repeat = open_page(hostile_page, "#sample=gsm8k/12~3")
    assert opened(repeat) == "gsm8k/12~3"


@pytest.mark.parametrize(("scheme", "ground"), [("light", "255, 255, 255"), ("dark", "20, 23, 28")])
def test_light_and_dark(clean_page: Path, open_page: Open, scheme: str, ground: str) -> None:
    page = open_page(clean_page, color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == f"rgb({ground})"


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_the_theme_is_switched_and_remembered(
    clean_page: Path, open_page: Open, java_script_enabled: bool
) -> None:
    page = open_page(clean_page, color_scheme="light", java_script_enabled=java_script_enabled)
    ground = "getComputedStyle(document.body).backgroundColor"
    for name, colour in (
        ("Dark", "20, 23, 28"),
        ("Light", "255, 255, 255"),
        ("Dark", "20, 23, 28"),
    ):
        page.locator(".theme label", has_text=name).click()
        assert page.locator("body").evaluate("node => " + ground) == f"rgb({colour})"
    if java_script_enabled:
        page.reload()
        page.wait_for_selector(".sample > header")
        assert page.get_by_role("radio", name="Dark").is_checked()
        assert page.evaluate(ground) == "rgb(20, 23, 28)"
        page.emulate_media(media="print")
        assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_a_place_outside_the_browser_leaves_the_browser_alone(
    sealed_run: Path, tmp_path: Path, open_page: Open
) -> None:
    page = open_page(write_run_page(sealed_run, tmp_path / "sealed.html"), "#verdict=right")
    wait_for_status(page, "samples")
    before = opened(page)
    page.evaluate("scrollTo(0, 0)")
    page.locator(".scores a", has_text="DeepMind Mathematics").click()
    page.wait_for_timeout(200)
    assert abs(page.locator("#held-out").evaluate("n => n.getBoundingClientRect().top")) < 20
    assert opened(page) == before
    assert page.locator("[name=verdict]:checked").input_value() == "right"
    names = select(page, "Task").locator("option").all_inner_texts()
    assert names == ["All tasks", "GSM8K"]


def test_judgements_stand_under_the_sample(
    judged_run: Path, tmp_path: Path, open_page: Open
) -> None:
    page = open_page(write_run_page(judged_run, tmp_path / "judged.html"))
    sample = page.locator(".sample")
    assert "Judgement 1 of 2" in sample.inner_text()
    assert "The better one is A <b>bold</b>" in sample.inner_text()
    assert "812 tokens read, 9 written by the judge" in sample.inner_text()
    assert "no judgement: the budget is used up" in sample.inner_text()
    assert "Which is better?" not in sample.inner_text()
    sample.get_by_text("Question to the judge").first.click()
    sample.locator(".turn", has_text="Which is better?").wait_for()
    page.get_by_role("searchbox").fill("the better one is a")
    wait_for_status(page, "^1 sample$")


def test_paper_is_white_and_without_controls(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    assert not page.locator(".filters").is_visible()
    assert page.locator(".sample h3").is_visible()


def test_without_javascript_the_scores_are_there(clean_page: Path, open_page: Open) -> None:
    page = open_page(clean_page, java_script_enabled=False)
    assert page.locator(".scores .score").first.is_visible()
    assert page.locator("noscript p").is_visible()
    assert not page.locator(".filters").is_visible()
    row = page.locator(".subtasks th", has_text="snarks")
    assert not row.is_visible()
    page.locator(".toggle").click()
    assert row.is_visible()


@pytest.mark.parametrize("page_name", ["clean_page", "hostile_page"])
def test_a_phone_needs_no_scrolling_sideways(
    page_name: str, request: pytest.FixtureRequest, open_page: Open
) -> None:
    path = request.getfixturevalue(page_name)
    page = open_page(path, viewport={"width": 375, "height": 800}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.locator(".row").nth(2).tap()
    wait_for_sample(page, "gsm8k/2")
    top = page.locator(".sample").evaluate("node => node.getBoundingClientRect().top")
    assert 0 <= top < 300


def test_five_thousand_samples(
    tmp_path: Path, write_record: Callable[[Path, int], Path], open_page: Open
) -> None:
    run = write_record(tmp_path / "run", 1667)
    began = time.perf_counter()
    path = write_run_page(run, tmp_path / "report.html")
    written = time.perf_counter() - began
    raw = sum(file.stat().st_size for file in (run / "samples").iterdir())

    began = time.perf_counter()
    page = open_page(path)
    wait_for_status(page, "^5,001 samples$")
    loaded = time.perf_counter() - began

    truncated = sum("truncated" in row["flags"] for row in samples(run, "gsm8k"))
    assert truncated > 100
    began = time.perf_counter()
    select(page, "Issue").select_option("truncated")
    wait_for_status(page, f"^{truncated} samples$")
    filtered = time.perf_counter() - began
    select(page, "Issue").select_option("")
    wait_for_status(page, "^5,001 samples$")

    began = time.perf_counter()
    page.get_by_role("searchbox").fill("word_sorting/500")
    wait_for_status(page, "^1 sample$")
    searched = time.perf_counter() - began

    size = path.stat().st_size
    print(
        f"\n5,001 samples: {raw / 1e6:.1f} MB of records, {size / 1e6:.2f} MB page, "
        f"written in {written:.2f} s, open {loaded:.2f} s, filter {filtered:.2f} s, "
        f"search {searched:.2f} s"
    )
    assert size < raw / 2
    assert page.locator(".row").count() < 60  # only what is in view
    assert (written < 10, loaded < 6, filtered < 2, searched < 6) == (True,) * 4


def samples(run: Path, task: str) -> list[dict[str, Any]]:
    from olmes.tools import jsonl

    return list(jsonl.read(run / "samples" / f"{task}.jsonl"))
