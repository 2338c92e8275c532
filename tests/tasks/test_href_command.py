"""HREF by the command line: published judgements replayed to the published win rate, and what fails."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from olmes import Request, Response
from olmes.benchmark.registry import load_task
from olmes.tools.jsonl import dumps

TASK = load_task("href")
PUBLISHED = 0.26459627329192546  # AlpacaEval 1's leaderboard, alpaca-7b


class Bench:
    """805 items, alpaca-7b's responses and GPT-4's judgements of AlpacaEval 1, as olmes reads them."""

    def __init__(self, folder: Path, annotations: list[dict[str, Any]]) -> None:
        self.folder = folder
        self.annotations = annotations
        self.items = [
            {
                "category": "Brainstorm",
                "instruction": row["instruction"],
                "output": row["output_1"],
                "generator": "text_davinci_003",
                "reference": "",
            }
            for row in annotations
        ]
        self.write("data/href/dev.jsonl", self.items)
        said = [
            {"task": "href", "doc_id": at, "response": row["output_2"]}
            for at, row in enumerate(annotations)
        ]
        self.write("said.jsonl", said)

    def write(self, name: str, rows: list[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(dumps(row) + "\n" for row in rows), "utf-8")
        return path

    def judgements(self, task: Any = TASK) -> list[dict[str, Any]]:
        """What was published, as answers to the questions that are put."""
        rows = []
        for item, row in zip(self.items, self.annotations, strict=True):
            [question] = task.questions(item, Response(text=row["output_2"]))
            assert isinstance(question, Request)
            [first] = task.model_first(item)
            won = {0: "tie", 1: "B" if first else "A", 2: "A" if first else "B"}
            rows.append({**question.to_json(), "text": won[int(row["preference"])]})
        return rows

    def run(self, *arguments: object, status: int = 0) -> dict[str, Any]:
        """The record that `olmes run` prints, or its error."""
        command = [
            sys.executable,
            "-m",
            "olmes",
            "run",
            "--task",
            "href",
            "--json",
            "--scoring-processes",
            "1",
        ]
        command += ["--model", "replay:said.jsonl", "--data", "data", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def bench(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    path = shared_data / "alpaca_eval/outputs/alpaca-7b.alpaca_eval_gpt4.annotations.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return Bench(tmp_path, json.load(stream))


def test_published_judgements_come_to_the_published_win_rate(bench: Bench) -> None:
    file = bench.write("judged.jsonl", bench.judgements())
    record = bench.run("--judge", f"replay:{file.name}", "--reason", "as published")
    task = record["tasks"]["href"]
    assert task["metrics"]["win_rate"]["value"] == pytest.approx(PUBLISHED, abs=1e-12)
    assert task["metrics"]["win_rate"]["n"] == task["judge"]["judgements"] == 805
    assert (task["counts"]["unparsed"], task["counts"]["unjudged"]) == (0, 0)
    assert task["judge"]["model"]["name"] == "replay:judged.jsonl"
    assert record["complete"]
    assert record["held_out"]["reason"] == "as published"
    assert not (Path(bench.folder) / record["folder"] / "samples/href.jsonl").exists()


def test_judgements_that_are_missing_or_unreadable_are_counted(bench: Bench) -> None:
    rows = bench.judgements()[5:]
    rows[0]["text"] = "Both are fine, I would say A."
    file = bench.write("judged.jsonl", rows)
    record = bench.run("--judge", f"replay:{file.name}", "--reason", "gaps", status=1)
    task = record["tasks"]["href"]
    assert (task["counts"]["unjudged"], task["counts"]["unparsed"]) == (5, 1)
    assert task["metrics"]["win_rate"]["n"] == 805 - 6
    assert not record["complete"]


def test_the_official_wording_from_a_file_is_named_in_the_record(bench: Bench) -> None:
    text = "Which is better for {instruction}?\nA: {output_1}\nB: {output_2}\nSay A, B or tie."
    prompt = bench.folder / "official.txt"
    prompt.write_text(text, "utf-8")
    task = TASK.with_settings({"prompt_no_reference": str(prompt)})
    file = bench.write("judged.jsonl", bench.judgements(task))
    record = bench.run(
        "--judge", f"replay:{file.name}", "--reason", "their words",
        "--set", f"href.prompt_no_reference={prompt}",
    )  # fmt: skip
    found = record["tasks"]["href"]
    assert found["metrics"]["win_rate"]["value"] == pytest.approx(PUBLISHED, abs=1e-12)
    assert found["formulation"]["prompt_no_reference"] == text
    assert found["settings"] == {"prompt_no_reference": str(prompt)}
    assert not found["standard"]
