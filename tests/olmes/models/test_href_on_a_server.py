"""HREF from question to win rate, its judge behind a real server on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from olmes import evaluate
from olmes.judging.judge import Judge
from olmes.models.hf.model import HFModel
from olmes.runs.planning import load_judge
from tests.known import known

pytestmark = [pytest.mark.slow, pytest.mark.model]


def test_href_is_judged_over_the_wire(
    served: Any, smollm2: HFModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded model answers and judges; what it says is nonsense, where it goes is not."""
    for name, value in {"OLMES_CACHE": str(tmp_path / "cache"), "OLMES_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    judge = Judge(model=load_judge(f"openai:{served.model}@{served.url}"))

    def run(judge: Any, out: str) -> Any:
        return evaluate(
            "href",
            model=smollm2,
            limit=11,
            out=tmp_path / out,
            judge=judge,
            look="the judge works",
            settings={"href.max_tokens": 32, "href.judge_tokens": 8},
            scoring_processes=1,
        )

    record = run(judge, "runs")
    task = record.tasks["href"]
    rows = opened(record)
    by_model = [row for row in rows if row["judgements"][0].get("messages")]
    by_encoder = [row for row in rows if row["judgements"][0].get("encoder")]
    # Eleven categories, two of them by an encoder that cannot be loaded without a hub.
    assert (len(by_model), len(by_encoder)) == (9, 2)
    for row in by_model:
        [judgement] = row["judgements"]
        assert judgement["text"]
        assert judgement["prompt_tokens"] > 100
        assert 0 < judgement["completion_tokens"] <= 8
        assert bool(row["values"]) != ("unparsed" in row["flags"])
    for row in by_encoder:
        assert row["flags"][-1] == "unjudged" or "unjudged" in row["flags"]
        assert "roberta-large" in row["note"]
    assert task.metrics["win_rate"].n == 9 - task.counts["unparsed"]
    assert known(task.judge).tokens["prompt"] == sum(
        judgement["prompt_tokens"] for row in by_model for judgement in row["judgements"]
    )
    assert not record.complete
    assert any("needs the encoder 'roberta-large'" in line for line in record.run.warnings)
    # The stored judgements give the same result without the server.
    stored = tmp_path / "stored.jsonl"
    stored.write_text("".join(line + "\n" for line in lines(rows)), "utf-8")
    again = run(f"replay:{stored}", "again")
    assert again.tasks["href"].metrics == task.metrics


PROMPT = "{instruction}\nA: {output_1}\nB: {output_2}\nHuman: {output_human}\nA, B or tie?"


def test_a_budget_a_wording_and_going_on_by_the_command_line(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three comparisons, of which the budget allows some; the same command then pays for the rest."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    items = [
        {"category": "Rewrite", "instruction": f"Say {word}.", "output": "No.", "generator": "g",
         "reference": word}
        for word in ("red", "green", "blue")
    ]  # fmt: skip
    (tmp_path / "data/href").mkdir(parents=True)
    (tmp_path / "data/href/dev.jsonl").write_text("".join(map(line, items)), "utf-8")
    said = [{"response": item["reference"], "doc_id": at} for at, item in enumerate(items)]
    (tmp_path / "said.jsonl").write_text("".join(map(line, said)), "utf-8")
    (tmp_path / "prompt.txt").write_text(PROMPT, "utf-8")

    def run(*more: str, status: int) -> dict[str, Any]:
        command = [
            sys.executable, "-m", "olmes", "run", "--task", "href", "--model", "replay:said.jsonl",
            "--data", "data", "--judge", f"openai:{served.model}@{served.url}",
            "--scoring-processes", "1",
            "--set", "href.judge_tokens=8", "--set", "href.prompt=prompt.txt", "--reason", "final",
            "--json", *more,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    first = run("--judge-budget", "150", status=1)
    counts = first["tasks"]["href"]["counts"]
    assert 0 < counts["unjudged"] < 3
    assert sum(first["tasks"]["href"]["judge"]["tokens"].values()) <= 150
    assert any("budget of 150 tokens" in warning for warning in first["warnings"])
    second = run(status=0)
    task = second["tasks"]["href"]
    assert second["id"] == first["id"]
    assert second["complete"]
    assert task["counts"]["unjudged"] == 0
    assert (
        task["judge"]["judgements"]
        == task["metrics"]["win_rate"]["n"] + task["counts"]["unparsed"]
        == 3
    )
    assert task["formulation"]["prompt"] == PROMPT
    assert task["settings"]["prompt"] == "prompt.txt"
    # Another run asks the cache: the server is not needed.
    other = run("--out", "elsewhere", "--family", "other", status=0)
    assert other["tasks"]["href"]["metrics"] == task["metrics"]


def line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def opened(record: Any) -> list[dict[str, Any]]:
    """The samples, which are under seal, as HREF is held out."""
    from olmes.seal.sealing import unseal

    unseal(record.folder, "the test reads them")
    return list(record.samples("href"))


def lines(rows: list[dict[str, Any]]) -> list[str]:
    from olmes.tools.jsonl import dumps

    return [dumps(row) for row in rows]
