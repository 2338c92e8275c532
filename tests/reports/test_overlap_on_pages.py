"""Items that overlap with the training data, on every page: a mark beside the score, and one line."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes import Record
from olmes.cli.tables import record_table
from olmes.comparison.boards import boards_of
from olmes.comparison.compare import compare_runs
from olmes.comparison.generalization import generalization
from olmes.export.frame import load
from olmes.export.tables import latex, markdown
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.comparison_page import write_comparison_page
from olmes.reports.generalization_page import write_generalization_page
from olmes.reports.leaderboard_page import write_leaderboard_page
from olmes.reports.run_page import write_run_page

Open = Callable[..., Any]
HOSTILE = '"><img src=x onerror="window.pwned = 1">'
LINE = re.compile(
    r"GSM8K: 12 of 40 items overlap with the training data \(tulu_sft\): "
    r"\d\d\.\d → \d\d\.\d without them \(paired [+−]?\d+\.\d \[\S+ \S+\], n = 28\)"
)


def compared(task: str, data: str, items: Sequence[int], **fields: Any) -> dict[str, Any]:
    """What a lineage says of a data set and a task."""
    return {
        "data_set": "tulu_sft",
        "data_hash": "cd" * 32,
        "rows": 939_343,
        "task": task,
        "task_data_hash": data,
        "n": 40,
        "overlapped": len(items),
        "items": [f"{at:016x}" for at in items],
        "matched_rows": len(items),
        "ngram": 8,
        "threshold": 0.5,
    } | fields


def trained_on(folder: Path, name: str, *entries: tuple[str, Sequence[int]], **fields: Any) -> None:
    """Give a record the lineage of a model whose data overlap with items of its tasks."""
    run = json.loads((folder / "run.json").read_text())
    for task, result in run["tasks"].items():
        result["data"]["content_hash"] = (task.encode().hex() * 64)[:64]
    overlap = [
        compared(task, run["tasks"][task]["data"]["content_hash"], items, **fields)
        for task, items in entries
    ]
    run["model"] |= {"name": name, "lineage": [{"training": "sft", "step": 4, "overlap": overlap}]}
    (folder / "run.json").write_text(json.dumps(run))


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a training whose data hold items of GSM8K and of a held-out task, none of BBH."""
    place = tmp_path_factory.mktemp("overlap") / "store"
    shutil.copytree(store, place)
    for step in range(100, 500, 100):
        name = f"tulu-8b/{step}"
        if step == 100:  # of the first checkpoint nobody knows
            trained_on(place / "100-dev", name)
            trained_on(place / "100-unseen", name)
            continue
        trained_on(place / f"{step}-dev", name, ("gsm8k", range(12)), ("bbh", ()))
        trained_on(place / f"{step}-unseen", name, ("deepmind_math", range(7)))
    return place


def text_of(page: Path) -> str:
    """What a page says, without its scripts and styles."""
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page.read_text("utf-8"))
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def records(store: Path, kind: str = "dev") -> list[Record]:
    return [Record.load(path.parent) for path in sorted(store.glob(f"*-{kind}/run.json"))]


def test_the_page_of_a_run(trained: Path, tmp_path: Path) -> None:
    text = text_of(write_run_page(trained / "400-dev", tmp_path / "page.html"))
    assert re.search(LINE.pattern.removeprefix("GSM8K: "), text)
    assert "‡ Mean, where items of GSM8K overlap with the training data: " in text
    assert " 0 of 40 items overlap with the training data (tulu_sft)" in text
    assert text.count("0 of 40 items overlap") == 1  # nothing is said of IFEval: nobody looked


def test_the_page_of_a_model_without_such_a_lineage_is_as_it_was(
    store: Path, tmp_path: Path
) -> None:
    page = write_run_page(store / "400-dev", tmp_path / "page.html").read_text()
    assert "overlap with the training data" not in page
    assert "‡" not in page


def test_the_page_of_a_look_has_counts_and_scores_and_no_item(
    trained: Path, tmp_path: Path
) -> None:
    page = write_run_page(trained / "400-unseen", tmp_path / "page.html")
    text = text_of(page)
    assert re.search(
        r"7 of 40 items overlap with the training data \(tulu_sft\): \S+ → \S+ without them", text
    )
    own = page.read_text("utf-8")
    assert not [at for at in range(2, 7) if f"{at:016x}" in own]  # 0: as a ledger begins


