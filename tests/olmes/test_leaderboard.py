"""Many runs side by side: what shares a column, what is ranked, which differences are real."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from olmes import Record, evaluate
from olmes.leaderboard import leaderboard

N = 12


@pytest.fixture
def board(echo, tmp_path: Path, monkeypatch):
    """Makes runs of the echo task that count as runs on its official data."""
    from olmes.data import resolve

    made = resolve._dataset
    monkeypatch.setattr(
        resolve, "_dataset", lambda *found: dataclasses.replace(made(*found), official=True)
    )

    def run(name: str, right: int, **options) -> Record:
        recording = tmp_path / f"{name}.jsonl"
        rows = [{"doc_id": i, "response": f"word{i}" if i < right else "no"} for i in range(N)]
        recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return evaluate(
            str(echo.task),
            model=f"replay:{recording}",
            data=echo.data,
            out=tmp_path / "runs",
            workers=1,
            **options,
        )

    return run


def names(entries: list[dict]) -> list[str]:
    return [Path(entry["run"]["name"]).stem for entry in entries]


def test_the_best_stands_first(board) -> None:
    found = leaderboard([board("low", 2), board("high", 11), board("middle", 6)])
    assert names(found["ranked"]) == ["high", "middle", "low"]
    assert found["apart"] == []
    [column] = found["columns"]
    assert (column["key"], column["metric"], column["standard"]) == ("echo", "exact_match", True)


def test_pairs_say_which_differences_are_real(board) -> None:
    found = leaderboard([board("low", 1), board("high", 12), board("close", 11)])
    pairs = {(pair["a"], pair["b"]): pair for pair in found["pairs"]["echo"]}
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}
    assert pairs[0, 1]["verdict"] == "not enough data"
    assert pairs[0, 2]["verdict"] == "worse"
    # Holm over the three: the smallest of the p-values is multiplied by three.
    smallest = min(pair["p_value"] for pair in pairs.values())
    assert pairs[0, 2]["p_adjusted"] == pytest.approx(3 * smallest)


def test_another_formulation_has_its_own_column_and_is_not_ranked(board) -> None:
    found = leaderboard(
        [board("a", 5), board("b", 9, settings={"echo.question": "Please say {word}."})]
    )
    assert [column["key"] for column in found["columns"]] == ["echo", "echo (2)"]
    assert names(found["ranked"]) == ["a"]
    assert found["apart"][0]["why_not"] == ["not the standard formulation"]
    assert list(found["apart"][0]["cells"]) == ["echo (2)"]


def test_what_is_not_the_benchmark_is_kept_apart(board) -> None:
    limited = board("limited", 12, limit=3)
    whole = board("whole", 5, limit=N)
    sample = Record(whole.folder, json.loads(json.dumps(whole.data)))
    sample.data["model"]["fingerprint"] = "another"
    sample.data["tasks"]["echo"]["data"] |= {"origin": "sample", "official": False}
    broken = Record(whole.folder, json.loads(json.dumps(whole.data)))
    broken.data["model"]["fingerprint"] = "a third"
    broken.data["complete"] = False
    found = leaderboard([limited, whole, sample, broken])
    assert names(found["ranked"]) == ["whole"]
    assert sorted(entry["why_not"][0] for entry in found["apart"]) == [
        "incomplete",
        "limited",
        "sample data",
    ]


def test_of_equal_runs_the_newest_is_shown(board) -> None:
    first = board("a", 5)
    second = Record(first.folder, json.loads(json.dumps(first.data)))
    second.data |= {"created": "2999-01-01T00:00:00Z", "id": "newer"}
    found = leaderboard([second, first])
    assert [entry["run"]["id"] for entry in found["ranked"]] == ["newer"]
