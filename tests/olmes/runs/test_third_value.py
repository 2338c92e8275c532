"""A response without a finite value of the primary metric is a crash: counted, and never a score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import Record, evaluate
from olmes.comparison.boards import boards_of

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

RIGHT = 'values={"exact_match": float(response.text == doc["word"])}'
FAULTS = {
    "left out": 'values={} if response.text == "odd" else ' + RIGHT.removeprefix("values="),
    "not a number": f'{RIGHT} if response.text != "odd" else {{"exact_match": float("nan")}}',
    "infinite": f'{RIGHT} if response.text != "odd" else {{"exact_match": float("-inf")}}',
    "a word": f'{RIGHT} if response.text != "odd" else {{"exact_match": "yes"}}',
    "a nan among parts": f'{RIGHT} if response.text != "odd" else {{"exact_match": [1, float("nan")]}}',
}


def run(echo: EchoBench, folder: Path, fault: str) -> Record:
    """Eight right answers, and four that the scorer fails on."""
    task = folder / "odd_task.py"
    text = echo.task.read_text("utf-8")
    assert RIGHT in text
    task.write_text(text.replace(RIGHT, fault), "utf-8")
    echo.record(
        [{"response": f"word{i}" if i < 8 else "odd", "doc_id": i, "tokens": 1} for i in range(12)]
    )
    return evaluate(
        str(task),
        model=f"replay:{echo.recording}",
        data=echo.data,
        out=folder / "runs",
        scoring_processes=1,
    )


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_scorer_without_a_number_has_crashed(echo: EchoBench, tmp_path: Path, fault: str) -> None:
    record = run(echo, tmp_path, fault)
    task = record.tasks["echo"]
    assert (task.n, task.score.n, task.said("crashed")) == (12, 8, 4)
    assert not record.complete
    json.loads((record.folder / "run.json").read_text("utf-8"), parse_constant=refuse)
    rows = [row for row in record.samples("echo") if "crashed" in row["flags"]]
    assert len(rows) == 4
    assert all("exact_match" in row["note"] for row in rows)
    # What the task's other scorer said of them stands.
    assert all(row["values"] == {"length_match": 0.0} for row in rows)
    boards, left_out = boards_of([record])
    assert boards == []
    assert "incomplete" in left_out[0][1]


def refuse(constant: str) -> float:
    """`NaN` and `Infinity` are no JSON."""
    raise AssertionError(constant)