def test_a_data_sets_name_is_text(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "400-dev", tmp_path / "400-dev")
    trained_on(tmp_path / "400-dev", "m", ("gsm8k", range(3)), data_set=HOSTILE)
    for page in (
        write_run_page(tmp_path / "400-dev", tmp_path / "page.html"),
        write_leaderboard_page(records(tmp_path), tmp_path / "board.html"),
    ):
        text = page.read_text("utf-8")
        assert "<img src=x" not in text
        assert "&lt;img src=x" in text


def test_the_board(trained: Path, tmp_path: Path) -> None:
    page = write_leaderboard_page(records(trained), tmp_path / "board.html")
    text = text_of(page)
    assert re.search(r"‡ tulu-8b/400: GSM8K|tulu-8b/400: ‡ " + LINE.pattern, text)
    assert "tulu-8b/200: BIG-Bench Hard: 0 of 40 items overlap" in text
    assert "tulu-8b/100: " not in text
    rows = page.read_text().split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    marked = {re.search(r"tulu-8b/\d+", row)[0]: row.count(">‡<") for row in rows}  # type: ignore[index]
    assert marked == {  # the mean and GSM8K
        "tulu-8b/100": 0, "tulu-8b/200": 2, "tulu-8b/300": 2, "tulu-8b/400": 2,
    }  # fmt: skip


def test_a_comparison(trained: Path, tmp_path: Path) -> None:
    first, last = records(trained)[0], records(trained)[-1]
    found = compare_runs(first, last)
    assert found.runs[0].overlap == {}
    assert set(found.runs[1].overlap) == {"gsm8k", "bbh"}
    text = text_of(write_comparison_page(found, tmp_path / "page.html"))
    assert "B: 12 of 40 items overlap with the training data (tulu_sft): " in text
    assert "A: " not in text


def test_generalization(trained: Path, tmp_path: Path) -> None:
    found = generalization([*records(trained), *records(trained, "unseen")])
    page = write_generalization_page(found, tmp_path / "page.html")
    text = text_of(page)
    assert LINE.search(text)
    assert "DeepMind Mathematics: 7 of 40 items overlap with the training data" in text
    assert "‡" in text


def test_checkpoints(trained: Path, tmp_path: Path) -> None:
    steps = [(100.0 * at, record) for at, record in enumerate(records(trained), start=1)]
    page = write_checkpoints_page(steps, tmp_path / "page.html")
    assert re.search(r"Step 400: ‡ " + LINE.pattern, text_of(page))
    assert "Step 300" not in text_of(page)
    assert page.read_text().count(">‡<") == 6  # the suite and GSM8K at three steps


def test_the_terminal_table(trained: Path) -> None:
    from rich.console import Console

    screen = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    screen.print(record_table(Record.load(trained / "400-dev")))
    lines = screen.export_text().splitlines()
    marked = [line.split()[0] for line in lines if "‡" in line]
    assert marked == ["gsm8k", "dev"]


def test_tables_and_frames(trained: Path) -> None:
    boards, left_out = boards_of(records(trained))
    for text in (markdown(boards, left_out), latex(boards, left_out)):
        assert re.search(r"tulu-8b/400, .*GSM8K: 12 of 40 items overlap", text)
    frame = load(trained / "400-dev")
    primary = frame[frame["primary"] & (frame["subtask"] == "")].set_index("task")
    assert primary.loc["gsm8k", "overlapped"] == 12
    assert primary.loc["bbh", "overlapped"] == 0
    assert primary["overlapped"].isna()["ifeval"]
    assert primary.loc["gsm8k", "value_without_overlap"] != primary.loc["gsm8k", "value"]
    assert primary.loc["bbh", "value_without_overlap"] == primary.loc["bbh", "value"]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(trained: Path, tmp_path: Path, open_page: Open, scheme: str) -> None:
    page = open_page(
        write_run_page(trained / "400-dev", tmp_path / "page.html"), color_scheme=scheme
    )
    row = page.locator("tbody", has_text="GSM8K").first
    assert "‡" in row.inner_text()
    assert "without them (paired" in row.inner_text()
    if shots := os.environ.get("OLMES_TEST_SHOTS"):
        page.screenshot(path=Path(shots) / f"overlap-{scheme}.png", full_page=True)
