"""Recordings of log-probabilities: scored, replayed, and held against what the task asks."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from olmes import evaluate
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.errors import OlmesError
from olmes.models.recorded_rows import read_recorded
from olmes.requests.recorded import Finder
from olmes.tools import jsonl

DEMO = Path(__file__).parents[3] / "tasks/demo"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "recorded.jsonl"
    jsonl.write(path, rows)
    return path


def right(task: str) -> list[dict[str, Any]]:
    """A row for each demo item, by which it is answered right."""
    found = load_task(task)
    return [
        {"logprobs": list(found.perfect_response(doc).logprobs), "doc_id": at, "task": task}
        for at, doc in enumerate(jsonl.read(DEMO / f"{found.demo_data or task}.jsonl"))
    ]


@pytest.mark.parametrize(("task", "values"), [("truthfulqa", {"mc1", "mc2"}), ("mmlu_mc", {"acc"})])
def test_they_are_scored_without_a_model(tmp_path: Path, task: str, values: set[str]) -> None:
    path = write(tmp_path, right(task))
    done = subprocess.run(
        [sys.executable, "-m", "olmes", "score", str(path), "--task", task, "--json"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["n"] == 24
    assert {name: metric["value"] for name, metric in found["metrics"].items()} == dict.fromkeys(
        values, 1.0
    )
    assert not any(found["counts"][flag] for flag in ("crashed", "unparsed", "failed"))


def test_a_run_replays_them_and_its_samples_are_replayed_again(tmp_path: Path) -> None:
    rows = right("mmlu_mc") + right("truthfulqa")
    rows[0]["logprobs"] = rows[0]["logprobs"][::-1]
    recording = write(tmp_path, rows)
    tasks = ["mmlu_mc", "truthfulqa"]
    record = evaluate(
        tasks, model=f"replay:{recording}", out=tmp_path / "runs", scoring_processes=1
    )
    # Three subjects of eight items each, whose shares are averaged.
    assert record.value("mmlu_mc") == pytest.approx(23 / 24)
    assert record.value("truthfulqa") == 1
    samples = record.folder / "samples/mmlu_mc.jsonl"
    again = evaluate(
        "mmlu_mc", model=f"replay:{samples}", out=tmp_path / "again", scoring_processes=1
    )
    assert again.value("mmlu_mc") == record.value("mmlu_mc")


def test_inline_items_need_no_exemplars(tmp_path: Path) -> None:
    doc = {"subject": "x", "question": "?", "choices": ["1", "2", "3", "4"], "answer": "C"}
    path = write(tmp_path, [{"logprobs": [-4, -3, -1, -2], "doc": doc}])
    done = subprocess.run(
        [sys.executable, "-m", "olmes", "score", str(path), "--task", "mmlu_mc", "--json"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(done.stdout)["metrics"]["acc"]["value"] == 1


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("mmlu_mc", {"logprobs": [-1.0] * 3}, "3 'logprobs' for the 4 continuations of mmlu_mc/"),
        ("truthfulqa", {"logprobs": [-1.0] * 99}, "99 'logprobs' for the "),
        ("mmlu_mc", {"response": "A"}, "mmlu_mc weighs continuations; give 'logprobs' instead"),
        ("mmlu", {"logprobs": [-1.0] * 4}, "mmlu generates text; give 'response' instead"),
    ],
)
def test_rows_that_do_not_fit_are_named(
    tmp_path: Path, task: str, row: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, [row | {"doc_id": 2}])
    with pytest.raises(OlmesError) as caught:
        evaluate(task, model=f"replay:{path}", out=tmp_path / "runs", scoring_processes=1)
    assert f"{path}, line 1: {message}" in str(caught.value)
    found = load_task(task)
    finder = Finder(found, resolve(found, say=lambda line: None))
    with pytest.raises(OlmesError) as caught:
        finder.instance(read_recorded(path)[0])
    assert message in str(caught.value)


def test_a_failed_row_is_one(tmp_path: Path) -> None:
    rows = right("mmlu_mc")
    rows[0] = {"response": "", "finish": "error", "doc_id": 0}
    record = evaluate(
        "mmlu_mc", model=f"replay:{write(tmp_path, rows)}", out=tmp_path / "r", scoring_processes=1
    )
    assert record.run.tasks["mmlu_mc"].counts["failed"] == 1


def test_the_references_sums_give_its_numbers(
    tmp_path: Path, shared_data: Path, shared_reference: Path
) -> None:
    with gzip.open(shared_reference / "verdicts/truthfulqa.jsonl.gz", "rt") as stream:
        golden = [json.loads(line) for line in stream]
    path = write(
        tmp_path,
        [{"logprobs": row["sum_logprobs"], "doc_id": row["doc_id"]} for row in golden],
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "olmes", "score", str(path), "--task", "truthfulqa"),
            *("--data", str(shared_data), "--json"),
        ],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    found = json.loads(done.stdout)["metrics"]
    for name in ("mc1", "mc2"):
        mean = sum(row["reference"][name] for row in golden) / len(golden)
        assert found[name]["value"] == pytest.approx(mean, abs=1e-9)
