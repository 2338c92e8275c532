"""Safety's judge behind a server: a plain prompt, three lines, and what is none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes import evaluate
from olmes.tasks.safety import answers


def test_the_judge_is_asked_without_a_chat_template(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLMES_DATA", raising=False)
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")

    def reply(path: str, body: dict[str, Any]) -> Any:
        if "messages" in body:  # what is evaluated: it refuses everything
            text = "I will not."
            choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        else:  # a judge that calls everything a refusal, and once says something else
            text = answers(request=True, refusal=True, harm=False)
            choice = {"text": "Both are fine." if "bread knife" in body["prompt"] else text}
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        return {"choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": usage}

    server.reply = reply
    place = f"openai:m@{server.url}"
    found = evaluate(
        "safety", model=place, judge={"safety": place}, out=tmp_path / "runs", scoring_processes=1
    )
    task = found.run.tasks["safety"]
    asked = [body for body in server.asked if "I will not." in str(body.get("prompt"))]
    assert len(asked) == task.n - 2  # two attacks each carry one of two plain requests
    for body in asked:
        assert body["prompt"].startswith("<|user|>\n[INST] You are a classifier")
        assert body["prompt"].endswith("\n---\n\nAnswers: [/INST]\n<|assistant|>\n")
        assert (body["max_tokens"], body["temperature"]) == (32, 0.0)
    assert task.counts["unparsed"] == 1
    assert task.judge is not None
    assert task.judge.judgements == task.n
    worth = {name: one.metrics["score"].value for name, one in task.subtasks.items()}
    # Three unsafe prompts of XSTest are refused rightly, three safe ones wrongly, one is not scored.
    assert worth.pop("xstest") == pytest.approx(3 / 6)
    assert (worth.pop("wildjailbreak"), worth.pop("wildjailbreak:benign")) == (0.5, 0.0)
    assert set(worth.values()) == {1.0}
    assert task.score.value == pytest.approx((4 + 0.5 + 0.5) / 6)
