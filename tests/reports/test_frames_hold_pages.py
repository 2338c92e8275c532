"""Every number in the tables of a page is in the data frame of the same runs, as it is shown there."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest

import olmes
from olmes.comparison.compare import compare_runs
from olmes.comparison.generalization import generalization
from olmes.export.columns import DIFFERENCES, KINDS, NUMBERS
from olmes.records.record import Record, records_in
from olmes.records.shown import difference_interval, interval, shown, shown_difference, shown_p
from olmes.reports.checkpoint_table import by_step
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.generalization_page import write_generalization_page
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.reports.run_page import write_run_page

NUMBER = re.compile(r"(?<![\w.-])[+−]?\d[\d,]*(?:\.\d+)?(?![\w.-])")


@dataclass
class Row:
    """A row of a table: what it is of, and the numbers in its cells."""

    section: str
    of: str
    """The table's class."""
    head: str = ""
    cells: list[str] = field(default_factory=list)
    """Text of each cell of class `number`."""

    @property
    def numbers(self) -> set[str]:
        return {found for cell in self.cells for found in NUMBER.findall(cell)}


class Tables(HTMLParser):
    """The rows of the tables of a page; drawings and what is only read out are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.section = self.table = ""
        self.into: list[str] | None = None
        self.kind = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {key: value or "" for key, value in attrs}
        if tag in ("h2", "h3"):
            self.section, self.into = "", []
            self.kind = "section"
        elif tag == "table":
            self.table = named.get("class", "")
        elif tag == "tr" and self.table is not None:
            self.rows.append(Row(self.section, self.table))
        elif tag in ("td", "th"):
            self.into = []
            self.kind = "cell" if "number" in named.get("class", "").split() else tag

    def handle_data(self, data: str) -> None:
        if self.into is not None:
            self.into.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("td", "th", "h2", "h3") or self.into is None:
            return
        text = " ".join(" ".join(self.into).split())
        self.into = None
        if self.kind == "section":
            self.section = text
        elif tag == "th":
            self.rows[-1].head = f"{self.rows[-1].head} {text}".strip()
        elif self.kind == "cell":
            self.rows[-1].cells.append(text)


def rows_of(page: Path, *kinds: str) -> list[Row]:
    """The rows of a page that have numbers, of tables of some classes."""
    found = Tables()
    found.feed(page.read_text("utf-8"))
    return [row for row in found.rows if row.numbers and set(row.of.split()) & set(kinds)]


def written(frame: pandas.DataFrame) -> set[str]:
    """Every number of some rows of a frame, as it is shown anywhere."""
    texts: list[str] = []
    for row in frame.to_dict("records"):
        cells = {name: None if pandas.isna(cell) else cell for name, cell in row.items()}
        unit = cells.get("unit") or "share"
        value, ends = cells["value"], (cells["ci_low"], cells["ci_high"])
        texts += [shown(value, unit), interval(*ends, unit), shown(cells["stderr"], unit)]
        texts += [shown_difference(value, unit), difference_interval(*ends, unit)]
        texts.append(shown_p(cells.get("p")))
        if cells.get("kind") in RATIOS:
            texts += [
                RATIOS[cells["kind"]].format(cell) for cell in (value, *ends) if cell is not None
            ]
        if cells.get("wrong") is not None:
            texts += [shown(cells[name] / cells["responses"], "share") for name in ("wrong", "lost")
                      if cells[name] is not None]  # fmt: skip
        texts += [shown(cells.get(name), unit) for name in ("score", "other_score")]
        for name in COUNTS:
            if cells.get(name) is not None:
                texts.append(f"{int(cells[name]):,}")
    return {found for text in texts for found in NUMBER.findall(text)}


RATIOS = {"rank": "{:g}", "share of dev on unseen": "{:.2f}"}
COUNTS = (
    "n", "items", "responses", "wins", "losses", "wrong", "lost", "prompt_tokens", "completion_tokens",
    "step", "other_step",
)  # fmt: skip


@pytest.fixture(scope="module")
def training(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four checkpoints with their steps in the records."""
    place = Path(shutil.copytree(store, tmp_path_factory.mktemp("training") / "runs"))
    for path in place.glob("*/run.json"):
        run = json.loads(path.read_text("utf-8"))
        run["model"] |= {"family": "tulu-8b", "step": int(path.parent.name.split("-")[0])}
        run["model"]["lineage"] = [
            {"base": "llama"}, {"training": "tulu-8b", "step": run["model"]["step"]}
        ]  # fmt: skip
        path.write_text(json.dumps(run), "utf-8")
    return place


def uncovered(row: Row, *frames: pandas.DataFrame) -> set[str]:
    """The numbers of a row that no frame holds."""
    return row.numbers.difference(*map(written, frames))


