"""AlpacaEval 2 as it is run: judges that are replayed or served, recordings that hold judgements."""

from __future__ import annotations

import json
import math
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Record, Request, Response, evaluate
from olmes.benchmark.registry import load_task
from olmes.cli import main
from olmes.models.recorded_rows import read_recorded
from olmes.runs.rescoring import score_recorded
from olmes.server.intake.recount import Recount
from olmes.tools.jsonl import write
from tests.known import known

DEMO = Path(__file__).parents[2] / "tasks/demo/alpaca_eval.jsonl"
SERVER = Path(__file__).parents[1] / "olmes/models/files/faulty_server.py"
TASK: Any = load_task("alpaca_eval")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demo data, without waiting for a network."""
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


@pytest.fixture
def items() -> list[dict[str, Any]]:
    return [json.loads(line) for line in DEMO.read_text("utf-8").splitlines()]


def answer_to(item: dict[str, Any], at: int) -> str:
    """Of very different lengths; every sixth is the baseline's own."""
    return item["output"] if at % 6 == 5 else f"{item['output']} {'And so on. ' * (at % 5)}"


def said_of(at: int) -> dict[str, float]:
    """A judge's first token: unlike for each item; one names no side."""
    if at == 3:
        return {"Both": -0.1, "The": -2.5}
    first = 0.1 + 0.8 * (at * 7 % 10) / 10
    return {"m": math.log(first), "M": math.log(0.98 - first), "The": -5.0}


@pytest.fixture
def folder(tmp_path: Path, items: list[dict[str, Any]]) -> Path:
    """`said.jsonl`: responses; `judged.jsonl`: what a judge has said of them."""
    said, judged = [], []
    for at, item in enumerate(items):
        text = answer_to(item, at)
        said.append({"task": "alpaca_eval", "doc_id": at, "response": text})
        for question in TASK.questions(item, Response(text=text)):
            assert isinstance(question, Request)
            row = question.to_json() | {"text": "m", "first_token_logprobs": said_of(at)}
            judged.append(row)
    write(tmp_path / "said.jsonl", said)
    write(tmp_path / "judged.jsonl", judged)
    return tmp_path


def run(folder: Path, judge: str, **options: Any) -> Record:
    return evaluate(
        "alpaca_eval", model=f"replay:{folder / 'said.jsonl'}", judge=judge, out=folder / "runs",
        scoring_processes=1, **options,
    )  # fmt: skip


def test_a_run_on_replayed_judgements(folder: Path, items: list[dict[str, Any]]) -> None:
    record = run(folder, f"replay:{folder / 'judged.jsonl'}")
    task = known(record.run.tasks["alpaca_eval"])
    assert record.complete
    assert (task.counts["unparsed"], task.counts["unjudged"]) == (1, 0)
    for name in ("lc_win_rate", "win_rate"):
        score = task.metrics[name]
        assert score.n == len(items) - 1
        assert 0 < known(score.value) < 1
    rows = list(record.samples("alpaca_eval"))
    values: list[Any] = [row["values"].get("lc_win_rate", 0.0) for row in rows]
    assert known(task.metrics["lc_win_rate"].value) == pytest.approx(sum(values) / (len(rows) - 1))
    [judgement] = rows[0]["judgements"]
    assert judgement["top_logprobs"] == 5
    assert judgement["first_token_logprobs"] == pytest.approx(said_of(0))
    assert rows[5]["judgements"] == []
    assert rows[5]["values"]["win_rate"] == 0.5
    assert rows[3]["values"] == {}


def test_the_servers_recount_agrees(folder: Path) -> None:
    record = run(folder, f"replay:{folder / 'judged.jsonl'}")
    recount = Recount("alpaca_eval", record.run.tasks["alpaca_eval"])
    for row in record.samples("alpaca_eval"):
        recount.add(row)
    recount.hold()


def test_a_runs_samples_are_scored_again_without_a_judge(folder: Path) -> None:
    record = run(folder, f"replay:{folder / 'judged.jsonl'}")
    path = record.folder / "samples/alpaca_eval.jsonl"
    from olmes.data.resolve import resolve

    task = load_task("alpaca_eval")
    found = score_recorded(
        task, read_recorded(path), resolve(task, say=lambda line: None), scoring_processes=1
    )
    wanted = known(record.run.tasks["alpaca_eval"]).metrics
    assert {name: score.value for name, score in found.metrics.items()} == {
        name: pytest.approx(score.value) for name, score in wanted.items()
    }


