"""Leaderboard, comparison, checkpoints, generalization, reproduction in a real Chromium."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.suite import Pair
from olmes.comparison import generalization
from olmes.comparison.ablations import Variant, ablations
from olmes.comparison.compare import compare_runs
from olmes.comparison.mix_advice import advise
from olmes.comparison.mix_rounds import MixReport, MixRound
from olmes.records.record import Record
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.generalization_page import write_generalization_page
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.reports.mix_page import write_mix_page
from olmes.reports.reproduction_page import write_reproduction_page
from olmes.reports.run_page import write_run_page
from olmes.reports.training_curves import StageLog
from tests.reports.test_reproduction_page import reproduced

pytestmark = pytest.mark.browser

Open = Callable[..., Any]

DEV = {"value": 0.5, "stderr": 0.1, "ci_low": 0.3, "ci_high": 0.7, "n": 12}
HOSTILE = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"


@pytest.fixture(scope="module")
def pages(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind over the checkpoints, a hostile text in each place that names a thing."""
    place = Path(shutil.copytree(store, tmp_path_factory.mktemp("pages") / "store"))
    records = [Record.load(path.parent) for path in sorted(place.glob("*/run.json"))]
    first = records[0].folder / "run.json"
    run = json.loads(first.read_text())
    first.write_text(json.dumps(run | {"model": run["model"] | {"name": HOSTILE}}))
    records[0] = Record.load(records[0].folder)
    for record in records:
        write_run_page(record.folder, record.folder / "report.html")
    compared = compare_runs(records[0], Record.load(place / "400-dev"))
    for task in compared.tasks:
        for flip in task.flips[:3]:
            flip.row_a["response"] = {"text": f"one two {HOSTILE} four"}
            flip.row_b["response"] = {"text": "one three four"}
    steps = [(float(record.folder.name.split("-")[0]), record) for record in records]
    log = [{"step": step, "loss": 1 / step, HOSTILE: step} for step in range(1, 400)]
    return {
        "leaderboard": write_leaderboard_page(records, place / "leaderboard.html"),
        "comparison": write_comparison_page(compared, place / "comparison.html"),
        "checkpoints": write_checkpoints_page(
            steps,
            place / "checkpoints.html",
            title=HOSTILE,
            gone=[HOSTILE],
            stages=[
                StageLog(name="SFT", kind="sft", rows=log),
                StageLog(name="DPO", kind="dpo", rows=log[:9], before=399, done=False),
            ],
        ),
        "generalization": write_generalization_page(
            generalization.generalization(records), place / "generalization.html"
        ),
        "reproduction": write_reproduction_page(
            reproduced(records[0]), place / "reproduction.html", {records[0].id: records[0].folder}
        ),
        "mix": write_mix_page(mix_of(Record.load(place / "400-dev"), HOSTILE), place / "mix.html"),
    }


def mix_of(record: Record, name: str) -> MixReport:
    """A mix of two rounds whose every variant scored as one run."""
    variants = [
        Variant(name="full mix", kind="full", rows={name: 3, "b": 4}),
        Variant(name=f"without {name}", kind="leave_one_out", source=name, rows={"b": 7}),
    ]
    found = ablations(variants, [[record], [record]])
    advice = tuple(advise(found, {name: 1, "b": 1}))
    rounds = tuple(
        MixRound(number=number, dev=found, unseen=found, pairs=(), advice=advice)
        for number in (1, 2)
    )
    return MixReport(name=name, stage="sft", rounds=rounds, over_rounds=found, proposed=name * 9)


