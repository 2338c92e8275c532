"""MMLU by log-likelihood: its prompts, and its exemplars that are data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Response
from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.data.catalog import listing
from olmes.data.resolve import resolve
from olmes.tools import jsonl

DEMO = Path(__file__).parents[2] / "tasks/demo"


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture
def task() -> Task:
    return load_task("mmlu_mc")


@pytest.fixture
def demo(task: Task, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    return [one.doc for one in resolve(task, say=quiet).instances]


def test_the_prompt_of_an_item(task: Task, shared_data: Path) -> None:
    """As docs/protocol.md, section 3.1, says; the golden files have no prompt of this form."""
    data = resolve(task, shared_data, say=quiet)
    assert data.official
    shots = list(jsonl.read(shared_data / "mmlu/dev.jsonl.gz"))
    for instance in data.instances[::700]:
        request, doc = task.request(instance.doc), instance.doc
        subject = doc["subject"]
        own = [row for row in shots if row["subject"] == subject]
        assert [row["index"] for row in own] == [0, 1, 2, 3, 4]
        turns = [message["content"] for message in request.messages]
        roles = [message["role"] for message in request.messages]
        assert roles == ["user", "assistant"] * 5 + ["user"]
        assert turns[1::2] == [row["answer"] for row in own]
        head = (
            "The following are multiple choice questions (with answers) about "
            f"{subject.replace('_', ' ')}.\n\n"
        )
        for number, (row, turn) in enumerate(zip([*own, doc], turns[::2], strict=True)):
            a, b, c, d = row["choices"]
            body = f"Question: {row['question']}\n A. {a}\n B. {b}\n C. {c}\n D. {d}\nAnswer:"
            assert turn == (head if number == 0 else "") + body
        assert request.continuations == ("A", "B", "C", "D")
        assert request.prefill == ""


@pytest.mark.parametrize("subject", ["moral_scenarios", "virology"])
def test_choices_and_passages_are_the_generative_forms(
    task: Task, shared_data: Path, subject: str
) -> None:
    other = load_task("mmlu")
    assert task.source.content_hash == other.source.content_hash
    doc = next(
        one.doc for one in resolve(task, shared_data, say=quiet).instances if one.subtask == subject
    )
    theirs = other.request(doc).messages[-1]["content"].split("\n\n", 1)[1]
    assert task.request(doc).messages[-1]["content"] == theirs + "Answer:"
    assert task.cluster(doc) == other.cluster(doc)


# Trap 15 has no counterpart here: the letters themselves are weighed.
@pytest.mark.parametrize(
    ("logprobs", "said", "right"),
    [
        ((-3.0, -2.0, -1.0, -4.0), "C", 1),
        ((-1.0, -2.0, -3.0, -4.0), "A", 0),
        ((-2.0, -1.0, -1.0, -4.0), "B", 0),  # of equals the first
        ((-900.0, -900.0, -899.0, -900.0), "C", 1),
    ],
)
def test_what_counts(task: Task, logprobs: tuple[float, ...], said: str, right: int) -> None:
    doc = {"subject": "x", "question": "?", "choices": ["1", "2", "3", "4"], "answer": "C"}
    found = task.score(doc, Response(logprobs=logprobs))
    assert (found.extracted, found.values) == (said, {"acc": right})
    assert task.vote(found.extracted) == said


def test_demo_data_have_exemplars_of_their_own(task: Task, demo: list[dict[str, Any]]) -> None:
    rows = list(jsonl.read(DEMO / "mmlu-exemplars.jsonl"))
    assert list(task.exemplar_rows) == rows
    assert {row["subject"] for row in rows} == {doc["subject"] for doc in demo}
    for doc in demo:
        chat = task.request(doc).messages
        assert len(chat) == 11
        assert task.score(doc, task.perfect_response(doc)).values == {"acc": 1.0}
        assert task.score(doc, task.perfect_response(doc, corrupt=True)).values == {"acc": 0.0}
    said: list[str] = []
    resolve(task, say=said.append)
    assert said[-1].startswith("mmlu_mc: demo data: 24 items and their exemplars written for this")


class TestExemplarsInAFolder:
    """Items in a folder, with the exemplars beside them, other ones, or none."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "mmlu").mkdir()
        shutil.copy(DEMO / "mmlu.jsonl", tmp_path / "mmlu/test.jsonl")
        shutil.copy(DEMO / "mmlu-exemplars.jsonl", tmp_path / "mmlu/dev.jsonl")
        return tmp_path

    def test_they_are_part_of_what_the_data_are(self, task: Task, folder: Path) -> None:
        said: list[str] = []
        first = resolve(task, folder, say=said.append)
        assert not first.official
        assert "mmlu_mc: the exemplars differ from the official ones" in said[0]
        rows = (folder / "mmlu/dev.jsonl").read_text().splitlines()
        (folder / "mmlu/dev.jsonl").write_text("\n".join(reversed(rows)))
        other = resolve(task, folder, say=quiet)
        assert [one.doc for one in other.instances] == [one.doc for one in first.instances]
        assert other.content_hash != first.content_hash

    def test_without_them_nothing_is_asked(self, task: Task, folder: Path) -> None:
        (folder / "mmlu/dev.jsonl").unlink()
        with pytest.raises(OlmesError, match=r"mmlu/dev\.jsonl\.gz does not exist, whose rows"):
            resolve(task, folder, say=quiet)
        states = {row.path: row.state for row in listing([task], folder)}
        assert states == {"mmlu/test.jsonl.gz": "folder", "mmlu/dev.jsonl.gz": "missing"}

    def test_a_row_that_lacks_a_field_is_named(self, task: Task, folder: Path) -> None:
        (folder / "mmlu/dev.jsonl").write_text('{"subject": "astronomy", "question": "?"}\n')
        with pytest.raises(OlmesError, match="a row has no field 'choices'"):
            resolve(task, folder, say=quiet)

    def test_a_subject_has_too_few(self, task: Task, folder: Path) -> None:
        rows = (folder / "mmlu/dev.jsonl").read_text().splitlines()
        (folder / "mmlu/dev.jsonl").write_text("\n".join(rows[1:]))
        doc = resolve(task, folder, say=quiet).instances[0].doc
        with pytest.raises(OlmesError, match="has 4 exemplars, but shots=5"):
            task.request(doc)
        fewer = task.with_settings({"shots": 4}).request(doc)
        assert len(fewer.messages) == 9


def test_a_request_before_the_data_are_read_is_refused(
    task: Task, demo: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "exemplar_rows", ())
    with pytest.raises(OlmesError, match="its exemplars are the rows of mmlu/dev"):
        task.request(demo[0])