def recording(folder: Path, items: list[dict[str, Any]], **changed: Any) -> Path:
    """Every item's response with its judgement; `changed` goes into the first row's judgement."""
    rows: list[dict[str, Any]] = []
    for at, item in enumerate(items[:4]):
        judgement: dict[str, Any] = {"text": "M", "first_token_logprobs": {"M": -0.1, "m": -2.4}}
        rows.append({"doc": item, "response": f"Answer {at}", "judgements": [judgement]})
    rows[0]["judgements"][0] |= changed
    write(folder / "recorded.jsonl", rows)
    return folder / "recorded.jsonl"


def score(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["score", str(path), "--task", "alpaca_eval", "--json", "--scoring-processes=1"])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out + told.err


def test_a_recording_with_judgements_is_scored(
    tmp_path: Path, items: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = score(recording(tmp_path, items), capsys)
    found = json.loads(told.splitlines()[0])
    likely = 1 / (1 + math.exp(-2.3))
    wanted = sum(1 - likely if TASK.model_first(item) else likely for item in items[:4]) / 4
    assert status == 0
    assert found["metrics"]["win_rate"]["value"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"messages": [{"role": "user", "content": "Which?"}]}, "answers another question"),
        ({"first_token_logprobs": {"M": "high"}}, "must map tokens to natural-log"),
        ({"first_token_logprobs": [1]}, "must map tokens to natural-log"),
        ({"text": 7}, "must be texts"),
        ({"similarities": ["x"]}, "must be numbers"),
    ],
)
def test_a_judgement_that_does_not_fit_is_named_by_its_line(
    tmp_path: Path,
    items: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, Any],
    told: str,
) -> None:
    status, said = score(recording(tmp_path, items, **changed), capsys)
    assert status != 0
    assert told in said
    assert "line 1" in said


@pytest.mark.parametrize(
    ("judgements", "told"),
    [
        (None, "needs a judge"),
        ([], "0 judgements where the task asks 1 questions"),
        ([{}], "a judgement needs its 'text'"),
        ("m", "must be a list of objects"),
        ([{"text": "m"}] * 2, "2 judgements where the task asks 1"),
    ],
)
def test_missing_judgements_are_named(
    tmp_path: Path,
    items: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    judgements: Any,
    told: str,
) -> None:
    path = recording(tmp_path, items)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[1]["judgements"] = judgements
    write(path, rows)
    status, said = score(path, capsys)
    assert status != 0
    assert told in said


@pytest.fixture
def judge_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A FAULTY SERVER that prefers what is shown second, three to one."""
    for name in ("OLMES_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = runpy.run_path(str(SERVER))["FaultyServer"]()
    tops = [{"token": "M", "logprob": math.log(0.75)}, {"token": "m", "logprob": math.log(0.25)}]
    choice = {
        "message": {"role": "assistant", "content": "M"},
        "finish_reason": "length",
        "logprobs": {"content": [{"token": "M", "logprob": -0.3, "top_logprobs": tops}]},
    }
    server.reply = lambda path, body: {"choices": [choice], "usage": {"prompt_tokens": 9}}
    yield server
    server.close()


def test_a_served_judge_is_asked_once_for_its_probabilities(
    folder: Path, judge_server: Any, items: list[dict[str, Any]]
) -> None:
    judge = f"openai:m@{judge_server.url}"
    record = run(folder, judge)
    rows = list(record.samples("alpaca_eval"))
    for item, row in zip(items, rows, strict=True):
        if row["judgements"]:
            wanted = 0.25 if TASK.model_first(item) else 0.75
            assert row["values"]["win_rate"] == pytest.approx(wanted)
    asked = [body for body in judge_server.asked if body.get("top_logprobs")]
    assert len(asked) == sum(bool(row["judgements"]) for row in rows)
    assert {(body["max_tokens"], body["top_logprobs"]) for body in asked} == {(1, 5)}
    again = evaluate(
        "alpaca_eval", model=f"replay:{folder / 'said.jsonl'}", judge=judge,
        out=folder / "other", scoring_processes=1,
    )  # fmt: skip
    assert len([body for body in judge_server.asked if body.get("top_logprobs")]) == len(asked)
    assert [row["values"] for row in again.samples("alpaca_eval")] == [
        row["values"] for row in rows
    ]


def test_a_judge_without_probabilities_ends_the_run_with_what_helps(
    folder: Path, judge_server: Any
) -> None:
    reply = judge_server.reply

    def without(path: str, body: dict[str, Any]) -> Any:
        found = json.loads(json.dumps(reply(path, body)))
        found["choices"][0]["logprobs"] = None
        return found

    judge_server.reply = without
    with pytest.raises(OlmesError, match="gives no log-probabilities of its answers' tokens"):
        run(folder, f"openai:m@{judge_server.url}")
    record = run(
        folder, f"openai:m@{judge_server.url}", settings={"alpaca_eval.preference": "text"}
    )
    task = known(record.run.tasks["alpaca_eval"])
    assert not task.standard
    assert task.counts["unjudged"] == task.counts["unparsed"] == 0