NAMES = ["leaderboard", "comparison", "checkpoints", "generalization", "reproduction", "mix"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_open_quietly_and_need_no_scrolling_sideways(
    pages: dict[str, Path], open_page: Open, name: str, width: int
) -> None:
    page = open_page(pages[name], viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.pwned") is None
    page.locator(".theme label", has_text="Dark").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 23, 28)"
    page.emulate_media(media="print")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"


STEERS = '"><svg onload=window.pwned=3>\u202egnp\u202c \x1b[31mred \x9b31m [x](javascript:alert(1))'


@pytest.fixture(scope="module")
def named_to_steer(
    tmp_path_factory: pytest.TempPathFactory, record_builder: Any
) -> dict[str, Path]:
    """Pages of two runs whose every name is hostile and one of whose responses is a megabyte."""
    place = tmp_path_factory.mktemp("steered")
    bad = HOSTILE + STEERS
    for number in range(2):
        build = record_builder(place / f"run-{number}", 1)
        rows = build.bbh(12)
        for row in rows:
            row["subtask"] = bad if row["subtask"] == "snarks" else row["subtask"]
            row |= {"extracted": bad, "note": bad, "values": {"exact_match": float(number)}}
            row["messages"][-1]["content"] = f"{bad} question"
        rows[0]["response"]["text"] = "A" * 500_000 + bad + "B" * 500_000
        rows[1]["response"]["text"] = "word \u202e " * 100_000
        task = build.task("bbh", bad, "exact_match", rows)
        suite = {"name": bad, "title": bad, "held_out": False, "complete": True, **DEV}
        model = {"name": bad, "fingerprint": f"{number:064x}", "step": number, "engine": {bad: bad}}
        created = f"2026-11-22T1{number}:00:00Z"
        run = build.write({STEERS: task}, id=bad, suite=suite, model=model, created=created)
        write_run_page(run, run / "report.html")
    records = [Record.load(path.parent) for path in sorted(place.glob("*/run.json"))]
    pair = Pair(dev=(STEERS,), unseen=STEERS)
    return {
        "run": records[0].folder / "report.html",
        "leaderboard": write_leaderboard_page(records, place / "leaderboard.html"),
        "comparison": write_comparison_page(compare_runs(*records), place / "comparison.html"),
        "checkpoints": write_checkpoints_page(enumerate(records), place / "checkpoints.html"),
        "generalization": write_generalization_page(
            generalization.generalization(records, [pair]), place / "generalization.html"
        ),
        "reproduction": write_reproduction_page(
            reproduced(records[0]), place / "reproduction.html", {records[0].id: records[0].folder}
        ),
        "mix": write_mix_page(mix_of(records[0], bad), place / "mix.html"),
    }


@pytest.mark.parametrize("name", ["run", *NAMES])
def test_names_and_megabytes_are_text_that_steers_nothing(
    named_to_steer: dict[str, Path], open_page: Open, name: str
) -> None:
    page = open_page(named_to_steer[name])
    page.set_default_timeout(60_000)  # a megabyte is laid out on a machine that others use too
    text = page.evaluate("document.body.innerText")
    assert "<img src=x onerror=" in text
    assert not set(text + page.title()) & set("\u202e\u202c\x1b\x9b")
    assert page.locator("img, svg[onload], a[href^=javascript]").count() == 0
    for place in range(2 if page.locator(".sample").count() else 0):
        assert "\\u202e" in page.locator(".sample").inner_text()
        page.keyboard.press("j")
        page.wait_for_url(re.compile("(item|sample)=" if place == 0 else "="))
    assert page.evaluate("window.pwned") is None


def test_a_leaderboard_is_sorted_and_filtered(pages: dict[str, Path], open_page: Open) -> None:
    page = open_page(pages["leaderboard"])
    board = page.locator(".board")
    column = page.locator(".board thead th", has_text="GSM8K")
    column.get_by_role("button").click()
    assert column.get_attribute("aria-sort") == "descending"
    values = [
        float(value)
        for value in board.locator("tbody tr td:nth-child(4)").evaluate_all(
            "cells => cells.map((cell) => cell.dataset.value)"
        )
    ]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    column.get_by_role("button").press("Enter")
    assert column.get_attribute("aria-sort") == "ascending"
    page.get_by_role("searchbox").fill("TULU 300")
    page.locator(".status", has_text="1 of 4 runs").wait_for()
    assert board.locator("tbody tr:visible").count() == 1
    page.get_by_role("searchbox").fill("nobody")
    page.locator(".status", has_text="0 of 4 runs").wait_for()
    assert not page.get_by_role("heading", name=re.compile("version")).is_visible()


def test_flips_are_filtered_opened_and_compared(pages: dict[str, Path], open_page: Open) -> None:
    page = open_page(pages["comparison"])
    row = page.locator(".differences tbody tr").first
    assert row.locator("strong a").get_attribute("href") == "#task=gsm8k"
    number = row.locator("a[href*='kind=won']")
    won = number.text_content()
    number.click()
    page.locator(".status", has_text=re.compile(rf"^{won} flips?$")).wait_for()
    assert page.locator("[name=kind]").input_value() == "won"
    sides = page.locator(".side pre.response")
    assert "</script><script>window.pwned" in sides.first.inner_text()
    assert page.locator(".side mark.new").all_inner_texts() == ["three"]
    assert page.locator(".side mark.gone").count() >= 1
    assert sides.nth(1).inner_text() == "one three four"
    assert page.evaluate("window.pwned") is None
    before = page.locator(".sample h3").text_content()
    page.keyboard.press("j")
    page.locator(".sample h3").filter(has_not_text=re.compile(f"^{before}$")).wait_for()
    page.wait_for_url(re.compile("item="))
    page.get_by_role("searchbox").fill("nowhere to be found")
    page.locator(".status", has_text="0 flips").wait_for()
    page.get_by_role("link", name="Clear all filters").click()
    page.locator(".status", has_text=re.compile(r"^\d\d flips$")).wait_for()


@pytest.mark.parametrize(
    ("a", "b", "gone", "new"),
    [
        ("the cat sat", "the dog sat", ["cat"], ["dog"]),
        ("same words", "same words", [], []),
        ("", "all new words", [], ["all new words"]),
        ("all old words", "", ["all old words"], []),
        ("a b c d e", "a c d x e", ["b "], [" x"]),
        ("12 apples, 3 left", "12 apples, 4 left", ["3"], ["4"]),
    ],
)
def test_words_that_differ_are_found(
    pages: dict[str, Path], open_page: Open, a: str, b: str, gone: list[str], new: list[str]
) -> None:
    page = open_page(pages["comparison"])
    found = page.evaluate("([a, b]) => wordDiff(a, b)", [a, b])
    texts = ["".join(text for text, _ in side) for side in found]
    assert texts == [a, b]
    kept = ["".join(text for text, common in side if common) for side in found]
    assert kept[0].split() == kept[1].split()
    assert [text.strip() for text, common in found[0] if not common] == [t.strip() for t in gone]
    assert [text.strip() for text, common in found[1] if not common] == [t.strip() for t in new]


def test_texts_with_nothing_in_common_are_not_compared_for_ever(
    pages: dict[str, Path], open_page: Open
) -> None:
    page = open_page(pages["comparison"])
    found = page.evaluate(
        """() => {
          const words = (letter) => Array.from({length: 6000}, (_, at) => letter + at).join(" ");
          const began = performance.now();
          return [wordDiff(words("a"), words("b")), performance.now() - began];
        }"""
    )
    assert found[0] is None
    assert found[1] < 1000


def test_a_point_of_a_chart_leads_to_the_samples_of_its_run(
    pages: dict[str, Path], open_page: Open
) -> None:
    page = open_page(pages["checkpoints"])
    charts = page.locator("[aria-labelledby=tasks-heading] figure.line", has_text="GSM8K")
    charts.locator("a").first.click()
    page.wait_for_url(re.compile(r"100-dev/report\.html#task=gsm8k$"))
    page.locator(".status", has_text="40 samples").wait_for()


def test_a_chart_says_its_values_and_can_be_kept(
    pages: dict[str, Path], chromium: Any, tmp_path: Path
) -> None:
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(10_000)
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.goto(pages["checkpoints"].as_uri())
    figure = page.locator("[aria-labelledby=tasks-heading] figure.line", has_text="GSM8K")
    words = figure.locator(".readout")
    # The numbers of the table: the last step, without a pointer.
    cells = page.locator(".grid tbody tr").last.locator("td")
    latest = re.sub(r" n (?=\d)", ", n ", cells.nth(1).inner_text())
    assert words.inner_text() == f"step 400: {latest}"
    # The pointer, then the keys.
    chart = figure.locator("svg.chart")
    chart.hover(position={"x": 100, "y": 60})
    assert re.match(r"step [23]00: \d", words.inner_text())
    assert figure.locator(".guide").count() == 1
    page.mouse.move(2, 2)
    assert figure.locator(".guide").count() == 0
    words.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert words.get_attribute("aria-valuenow") == "200"
    assert words.inner_text().startswith("step 200: ")
    # No label is cut off by the drawing, and no chart stands alone in its row.
    cut = """charts => charts.flatMap((chart) => {
      const box = chart.getBoundingClientRect();
      return [...chart.querySelectorAll("text")].filter((text) => {
        const own = text.getBoundingClientRect();
        return own.left < box.left - 1 || own.right > box.right + 1 || own.bottom > box.bottom + 1;
      }).map((text) => text.textContent);
    })"""
    assert page.locator("svg.chart:visible").evaluate_all(cut) == []
    rows = """grids => grids.map((grid) => {
      const tops = [...grid.children].map((one) => Math.round(one.getBoundingClientRect().bottom));
      return tops.map((top) => tops.filter((one) => one === top).length);
    }).filter((counts) => counts.length > 1 && counts.includes(1)).length"""
    assert page.locator(".charts:visible").evaluate_all(rows) == 0

    def kept(way: str) -> Path:
        with page.expect_download() as found:
            figure.get_by_role("button", name=way).click()
        place = tmp_path / str(found.value.suggested_filename)
        found.value.save_as(place)
        return place

    lines = kept("CSV").read_text("utf-8").splitlines()
    assert lines[0] == 'series,step,"exact_match, %",ci_low,ci_high,n'
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["dev", str(step)] for step in (100, 200, 300, 400)
    ]
    assert {line.split(",")[5] for line in lines[1:]} == {"40"}
    svg = kept("SVG")
    assert svg.name == "gsm8k.svg"
    page.goto(svg.as_uri())
    assert page.locator("text", has_text="GSM8K").count() == 1
    assert page.locator("a, .guide").count() == 0
    assert page.locator("path.stroke").get_attribute("stroke") == "rgb(11, 79, 158)"
    page.goto(pages["checkpoints"].as_uri())
    assert kept("PNG").read_bytes().startswith(b"\x89PNG")
    assert noise == []
    page.close()


