"""The page of a training: series, the best checkpoint, and looks that are in the ledger alone."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from olmes import stats
from olmes.comparison.best import shared_by_suite, shared_by_task
from olmes.comparison.items import SharedItems
from olmes.records.record import Record
from olmes.records.schema import MetricScore
from olmes.reports import checkpoint_scores as series
from olmes.reports.charts import (
    CHARACTER,
    frame_of,
    round_axis,
    tick_labels,
    with_room,
    x_ticks,
)
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.line_charts import (
    FRAME,
    FewPoints,
    LineChart,
    Linked,
    curve_chart,
    score_chart,
    step_axis,
)
from olmes.reports.run_page import write_run_page


def checkpoints(store: Path) -> list[tuple[float, Record]]:
    folders = sorted(path.parent for path in store.glob("*/run.json"))
    return [(float(folder.name.split("-")[0]), Record.load(folder)) for folder in folders]


@pytest.fixture(scope="module")
def training(store: Path) -> list[tuple[float, Record]]:
    return checkpoints(store)


@pytest.fixture
def copied(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / "store"))


def words_of(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def samples_of(run: Path) -> list[str]:
    return (run / "samples" / "gsm8k.jsonl").read_text().splitlines()


def change(run: Path, **fields: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_every_number_of_every_step_is_in_the_table(
    training: list[tuple[float, Record]], tmp_path: Path
) -> None:
    page = write_checkpoints_page(training, tmp_path / "page.html").read_text()
    (table,) = re.findall(r'<table class="grid">.*?</table>', page, re.DOTALL)
    lines = {words.split()[0]: words for words in map(words_of, table.split("<tr>")[2:])}
    for step, record in training:
        look = record.run.held_out
        for name in look.tasks if look else record.tasks:
            found = record.tasks[name].score.estimate
            assert found is not None
            assert found.ci_low is not None
            assert found.ci_high is not None
            low, high = 100 * found.ci_low, 100 * found.ci_high
            assert f"{100 * found.value:.1f} [{low:.1f}, {high:.1f}]" in lines[f"{step:g}"]


def test_the_best_is_that_of_the_statistics_and_close_to_the_record(
    training: list[tuple[float, Record]],
) -> None:
    steps, _ = series.checkpoints_of(training)
    tasks = series.task_series(steps, held_out=False)
    assert set(tasks) == {"gsm8k", "bbh", "ifeval"}
    for name, points in tasks.items():
        shared = shared_by_task(name, [point.record for point in points], SharedItems())
        assert shared is not None
        best = shared.best()
        assert best.checkpoints == 4
        values = [point.score.value or 0 for point in points]
        assert best.index == values.index(max(values))
        assert best.score == pytest.approx(max(values))
        assert best.corrected < best.score
    points = series.suite_series(steps, held_out=False)
    records = [point.record for point in points]
    shared = shared_by_suite(list(records[-1].tasks), records, SharedItems())
    assert shared is not None
    best = shared.best()
    assert best.score == pytest.approx(max(point.score.value or 0 for point in points))
    rows = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    assert stats.best_of(rows).score == pytest.approx(2 / 3)


def test_a_fall_of_the_latest_checkpoint_is_said(
    copied: Path, record_builder: Callable[..., Any]
) -> None:
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    assert "Fallen</strong>" not in page
    build = record_builder(copied / "400-dev", 9)
    rows = {row["doc_id"]: row for row in map(json.loads, samples_of(copied / "300-dev"))}
    for row in rows.values():
        row["values"] = dict.fromkeys(row["values"], 0.0)
    found = build.task("gsm8k", "GSM8K", "exact_match", list(rows.values()))
    run = json.loads((copied / "400-dev" / "run.json").read_text())
    change(copied / "400-dev", tasks=run["tasks"] | {"gsm8k": found})
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    assert "Fallen</strong> GSM8K: the latest checkpoint is worse than an earlier one" in page
    latest = Record.load(copied / "400-dev").verdicts("gsm8k")
    assert not any(row["values"]["exact_match"] for row in latest)
    (fallen,) = [cells for cells in rows_of(page, "pairs").values() if "▼ worse" in cells]
    assert float(fallen[8].replace("−", "-")) < -10


def test_an_unseen_score_without_its_look_in_the_ledger_is_not_drawn(copied: Path) -> None:
    ledger = copied / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    assert len(lines) == 4
    ledger.write_text("".join(lines[:3]))
    steps, notes = series.checkpoints_of(checkpoints(copied))
    assert [len(step.unseen) for step in steps] == [1, 1, 1, 0]
    assert notes == ["400-unseen: its look is not in the ledger, so it is not drawn"]
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    assert "Not in the ledger" in page
    assert page.count("unseen, step") == 6  # two tasks at three looks


def test_another_formulation_under_way_is_not_drawn_on(copied: Path) -> None:
    for step in (100, 200):
        tasks = json.loads((copied / f"{step}-dev" / "run.json").read_text())["tasks"]
        tasks["gsm8k"]["formulation_hash"] = "ff" * 8
        change(copied / f"{step}-dev", tasks=tasks)
    steps, _ = series.checkpoints_of(checkpoints(copied))
    found = series.task_series(steps, held_out=False)
    assert [point.step for point in found["gsm8k"]] == [300, 400]
    assert len(found["bbh"]) == 4


def test_points_and_cells_lead_to_the_samples(copied: Path) -> None:
    for path in copied.glob("*/run.json"):
        write_run_page(path.parent, path.parent / "report.html")
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    links = set(re.findall(r'<a href="([^"#]+#[^"]*)"', page))
    assert "100-dev/report.html#task=gsm8k" in links
    assert "100-unseen/report.html#held-out" in links
    assert all((copied / link.partition("#")[0]).is_file() for link in links)


def rows_of(page: str, table: str) -> dict[str, list[str]]:
    """The cells of a table in words, by the row's heading."""
    (found,) = re.findall(rf'<table class="{table}">.*?</table>', page, re.DOTALL)
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", found, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in rows]
    return {words_of(head): [words_of(cell) for cell in rest] for head, *rest in cells}


