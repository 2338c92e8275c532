"""Programs that a model wrote, from the response to the record, and metrics of several responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from olmes import Record, content_hash, evaluate
from olmes.benchmark.registry import load_task
from olmes.models.recorded_rows import read_recorded
from olmes.runs.rescoring import score_recorded
from olmes.runs.task_check import check_task
from olmes.server.intake.recount import Recount
from olmes.tools.jsonl import write
from tests.known import known

FILE = Path(__file__).parents[1] / "files/code_task.py"
RIGHT = "def double(n):\n    return 2 * n"
WRONG = "def double(n):\n    return n"
EARLY = "import sys\nsys.exit(0)"
ANSWERS = (
    (RIGHT, WRONG, WRONG, WRONG),
    (RIGHT, RIGHT, "def double(n:", ""),
    (EARLY, WRONG, "raise ValueError(7)", "print('passed')"),
)
"""Of three items, four responses each."""

pytestmark = pytest.mark.usefixtures("bubblewrap_program")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The responses as a recording, the items beside it."""
    (tmp_path / "data/doubling").mkdir(parents=True)
    write(tmp_path / "data/doubling/test.jsonl", [{"number": n + 1} for n in range(3)])
    rows: list[dict[str, Any]] = [
        {"doc_id": item, "repeat": repeat, "response": text}
        for item, texts in enumerate(ANSWERS)
        for repeat, text in enumerate(texts)
    ]
    write(tmp_path / "recorded.jsonl", rows)
    return tmp_path / "recorded.jsonl"


def run(recorded: Path, **options: Any) -> Record:
    folder = recorded.parent
    return evaluate(
        str(FILE), model=f"replay:{recorded}", data=folder / "data", out=folder / "runs",
        scoring_processes=1, **options,
    )  # fmt: skip


def test_programs_are_executed_and_kept_as_evidence(recorded: Path) -> None:
    record = run(recorded)
    assert record.complete
    rows = list(record.samples("doubling"))
    assert [row["values"]["pass@1"] for row in rows] == [1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    first = rows[0]["executions"][0]
    assert (first["source"], first["result"]) == (RIGHT, "passed")
    assert first["tests_hash"] == content_hash("assert double(1) == 2")[:16]
    assert "executions" not in rows[7]
    assert "SyntaxError" in rows[6]["executions"][0]["output"]
    assert "ValueError: 7" in rows[10]["executions"][0]["output"]


def test_a_settled_value_is_the_items_in_each_of_its_rows(recorded: Path) -> None:
    record = run(recorded)
    items = [1 - 3 / 6, 1 - 1 / 6, 0.0]  # two of four
    found = [row["values"]["pass@2"] for row in record.samples("doubling")]
    assert found == pytest.approx([value for value in items for _ in range(4)])
    score = record.tasks["doubling"].score
    assert score.value == pytest.approx(sum(items) / 3)
    assert score.n == 12
    repeats = known(record.tasks["doubling"].repeats)
    assert repeats.complete
    assert set(repeats.metrics) == {"pass@1"}  # pass@k of pass@2 would say nothing


def test_the_same_numbers_are_made_again_from_the_samples(recorded: Path) -> None:
    record = run(recorded)
    recount = Recount("doubling", record.run.tasks["doubling"])
    for row in record.samples("doubling"):
        recount.add(row)
    recount.hold()


def test_a_recording_is_scored_alike(recorded: Path) -> None:
    task = load_task(str(FILE))
    rows = [
        {**json.loads(line), "doc": {"number": json.loads(line)["doc_id"] + 1}}
        for line in recorded.read_text(encoding="utf-8").splitlines()
    ]
    write(recorded, rows)
    found = score_recorded(task, read_recorded(recorded), None, scoring_processes=1)
    assert found.metrics["pass@1"].value == pytest.approx(3 / 12)
    assert found.metrics["pass@2"].value == pytest.approx((0.5 + 5 / 6) / 3)


def test_a_single_response_has_no_settled_value(recorded: Path) -> None:
    record = run(recorded, settings={"doubling.n": 1})
    assert record.complete
    score = record.tasks["doubling"]
    assert score.metrics["pass@1"].value == pytest.approx(2 / 3)
    assert score.score.value is None


def test_the_oracle_is_executed(recorded: Path) -> None:
    task = load_task(str(FILE))
    found = check_task(task, recorded.parent / "data", say=lambda line: None, scoring_processes=1)
    assert not found.problems
    assert found.needs["sandbox"]
    assert (found.metrics["pass@1"].perfect, found.metrics["pass@1"].corrupted) == (3, 3)
    assert found.metrics["pass@2"].unchecked == 3
