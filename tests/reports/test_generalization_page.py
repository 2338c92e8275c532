"""The page of development beside unseen scores."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from olmes.comparison.carried import Carried
from olmes.comparison.generalization import (
    Generalization,
    OverModels,
    SideBySide,
    generalization,
)
from olmes.comparison.halves import HalfScore
from olmes.comparison.model_scores import ReadModel
from olmes.comparison.pair_texts import line_sentences, row_texts
from olmes.comparison.training_order import Base
from olmes.records.record import Record
from olmes.reports import generalization_charts as charts
from olmes.reports.charts import round_axis
from olmes.reports.generalization_page import write_generalization_page
from olmes.reports.run_page import write_run_page
from olmes.stats import CarryOver
from olmes.types import Unit


@pytest.fixture(scope="module")
def records(store: Path) -> list[Record]:
    folders = sorted(store.glob("*/run.json"))
    return [Record.load(folder.parent) for folder in folders]


@pytest.fixture(scope="module")
def data(records: list[Record]) -> Generalization:
    return generalization(records)


def words_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8").split("<main")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_pair_and_every_model_stand_there(data: Generalization, tmp_path: Path) -> None:
    words = words_of(write_generalization_page(data, tmp_path / "page.html"))
    for pair in data.pairs:
        assert f"{', '.join(pair.dev)} → {pair.unseen}" in words
        assert all(sentence in words for sentence in line_sentences(pair))
        for row in pair.rows:
            texts = row_texts(row)
            # The numbers and what stands beside them, as the terminal has them.
            for text in (texts.dev, texts.unseen):
                assert f"{text.value} {text.interval} n = " in words
                assert all(note in words for note in text.notes)
            assert f"{texts.gap.value} {texts.gap.interval}" in words
            if row.change:
                for text in (texts.dev_change, texts.unseen_change, texts.difference):
                    assert f"{text.value} {text.interval}" in words
            assert all(sentence in words for sentence in texts.sentences)
    assert "without math" in words
    assert words.count("Look 3 of the family tulu-8b; dev score then 45.2 [42.0, 48.5]") == 4
    assert "deepmind_math, tulu-8b/400" in words


def test_the_page_says_what_the_base_is_and_what_the_intervals_are_for(
    data: Generalization, tmp_path: Path
) -> None:
    page = write_generalization_page(data, tmp_path / "page.html").read_text("utf-8")
    base = data.models[data.base.index].name
    assert f"Moved from {base}" in page
    assert data.base.why in page
    assert data.conditional in page
    assert data.no_zero in page


def test_runs_with_a_page_are_linked(
    data: Generalization, records: list[Record], tmp_path: Path
) -> None:
    write_run_page(records[0].folder, records[0].folder / "report.html")
    folders = {record.id: record.folder for record in records}
    page = write_generalization_page(data, records[0].folder.parent / "page.html", folders)
    links = re.findall(r'<a href="([^"#]+)"', page.read_text())
    assert f"{records[0].folder.name}/report.html" in links
    assert all((page.parent / link).is_file() for link in links)


def test_scores_and_lost_answers_lead_to_the_samples_or_the_seal(
    data: Generalization, records: list[Record], tmp_path: Path
) -> None:
    run, unseen = records[0], records[1]
    for record in (run, unseen):
        write_run_page(record.folder, record.folder / "report.html")
    folders = {record.id: record.folder for record in (run, unseen)}
    place = run.folder.parent / "page.html"
    page = write_generalization_page(data, place, folders).read_text()
    links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', page)
    bbh = 100 * run.value("bbh")
    assert (f"{run.folder.name}/report.html#task=bbh", f"{bbh:.1f}") in links
    held = f"{unseen.folder.name}/report.html#held-out"
    assert (held, f"{100 * unseen.value('agieval'):.1f}") in links
    first = page.partition(f"agieval, {unseen.run.model.name}")[2].partition("</tr>")[0]
    assert first.count(f'href="{held}"') == len(re.findall(r">\d+</a>", first)) == 4


def line(checkpoints: int = 0, slope: float | None = None) -> Carried:
    found = CarryOver(checkpoints, "", in_order=False, slope=slope)
    return Carried(kind="models", carry_over=found, ranks=None, in_words="", left_out={})


def score(value: float, unit: Unit = "share", *, higher: bool = True) -> HalfScore:
    return HalfScore(
        value, None, None, None, 9, unit=unit, higher_is_better=higher, metrics=["m"], count="9",
        limit=None, standard=True, marks=[], reservations=[], comparable=True, runs={}, version="",
    )  # fmt: skip


def row(dev: HalfScore | None, unseen: HalfScore | None, *, left_out: str = "") -> SideBySide:
    return SideBySide(
        dev=dev, unseen=unseen, rewritten=None, gap=None, change=None, why_no_change="",
        in_words="", left_out=[], why_not_in_slope=left_out, remembered=None,
    )  # fmt: skip


def test_a_model_without_one_side_has_a_dash_and_no_line(
    data: Generalization, tmp_path: Path
) -> None:
    model = replace(data.models[0], looks=[])
    pair = data.pairs[0]
    alone = [replace(pair.rows[0], dev=None, gap=None, left_out=["math"])]
    one = replace(
        data,
        models=[model],
        base=Base(0, "the first that was given"),
        suites=OverModels(rows=alone, carried=line()),
        pairs=[replace(pair, rows=alone, carried=line())],
        diagnosis=[{}],
    )
    page = write_generalization_page(one, tmp_path / "page.html")
    words = words_of(page)
    assert "No model has both scores." in words
    assert "none at held-out tasks" in words
    assert "The records hold no diagnosis." in words
    assert "<figure>" not in page.read_text()
    # A gap has no zero: without a change beside it there is none.
    assert "Gap" not in words


def test_what_nobody_ran_has_no_table(data: Generalization, tmp_path: Path) -> None:
    one = replace(data, pairs=data.pairs[:1], not_run=["bbh, drop → agieval"])
    words = words_of(write_generalization_page(one, tmp_path / "page.html"))
    assert "Not run by any model: bbh, drop → agieval." in words


def test_three_models_are_the_fewest_with_a_scatter(data: Generalization) -> None:
    names = ["a", "b", "c", "d"]
    rows = [row(score(0.1 * at), score(0.2 * at)) for at in range(1, 5)]
    assert charts.scatter("x", names[:2], rows[:2], None) is None
    out = [*rows[:2], *(replace(one, why_not_in_slope="limited") for one in rows[2:])]
    assert charts.scatter("x", names, out, None) is None
    drawn = charts.scatter("x", names, rows, line(4, 2.0).carry_over)
    assert drawn is not None
    assert len(drawn.marks) == 4
    assert drawn.line is not None
    x1, y1, x2, y2 = drawn.line
    for x, y in ((x1, y1), (x2, y2)):
        assert charts.SCATTER.left <= x <= charts.SCATTER.x_end
        assert charts.SCATTER.top <= y <= charts.SCATTER.y_end


def test_numbers_are_drawn_on_an_axis_of_their_own_and_not_among_shares() -> None:
    numbers = [row(score(value, "number"), score(2 * value, "number")) for value in (10, 20, 30)]
    drawn = charts.slope_chart("x", ["a", "b", "c"], numbers)
    assert drawn is not None
    assert drawn.unit == ""
    assert drawn.slopes[0].words == "a: dev 10.0 –, n 9, unseen 20.0 –, n 9"
    assert drawn.ticks[-1].label == "60"
    assert drawn.data.rows[0] == ("a", 10.0, None, None, 9, 20.0, None, None, 9)
    shares = [row(score(0.2), score(0.3)), row(score(0.4), score(0.5))]
    mixed = charts.slope_chart("x", ["a", "b", "c"], [*shares, numbers[2]])
    assert mixed is not None
    assert [slope.number for slope in mixed.slopes] == [1, 2]
    assert mixed.data.rows[1][1] == 40.0
    # One model alone is two points, which the table has.
    assert charts.slope_chart("x", ["a"], shares[:1]) is None


@pytest.mark.parametrize("higher", [True, False])
def test_the_line_has_the_slope_of_the_record(higher: bool) -> None:
    # The record's slope is of improvements: where less is better on one side, it falls on paper.
    unseen = [0.1, 0.2, 0.3] if higher else [0.3, 0.2, 0.1]
    rows = [
        row(score(dev), score(value, higher=higher))
        for dev, value in zip((0.2, 0.4, 0.6), unseen, strict=True)
    ]
    drawn = charts.scatter("x", ["a", "b", "c"], rows, line(3, 0.5).carry_over)
    assert drawn is not None
    assert drawn.line is not None
    x1, y1, x2, y2 = drawn.line
    first, last = drawn.marks[0], drawn.marks[-1]
    slope = (last.y - first.y) / (last.x - first.x)
    assert (y2 - y1) / (x2 - x1) == pytest.approx(slope, rel=0.02)
    assert y1 + slope * (first.x - x1) == pytest.approx(first.y, abs=1)


def test_more_models_than_colours_leave_the_last_one_in_colour() -> None:
    assert [charts.series_of(n, 4) for n in range(4)] == [1, 2, 3, 4]
    assert [charts.series_of(n, 9) for n in range(9)] == [0] * 8 + [1]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], (0, 0.25, 0.5, 0.75, 1)),
        ([12.0, 61.0], (0, 20, 40, 60, 80)),
        ([50.0, 50.0], (20, 40, 60, 80)),
        ([99.0, 100.0], (99, 99.25, 99.5, 99.75, 100)),
        ([], (0, 0.25, 0.5, 0.75, 1)),
        ([None, math.nan, 3.0, 7.0], (3, 4, 5, 6, 7)),
    ],
)
def test_axes_have_round_ends(values: list[float | None], ticks: tuple[float, ...]) -> None:
    axis = round_axis(values, bounds=(0, 100))
    assert axis.ticks == pytest.approx(ticks)
    assert all(axis.low <= v <= axis.high for v in values if v is not None and not math.isnan(v))


def test_scores_on_demo_data_are_said_not_to_be_comparable(tmp_path: Path) -> None:
    model = ReadModel(
        name="m", fingerprint="ab" * 32, family=None, step=None, runs=[], run_of={},
        demo_data=["gsm8k"], looks=[],
    )  # fmt: skip
    data = Generalization(
        models=[model],
        base=Base(0, "the first that was given"),
        suites=OverModels(rows=[row(None, None)], carried=line()),
        pairs=[],
        not_run=[],
        diagnosis=[{}],
    )
    page = write_generalization_page(data, tmp_path / "page.html").read_text("utf-8")
    assert "Demo data: not comparable" in page
    assert "m: gsm8k: scored on the built-in demo data" in page
    data = replace(data, models=[replace(model, demo_data=[])])
    page = write_generalization_page(data, tmp_path / "page.html").read_text("utf-8")
    assert "not comparable" not in page