def test_without_samples_the_latest_is_compared_by_scores_alone(copied: Path) -> None:
    shutil.rmtree(copied / "200-dev" / "samples")
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    rows = rows_of(page, "pairs")
    assert rows["GSM8K"][:6] == ["–"] * 6
    assert rows["GSM8K"][-1].endswith("not paired")
    # Of the tasks under seal a difference is shown, and nothing is chosen by them.
    unseen = [cells for title, cells in rows.items() if title.startswith("unseen: ")]
    assert len(unseen) == 2
    for cells in unseen:
        assert cells[:6] == ["–"] * 6
        assert "not paired" not in cells[-1]
        assert re.match(r"[+−]?\d+\.\d", cells[8])


def test_the_latest_is_the_number_of_the_table(
    training: list[tuple[float, Record]], tmp_path: Path
) -> None:
    page = write_checkpoints_page(training, tmp_path / "page.html").read_text()
    numbers = rows_of(page, "grid")
    heads = re.findall(r'<th scope="col" class="number">(.*?)</th>', page)
    titles = [html.unescape(head) for head in heads[heads.index("p of a fall") + 1 :]]
    last = dict(zip(titles, list(numbers.values())[-1], strict=True))
    for title, cells in rows_of(page, "pairs").items():
        assert last[title].split()[0] == cells[6]


def test_a_limited_run_and_another_formulation_are_marked_at_the_number(copied: Path) -> None:
    path = copied / "300-dev" / "run.json"
    run = json.loads(path.read_text())
    run["limit"] = 5
    run["tasks"]["gsm8k"]["items"] = 5
    run["tasks"]["bbh"]["standard"] = False
    path.write_text(json.dumps(run))
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    suite, gsm8k, bbh, *_ = rows_of(page, "grid")["300"]
    assert gsm8k.endswith("limited")
    assert bbh.endswith("!")
    assert suite.endswith("limited !")
    assert "limited" not in "".join(rows_of(page, "grid")["400"])
    assert re.search(r"n \d+", gsm8k)


def test_one_checkpoint_has_a_page(training: list[tuple[float, Record]], tmp_path: Path) -> None:
    page = write_checkpoints_page(training[:1], tmp_path / "page.html").read_text()
    assert "over 1 checkpoint<" in page
    assert "Best checkpoints" not in page


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0, 10_000), "0 2k 4k 6k 8k 10k"),
        ((0, 12_500), "0 2.5k 5k 7.5k 10k 12.5k"),
        ((0, 5_000_000), "0 1M 2M 3M 4M 5M"),
        ((0, 4000), "0 1,000 2,000 3,000 4,000"),
        ((-0.25, 1), "−0.25 0 0.25 0.5 0.75 1"),
    ],
)
def test_ticks_are_all_in_one_unit(ends: tuple[float, float], words: str) -> None:
    assert " ".join(tick_labels(round_axis(ends, steps=5))) == words


