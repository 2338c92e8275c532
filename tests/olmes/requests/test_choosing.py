"""Limits that are shares, and items that are named: what is asked, and how the record says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import OlmesError, evaluate
from olmes.benchmark.naming import names_of
from olmes.comparison.boards import boards_of
from olmes.comparison.eligibility import items_in_words
from olmes.requests.choosing import count_of, parse_items
from olmes.runs.planning import tasks_of

if TYPE_CHECKING:
    from olmes.records.record import Record
    from tests.olmes.conftest import EchoBench


@pytest.mark.parametrize(
    ("limit", "items", "count"),
    [(0.1, 1319, 132), (0.07, 100, 7), (0.5, 1, 1), (0.001, 12, 1), (5, 3, 3), (5, 12, 5)],
)
def test_a_share_is_of_the_items_and_never_none(limit: float, items: int, count: int) -> None:
    assert count_of(limit, items) == count


def run(echo: EchoBench, out: Path, **how: object) -> Record:
    return evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=out,
        scoring_processes=1, **how,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_share_is_the_run_of_that_many_items(echo: EchoBench, tmp_path: Path) -> None:
    share = run(echo, tmp_path / "runs", limit=0.25)
    assert (share.tasks["echo"].n, share.run.limit) == (3, 3)
    assert items_in_words(share.run) == "3 of 12 items of echo"
    assert run(echo, tmp_path / "runs", limit=3).id == share.id


def test_named_items_are_asked_marked_and_ranked_beside_no_drawn_ones(
    echo: EchoBench, tmp_path: Path
) -> None:
    drawn = run(echo, tmp_path / "runs", limit=3)
    rows = (drawn.folder / "samples/echo.jsonl").read_text("utf-8").splitlines()
    ids = [f"echo/{json.loads(row)['doc_id']}" for row in rows]
    named = run(echo, tmp_path / "runs", items=ids)
    assert named.id != drawn.id
    assert named.tasks["echo"].items_hash == drawn.tasks["echo"].items_hash
    assert items_in_words(named.run) == "3 of 12 items of echo, named one by one"
    assert (named.run.named, named.run.limit) == (True, 3)
    assert '"named"' not in (drawn.folder / "run.json").read_text("utf-8")
    boards, left_out = boards_of([drawn, named])
    assert [len(board.records) for board in boards] == [1, 1]
    assert left_out == []


def test_items_are_named_by_row_range_and_id(echo: EchoBench, tmp_path: Path) -> None:
    found = run(echo, tmp_path / "runs", items="1,3-4,echo/11,3")
    rows = (found.folder / "samples/echo.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["doc_id"] for row in rows] == [1, 3, 4, 11]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ("12", "there is no document 12 of echo; the last row is 11"),
        ("0-12", "there is no document 12 of echo"),
        ("math/3", "'math' is not a task or sub-task of this run"),
        ("9-3", "write a range as FIRST-LAST"),
        ("x", "write row numbers"),
        (",", "names no item"),
    ],
)
def test_items_that_are_not_there_are_refused(
    echo: EchoBench, tmp_path: Path, items: str, words: str
) -> None:
    with pytest.raises(OlmesError, match=words):
        run(echo, tmp_path / "runs", items=items)


def test_an_item_of_a_sub_task_is_named_by_its_id() -> None:
    [one, two] = parse_items("mmlu/anatomy/3-5,anatomy/7")
    assert (one.place, one.first, one.last) == ("mmlu/anatomy", 3, 5)
    assert (two.place, two.first) == ("anatomy", 7)


def test_tasks_are_named_with_commas_patterns_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.py", "c*.py", "cd.py"):
        Path(name).touch()
    assert names_of(["gsm8k, math", "math"]) == ["gsm8k", "math"]
    assert names_of("mmlu*") == ["mmlu", "mmlu_mc", "mmlu_pro"]
    assert names_of("if*") == ["ifeval", "ifeval_ood", "ifeval_ood_fresh"]  # once, by its own name
    assert names_of("ifb*") == ["ifbench"]
    assert names_of("a,b.py") == ["a,b.py"]
    assert names_of("c*.py") == ["c*.py"]
    assert names_of("c?.py") == ["c*.py", "cd.py"]
    assert [task.name for task in tasks_of("humaneval*")[1]] == ["humaneval", "humaneval_plus"]
    with pytest.raises(OlmesError, match="no file fits the pattern 'z"):
        names_of("z*.py")
    with pytest.raises(OlmesError, match="no task fits the pattern 'gsm9"):
        names_of("gsm9*")


def test_a_recording_of_fewer_rows_says_what_it_lacks_and_which_limit_fits(
    echo: EchoBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    echo.record([{"response": "word1", "doc_id": row} for row in range(3)])
    whole = run(echo, tmp_path / "runs")
    assert "answers 3 of 12 items" in capsys.readouterr().err
    assert (whole.complete, whole.tasks["echo"].counts["failed"]) == (False, 9)
    few = run(echo, tmp_path / "runs", limit=3)
    assert "answers" not in capsys.readouterr().err
    assert (few.complete, few.tasks["echo"].n) == (True, 3)


def test_a_model_that_the_hub_does_not_give_is_told_before_data_are_looked_for(
    echo: EchoBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OlmesError, match="nobody/nothing"):
        evaluate(str(echo.task), model="nobody/nothing", data=echo.data, out=tmp_path / "runs")
    assert capsys.readouterr().err == ""
