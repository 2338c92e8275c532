"""The page of development beside unseen scores."""

from __future__ import annotations

import html
import math
import re
from pathlib import Path
from typing import Any

import pytest

from olmes.comparison.generalization import generalization
from olmes.records.record import Record
from olmes.reports import generalization_charts as charts
from olmes.reports.charts import round_axis
from olmes.reports.generalization_page import write_generalization_page
from olmes.reports.run_page import write_run_page


@pytest.fixture(scope="module")
def records(store: Path) -> list[Record]:
    folders = sorted(store.glob("*/run.json"))
    return [Record.load(folder.parent) for folder in folders]


@pytest.fixture(scope="module")
def data(records: list[Record]) -> dict[str, Any]:
    return generalization(records)


def words_of(page: Path) -> str:
    text = page.read_text(encoding="utf-8").split("<main")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_pair_and_every_model_stand_there(data: dict[str, Any], tmp_path: Path) -> None:
    words = words_of(write_generalization_page(data, tmp_path / "page.html"))
    for pair in data["pairs"]:
        assert f"{', '.join(pair['dev'])} → {pair['unseen']}" in words
        assert pair["in_words"] in words
        for row in pair["rows"]:
            gap = row["gap"]
            low, high = (
                f"{100 * gap[end]:+.1f}".replace("-", "−") for end in ("ci_low", "ci_high")
            )
            assert f"[{low}, {high}]" in words
            for side in ("dev", "unseen"):
                low, high = (100 * row[side][end] for end in ("ci_low", "ci_high"))
                assert f"{100 * row[side]['value']:.1f} [{low:.1f}, {high:.1f}]" in words
    assert "without math" in words
    assert words.count("Look 3 of the family tulu-8b; dev score then 45.2 [42.0, 48.5]") == 4
    assert "deepmind_math, tulu-8b/400" in words


def test_runs_with_a_page_are_linked(
    data: dict[str, Any], records: list[Record], tmp_path: Path
) -> None:
    write_run_page(records[0].folder, records[0].folder / "report.html")
    folders = {record.id: record.folder for record in records}
    page = write_generalization_page(data, records[0].folder.parent / "page.html", folders)
    links = re.findall(r'<a href="([^"#]+)"', page.read_text())
    assert f"{records[0].folder.name}/report.html" in links
    assert all((page.parent / link).is_file() for link in links)


def test_scores_and_lost_answers_lead_to_the_samples_or_the_seal(
    data: dict[str, Any], records: list[Record], tmp_path: Path
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
    first = page.partition(f"agieval, {unseen.data['model']['name']}")[2].partition("</tr>")[0]
    assert first.count(f'href="{held}"') == len(re.findall(r">\d+</a>", first)) == 4


def test_a_model_without_one_side_has_a_dash_and_no_line(
    data: dict[str, Any], tmp_path: Path
) -> None:
    model = data["models"][0] | {"looks": []}
    pair = data["pairs"][0]
    alone = [{**pair["rows"][0], "unseen": None, "gap": None, "left_out": ["math"]}]
    one = {
        "models": [model],
        "pairs": [pair | {"rows": alone, "carry_over": None, "in_words": ""}],
        "diagnosis": [{}],
    }
    page = write_generalization_page(one, tmp_path / "page.html")
    words = words_of(page)
    assert "No model has both scores." in words
    assert "none at held-out tasks" in words
    assert "The records hold no diagnosis." in words
    assert "<figure>" not in page.read_text()


def test_three_models_are_the_fewest_with_a_scatter(data: dict[str, Any]) -> None:
    rows, names = data["pairs"][0]["rows"], ["a", "b", "c", "d"]
    assert charts.scatter("x", names[:2], rows[:2], None) is None
    drawn = charts.scatter("x", names, rows, data["pairs"][0]["carry_over"])
    assert drawn is not None
    assert len(drawn.marks) == 4
    assert drawn.line is not None
    x1, y1, x2, y2 = drawn.line
    for x, y in ((x1, y1), (x2, y2)):
        assert charts.SCATTER.left <= x <= charts.SCATTER.x_end
        assert charts.SCATTER.top <= y <= charts.SCATTER.y_end


def test_the_line_has_the_slope_of_the_record() -> None:
    def row(dev: float, unseen: float) -> dict[str, Any]:
        return {"dev": {"value": dev}, "unseen": {"value": unseen}}

    rows = [row(0.2, 0.1), row(0.4, 0.2), row(0.6, 0.3)]
    drawn = charts.scatter("x", ["a", "b", "c"], rows, {"slope": 0.5})
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


def test_scores_on_the_sample_are_said_to_be_no_scores(tmp_path: Path) -> None:
    model = {
        "name": "m", "fingerprint": "ab" * 32, "runs": [], "looks": [], "sample_data": ["gsm8k"],
    }  # fmt: skip
    data = {"models": [model], "pairs": [], "diagnosis": [{}]}
    page = write_generalization_page(data, tmp_path / "page.html").read_text("utf-8")
    assert "Sample data: not comparable" in page
    assert "m: gsm8k: scored on the built-in sample" in page
    model["sample_data"] = []
    page = write_generalization_page(data, tmp_path / "page.html").read_text("utf-8")
    assert "not comparable" not in page