def test_a_score_stands_where_its_axis_says() -> None:
    score = MetricScore(value=0.5, stderr=0.1, ci_low=0.25, ci_high=0.75, n=9)
    points = [Linked(step, score) for step in (0, 50, 100)]
    chart = score_chart("x", step_axis([0, 100]), points, best=2, metric="accuracy")
    assert isinstance(chart, LineChart)
    assert (chart.x_title, chart.y_title) == ("step", "accuracy, %")
    assert [tick.label for tick in chart.x_ticks] == ["0", "20", "40", "60", "80", "100"]
    ticks = {tick.label: tick.position for tick in chart.y_ticks}
    assert [chart.points[0].x, chart.points[2].x] == [FRAME.left, FRAME.x_end]
    assert chart.points[0].y == pytest.approx((ticks["40"] + ticks["60"]) / 2, abs=0.2)
    assert chart.points[0].y_high < chart.points[0].y < chart.points[0].y_low
    assert chart.best == chart.points[2]
    assert chart.points[0].words == "step 0: 50.0 [25.0, 75.0], n 9"
    assert chart.data.rows[2] == (0, 100, 50.0, 25.0, 75.0, 9)
    assert chart.data.words[2] == "50.0 [25.0, 75.0], n 9"


def test_numbers_have_an_axis_of_their_own() -> None:
    scores = [MetricScore(value=v, stderr=1, ci_low=v, ci_high=v, n=9) for v in (0.5, 40.0, 9)]
    points = [Linked(float(step), score) for step, score in enumerate(scores)]
    chart = score_chart("words", step_axis([0, 2]), points, unit="number", metric="words")
    assert isinstance(chart, LineChart)
    assert chart.y_title == "words"
    assert [tick.label for tick in chart.y_ticks] == ["0", "10", "20", "30", "40"]
    assert [point.words for point in chart.points] == [
        "step 0: 0.500 [0.500, 0.500], n 9",
        "step 1: 40.0 [40.0, 40.0], n 9",
        "step 2: 9.00 [9.00, 9.00], n 9",
    ]


def test_one_or_two_points_are_words_and_no_chart() -> None:
    score = MetricScore(value=0.5, stderr=0.1, ci_low=0.25, ci_high=0.75, n=9)
    points = [Linked(0, score, "a.html"), Linked(4, score)]
    found = score_chart("x", step_axis([0, 4]), points, looks=[Linked(4, score)])
    assert isinstance(found, FewPoints)
    assert found.points == (
        ("step 0: 50.0 [25.0, 75.0], n 9", "a.html"),
        ("step 4: 50.0 [25.0, 75.0], n 9", ""),
        ("unseen, step 4: 50.0 [25.0, 75.0], n 9", ""),
    )
    log = curve_chart("Loss", step_axis([0, 4]), {"": [(1, 2.5), (2, 1.5)]}, frame=FRAME)
    assert isinstance(log, FewPoints)
    assert [words for words, _ in log.points] == ["update 1: 2.5", "update 2: 1.5"]


@pytest.mark.parametrize("ends", [(0, 2000), (0, 10), (0, 1_500_000), (0, 7)])
@pytest.mark.parametrize("width", [150, 210, 390])
def test_labels_stay_within_the_drawing_and_touch_no_other(
    ends: tuple[float, float], width: int
) -> None:
    frame = replace(FRAME, width=width)
    drawn = [tick for tick in x_ticks(frame, step_axis(ends)) if tick.label]
    halves = [CHARACTER * len(tick.label) / 2 for tick in drawn]
    spans = [(t.label_at - h, t.label_at + h) for t, h in zip(drawn, halves, strict=True)]
    assert spans[0][0] >= 0
    assert spans[-1][1] <= width + 0.1
    assert all(before[1] < after[0] for before, after in pairwise(spans))


def test_labels_of_small_numbers_have_room() -> None:
    axis = round_axis([0, 0.00012])
    frame = with_room(FRAME, axis)
    assert CHARACTER * max(map(len, tick_labels(axis))) <= frame.left - 6
    assert frame.x_end - frame.left == FRAME.x_end - FRAME.left
    assert with_room(FRAME, round_axis([0, 100])) == FRAME


def test_a_chart_of_few_points_is_no_wider_than_they_need() -> None:
    widths = [frame_of(n, FRAME, pitch=30, least=120).width for n in (1, 4, 8, 100)]
    assert widths == [FRAME.left + FRAME.right + axes for axes in (120, 120, 240, 334)]


def test_runs_of_two_trainings_are_called_so(copied: Path) -> None:
    for path in copied.glob("*/run.json"):
        model = json.loads(path.read_text())["model"]
        family = "first" if path.parent.name < "300" else "second"
        change(path.parent, model=model | {"family": family})
    page = write_checkpoints_page(checkpoints(copied), copied / "page.html").read_text()
    assert "Several trainings</strong> first, second" in page
    alone = [(step, record) for step, record in checkpoints(copied) if step > 250]
    page = write_checkpoints_page(alone, copied / "page.html").read_text()
    assert "Several trainings" not in page
    assert "<h1>second " in page
