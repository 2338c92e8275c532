"""HREF from question to win rate, its judge behind a real server on the loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes import evaluate
from olmes.api import load_judge
from olmes.judging.judge import Judge
from olmes.models.hf import HFModel

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
    assert task["metrics"]["win_rate"]["n"] == 9 - task["counts"]["unparsed"]
    assert task["judge"]["tokens"]["prompt"] == sum(
        judgement["prompt_tokens"] for row in by_model for judgement in row["judgements"]
    )
    assert not record.complete
    # The stored judgements give the same result without the server.
    stored = tmp_path / "stored.jsonl"
    stored.write_text("".join(line + "\n" for line in lines(rows)), "utf-8")
    again = run(f"replay:{stored}", "again")
    assert again.tasks["href"]["metrics"] == task["metrics"]


def opened(record: Any) -> list[dict[str, Any]]:
    """The samples, which are under seal, as HREF is held out."""
    from olmes.seal.sealing import unseal

    unseal(record.folder, "the test reads them")
    return list(record.samples("href"))


def lines(rows: list[dict[str, Any]]) -> list[str]:
    from olmes.jsonl import dumps

    return [dumps(row) for row in rows]