@pytest.mark.slow
def test_a_hundred_checkpoints_of_twenty_tasks(
    tmp_path: Path, record_builder: Callable[..., Any], open_page: Open
) -> None:
    steps = []
    for step in range(1, 101):
        build = record_builder(tmp_path / f"step-{step}", step)
        tasks = {}
        for number in range(20):
            rows = [
                build.row(
                    doc_id, "q", "a", values={"exact_match": float(build.random.random() < 0.5)}
                )
                for doc_id in range(5)
            ]
            name = f"task_{number}"
            tasks[name] = build.task(name, f"Task number {number}", "exact_match", rows)
        folder = build.write(tasks, id=f"step-{step}")
        (folder / "report.html").write_text("stands for the page of the run")
        steps.append((float(step), Record.load(folder)))
    log = [{"step": step / 100, "loss": 1 / step} for step in range(1, 10_001)]
    path = write_checkpoints_page(steps, tmp_path / "page.html", log=log)
    assert path.stat().st_size < 3_000_000
    page = open_page(path)
    assert page.locator("figure.line").count() == 22
    assert page.locator(".grid tbody tr").count() == 100
    timing = "performance.getEntriesByType('navigation')[0]"
    assert page.evaluate(f"{timing}.domInteractive") < 1000
    assert page.evaluate(f"{timing}.loadEventEnd") < 2000