def test_the_page_of_a_run(store: Path, training: Path, tmp_path: Path) -> None:
    for folder in (store / "100-dev", store / "100-unseen"):
        page = write_run_page(folder, tmp_path / f"{folder.name}.html")
        frame = olmes.load(folder)
        rows = rows_of(page, "scores", "heat", "costs")
        of = ""
        seen = 0
        for row in rows:
            if row.section.startswith("Length"):  # quartiles over the samples
                continue
            own = frame[frame["subtask"].eq(row.head.replace(" ", "")) & frame["subtask"].ne("")]
            titles = [title for title in frame["title"] if title and row.head.startswith(title)]
            if row.head == "All":
                own = frame[frame["task"].eq("")]
            elif own.empty:
                of = titles[0] if titles else of
                own = frame[frame["title"].eq(of)]
            assert uncovered(row, own) == set(), (row, own)
            seen += len(row.numbers)
        assert seen > 40
        head = NUMBER.findall(
            re.sub(r"<[^>]+>", " ", page.read_text("utf-8").split('class="big"')[1])[:400]
        )
        assert {head[0]} <= written(frame[frame["task"].eq("")])


def test_a_number_that_is_not_in_the_frame_is_found(store: Path, tmp_path: Path) -> None:
    page = write_run_page(store / "100-dev", tmp_path / "run.html")
    frame = olmes.load(store / "100-dev").query("task == 'gsm8k' and metric == 'exact_match'")
    row = next(row for row in rows_of(page, "scores") if row.head.startswith("GSM8K"))
    assert uncovered(row, frame) == set()
    assert uncovered(row, frame.assign(ci_low=0.33)) == {"32.9"}
    assert uncovered(row, frame.assign(n=41, items=41, responses=41)) == {"40"}


def test_the_leaderboard(store: Path, tmp_path: Path) -> None:
    page = write_leaderboard_page(records_in(store), tmp_path / "board.html")
    frame, between = olmes.load(store), olmes.differences(store)
    rows = rows_of(page, "board", "matrix")
    for row in rows:
        [model] = [name for name in frame["model"].unique() if name in row.head]
        own = [found[found["model"].eq(model)] for found in (frame, between)]
        assert uncovered(row, *own) == set(), row
    assert {row.of for row in rows} >= {"board", "matrix"}


def test_the_page_of_a_training(training: Path, tmp_path: Path) -> None:
    records = records_in(training)
    page = write_checkpoints_page(by_step(records), tmp_path / "steps.html")
    frame, between = olmes.load(training), olmes.differences(training, view="checkpoints")
    tasks = dict(zip(frame["title"], frame["task"], strict=True)) | {"Suite mean": ""}
    rows = rows_of(page, "pairs", "grid")
    for row in rows:
        if row.of == "grid":
            own = frame[frame["step"].eq(int(row.head))]
        else:
            own = between[between["task"].eq(tasks[row.head.removeprefix("unseen: ")])]
        assert uncovered(row, own) == set(), row
    assert {row.of for row in rows} >= {"pairs", "grid"}
    assert set(between["kind"]) == {"best checkpoint", "added by the choice", "latest checkpoint"}


def test_a_comparison(store: Path, tmp_path: Path) -> None:
    folders = store / "100-dev", store / "200-dev"
    page = write_comparison_page(compare_runs(*map(Record.load, folders)), tmp_path / "page.html")
    frame = olmes.load(*folders)
    between = olmes.differences(*folders, view="comparison")
    rows = rows_of(page, "differences")
    for row in rows:
        titles = [title for title in frame["title"].unique() if row.head.startswith(title)]
        tasks = frame[frame["title"].eq(titles[0])]["task"] if titles else pandas.Series([""])
        own = [found[found["task"].isin(tasks)] for found in (frame, between)]
        assert uncovered(row, *own) == set(), row
    assert len(rows) == len(between) == 4


def test_development_beside_unseen(store: Path, tmp_path: Path) -> None:
    records = records_in(store)
    folders = {record.id: record.folder for record in records}
    page = write_generalization_page(generalization(records), tmp_path / "page.html", folders)
    frame, between = olmes.load(store), olmes.differences(store, view="generalization")
    rows = rows_of(page, "pairs", "costs")
    for row in rows:
        [model] = [name for name in frame["model"].unique() if name in row.head]
        own = [found[found["model"].eq(model)] for found in (frame, between)]
        assert uncovered(row, *own) == set(), row
    assert len(rows) > 20
    assert {"rank order", "change on dev", "dev less unseen"} <= set(between["kind"])


def test_columns_are_the_documented_ones(store: Path, training: Path) -> None:
    frame = olmes.load(training)
    assert list(frame.columns) == list(NUMBERS)
    assert list(frame["step"].unique()) == [100, 200, 300, 400]
    assert set(frame["lineage"]) == {
        f"llama → tulu-8b, step {step}" for step in (100, 200, 300, 400)
    }
    kinds: set[Any] = set()
    for view, place in (
        ("leaderboard", store), ("checkpoints", training), ("generalization", store),
    ):  # fmt: skip
        between = olmes.differences(place, view=view)  # type: ignore[arg-type]
        assert list(between.columns) == list(DIFFERENCES)
        kinds |= set(between["kind"])
    assert kinds <= set(KINDS)
