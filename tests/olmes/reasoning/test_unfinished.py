"""A thought that never ended is no answer, whatever stands in it: in every task, in both ways."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Record, Request, Response, evaluate
from olmes.benchmark.registry import bundled_tasks, load_task
from olmes.data.resolve import resolve
from olmes.judging.judge import Judge
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.recorded_rows import RecordedResponse, read_recorded
from olmes.records.items import mean_value
from olmes.runs.rescoring import score_recorded
from olmes.runs.score_sheet import NOT_ASKED
from olmes.seal.sealing import unseal
from olmes.types import Instance, JsonObject

JUDGED = [name for name in sorted(bundled_tasks()) if load_task(name).judged]
WEIGHED = [name for name in sorted(bundled_tasks()) if load_task(name).weighs]
"""No response of theirs is a text."""
SCORED = [name for name in sorted(bundled_tasks()) if name not in (*JUDGED, *WEIGHED)]
CUTS = ["<think>Sure. {}", "<think>\nSo {}\n", "◁think▷{}", "[THINK] {}", "<thinking>{}"]
ITEMS = 6


@pytest.fixture(autouse=True)
def demo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


@pytest.fixture
def task(request: pytest.FixtureRequest) -> str:
    """The name of a task; of one whose programs are executed only where there is a sandbox."""
    name = str(request.param)
    if load_task(name).executed:
        request.getfixturevalue("bubblewrap_program")
    return name


def items_of(task: str, most: int = ITEMS) -> list[Instance]:
    return list(resolve(load_task(task), None, say=lambda _: None).instances[:most])


def recorded(task: str, form: str, **more: Any) -> list[RecordedResponse]:
    """The right answer to each item, written into a form."""
    found = load_task(task)
    return [
        RecordedResponse(
            source="here",
            text=form.replace("{}", found.perfect_response(one.doc).text),
            doc_id=one.doc_id,
            subtask=one.subtask,
            **more,
        )
        for one in items_of(task)
    ]


def scored(task: str, rows: list[RecordedResponse], **settings: Any) -> Any:
    found = load_task(task).with_settings(settings)
    dataset = resolve(found, None, say=lambda _: None)
    return score_recorded(found, rows, dataset, scoring_processes=1)


@pytest.mark.parametrize("task", SCORED, indirect=True)
def test_the_right_answer_in_a_thought_that_is_cut_is_no_answer(task: str) -> None:
    rows = [row for form in CUTS for row in recorded(task, form, finish="length", tokens=9)]
    for way in ("trimmed", "verbatim"):
        found = scored(task, rows, reasoning=way)
        assert found.counts["unfinished_thinking"] == found.n == len(CUTS) * ITEMS
        written = 9 * len(rows)
        assert found.numbers.tokens == {
            "prompt": 0, "completion": written, "reasoning": written,
        }  # fmt: skip
        honest = {metric.name for metric in found.task.metrics if metric.honest}
        # The protocol's own metric reads the whole text in the reference's way.
        kept = honest | ({found.primary} if way == "trimmed" else set())
        for row in found.rows:
            values = {name: mean_value(value) for name, value in row["values"].items()}
            assert values
            assert not any(values.get(name) for name in kept), (way, row)
        assert not any("empty" in row["flags"] for row in found.rows)


@pytest.mark.parametrize("task", SCORED, indirect=True)
def test_behind_a_thought_that_ended_it_is_worth_what_it_is_alone(task: str) -> None:
    alone = scored(task, recorded(task, "{}"))
    for form in ("<think>No, 7. {}7</think>\n\n", "<think></think>"):
        rows = recorded(task, f"{form.replace('{}', '')}{{}}")
        found = scored(task, rows)
        assert found.counts["unfinished_thinking"] == 0
        assert [row["values"] for row in found.rows] == [row["values"] for row in alone.rows]
        # Where the white space behind a thought is kept, it is in what is extracted.
        kept = found.task.formulation.reasoning == "verbatim"
        same = found.task.vote if kept else lambda extracted: extracted
        assert [same(row["extracted"]) for row in found.rows] == [
            same(row["extracted"]) for row in alone.rows
        ]


class ForA(Model):
    """A judge that prefers whatever is shown first, in place of a language model."""

    name = "for-a"
    fingerprint = "ab" * 32
    engine: JsonObject = {"backend": "rule"}  # noqa: RUF012

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, request: Request) -> EncodedPrompt:
        return EncodedPrompt(text=request.messages[-1]["content"], token_ids=())

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        for position, request in enumerate(requests):
            self.asked.append(request.messages[-1]["content"])
            done(position, Response(text="A"))

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        raise AssertionError("a judge weighs nothing")


def test_a_judge_is_not_asked_about_it_and_it_counts_as_a_loss(tmp_path: Path) -> None:
    task = "href"
    docs = [one.doc for one in items_of(task, 40) if one.doc["category"] == "Brainstorm"]
    (tmp_path / "href").mkdir()
    forms = ["<think>secret</think>", "<think>secret "]
    lines = {"href/dev.jsonl": docs, "responses.jsonl": []}
    for at, doc in enumerate(docs):
        text = f"{forms[at % 2]}{doc['reference']}"
        lines["responses.jsonl"].append({"doc_id": at, "response": text})
    for name, rows in lines.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = ForA()
    record = evaluate(
        task, model=f"replay:{tmp_path / 'responses.jsonl'}", judge=Judge(model=judge),
        data=tmp_path, out=tmp_path / "runs", scoring_processes=1, look="a test of the test",
    )  # fmt: skip
    sealed = record.folder / "sealed/href.jsonl.gz"
    with pytest.raises(OlmesError, match="under seal"):
        read_recorded(sealed)
    unseal(record.folder, "a test of the test")
    record = Record.load(record.folder)
    samples = list(record.samples(task))
    assert len(samples) == len(docs) >= 2
    unfinished = [row for row in samples if "unfinished_thinking" in row["flags"]]
    assert len(unfinished) == len(docs) // 2
    for sample in unfinished:
        assert sample["values"] == {"win_rate": 0.0}
        assert (sample["note"], sample.get("judgements")) == (NOT_ASKED, None)
    assert len(judge.asked) == len(docs) - len(unfinished)
    assert not any("secret" in text for text in judge.asked)
    assert record.complete
    assert record.tasks[task].score.n == len(docs)


@pytest.mark.parametrize("name", [name for name in JUDGED if name != "href"])  # href: above
def test_of_every_judged_task_it_has_the_worst_values(name: str, tmp_path: Path) -> None:
    """A share's worst is 0, or 1 where lower is better; what several responses settle has none."""
    items = items_of(name, 3)
    rows = [{"doc_id": one.doc_id, "subtask": one.subtask} for one in items]
    lines = [json.dumps(row | {"response": "<think>secret"}) + "\n" for row in rows]
    (tmp_path / "responses.jsonl").write_text("".join(lines))
    judge = ForA()
    record = evaluate(
        name, model=f"replay:{tmp_path / 'responses.jsonl'}", judge=Judge(model=judge),
        out=tmp_path / "runs", scoring_processes=1,
    )  # fmt: skip
    samples = [row for row in record.samples(name) if "unfinished_thinking" in row["flags"]]
    assert len(samples) == len(rows)
    task = load_task(name)
    for sample, item in zip(samples, items, strict=True):
        settled = {one.name for one in task.metrics if one.settled}
        values = {key: value for key, value in sample["values"].items() if key not in settled}
        assert values == task.wrong_values(item.doc)
        assert (sample["note"], sample.get("judgements")) == (NOT_ASKED, None)
    assert judge.asked == []
