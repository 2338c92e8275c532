"""A recorded response answers the item it names, whatever other item has the same prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import Record, evaluate

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench


def run(echo: EchoBench, folder: Path, target: str | list[str], **options: Any) -> Record:
    return evaluate(
        target,
        model=f"replay:{echo.recording}",
        data=echo.data,
        out=folder / "runs",
        scoring_processes=1,
        **options,
    )


def right(record: Record, task: str) -> list[bool]:
    return [row["values"]["exact_match"] == 1 for row in record.samples(task)]


def test_two_tasks_with_the_same_prompts_keep_their_answers(
    echo: EchoBench, tmp_path: Path
) -> None:
    other = tmp_path / "other_task.py"
    other.write_text(echo.task.read_text("utf-8").replace('name = "echo"', 'name = "other"'))
    echo.record(
        [
            {"response": f"word{i}" if good else "no", "doc_id": i, "task": task}
            for task, good in (("echo", True), ("other", False))
            for i in range(12)
        ]
    )
    record = run(echo, tmp_path, [str(echo.task), str(other)])
    assert right(record, "echo") == [True] * 12
    assert right(record, "other") == [False] * 12


@pytest.mark.parametrize("named", ["by row", "by document"])
def test_items_with_the_same_prompt_keep_their_answers(
    echo: EchoBench, tmp_path: Path, named: str
) -> None:
    """Row 0 and row 2 ask the same; the first response to them is right, the second is not."""
    words = ["a", "b", "a", "c"]
    text = "".join(json.dumps({"word": word}) + "\n" for word in words)
    (echo.data / "echo/test.jsonl").write_text(text, "utf-8")
    echo.record(
        [
            {"response": response, "doc_id": i, "repeat": repeat}
            if named == "by row"
            else {"response": response, "doc": {"word": words[i]}, "repeat": repeat}
            for repeat, said in enumerate((["a", "b", "x", "c"], ["x", "x", "a", "x"]))
            for i, response in enumerate(said)
        ]
    )
    record = run(echo, tmp_path, str(echo.task), settings={"echo.n": 2})
    found = {
        (row["doc_id"], row["repeat"]): row["values"]["exact_match"] == 1
        for row in record.samples("echo")
    }
    expected = {(0, 0), (1, 0), (3, 0), (2, 1)}
    assert found == {(i, repeat): (i, repeat) in expected for i in range(4) for repeat in (0, 1)}
