"""A response is taken apart into its thought and its answer, and nothing else is touched."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.models.recorded_rows import RecordedResponse
from olmes.reasoning import ANY, FAMILIES, Marks, Reader, parse_marks, split
from olmes.runs.rescoring import score_recorded
from olmes.scoring.answers.thought import spoken
from olmes.types import Finish, Response

THOUGHT = "The sum is easy.\nI shall say 41, no: 42."
BY_NAME = {family.name: family for family in FAMILIES}
OWN = Reader((BY_NAME["think"],), known=True)
OPENED = Reader((BY_NAME["think"],), known=True, opened=True)


def read(
    text: str, reader: Reader = ANY, *, reasoning: str = "", finish: Finish = "stop"
) -> Response:
    return split(Response(text=text, reasoning=reasoning, finish=finish), reader)


def parts(text: str, reader: Reader = ANY) -> tuple[str, str, bool]:
    found = read(text, reader)
    return found.reasoning, found.text, found.unfinished_thinking


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("before", ["", "\n", " \n\n"])
def test_every_family_is_known_by_what_a_response_opens_with(family: Marks, before: str) -> None:
    text = f"{before}{family.opening}\n{THOUGHT}\n{family.closing}\n\nThe answer is 42.\n"
    assert parts(text) == (THOUGHT, "The answer is 42.", False)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "<|channel|>analysis<|message|>T<|end|>"
            "<|start|>assistant<|channel|>final<|message|>A<|return|>",
            "A",
        ),
        (
            "<|start|>assistant<|channel|>analysis<|message|>T<|end|>"
            "<|start|>assistant<|channel|>commentary<|message|>T<|end|>"
            "<|start|>assistant<|channel|>final<|message|>A",
            "A",
        ),
        (
            "<|channel|>analysis <|constrain|>text<|message|>T<|end|>"
            "<|start|>assistant<|channel|>final<|message|>A<|return|>",
            "A",
        ),
        ("<|channel|>final<|message|>A<|return|>", "A"),
        ("<|start|>assistant<|channel|>final<|message|>A", "A"),
        ("analysisT assistantfinalA", "A"),
        ("<think>T</think><answer>A</answer>", "A"),
        ("<think>\nT\n</think>\n<answer>\nA\n</answer>", "A"),
        ("<think>T</think><response>A</response>", "A"),
        ("<|START_THINKING|>T<|END_THINKING|><|START_RESPONSE|>A<|END_RESPONSE|>", "A"),
        ("<|START_RESPONSE|>A<|END_RESPONSE|>", "A"),
        ("<|channel>thought\nT<channel|>A", "A"),
        ("<|channel>thought\n<channel|>A", "A"),
        ("<|think|>T<|end|><|begin|>assistant<|content|>A<|end|>", "A"),
        ("Here are my reasoning steps:\nT\n[BEGIN FINAL RESPONSE]\nA\n[END FINAL RESPONSE]", "A"),
        ("<THINK>T</Think>A", "A"),
        ("<mm:think>T</mm:think>A", "A"),
        ("<internal_reasoning>T</internal_reasoning>\nA", "A"),
        ("<think></think>A", "A"),
        ("<think>T</think><think>T</think>A", "A"),
        ("<think>T <think>T</think> T</think>A", "A"),
    ],
)
def test_what_stands_round_an_answer_is_no_part_of_it(text: str, answer: str) -> None:
    found = read(text)
    assert (found.text, found.unfinished_thinking) == (answer, False)
    assert set(found.reasoning.split()) <= {"T", "<think>T</think>"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The answer is 42.",
        "First <think>no</think> and then.",
        "A title may be <<Think>> and so on",
        "[think] of a number",
        "analysis of the text: fine",
        "analysis shows that assistants finally win",
        "Fine.</think>",
        "<p>thought</p>",
        "<answer>42</answer>",
        "Here is my response: 42",
    ],
)
def test_what_opens_with_no_mark_stays_as_it_is(text: str) -> None:
    response = Response(text=text, completion_tokens=3)
    assert split(response, ANY) == response
    assert "reasoning" not in split(response, ANY).to_json()


def test_a_thought_that_never_closes_leaves_no_answer() -> None:
    assert parts("<think>\nSo 42") == ("So 42", "", True)
    assert parts("<|channel|>analysis<|message|>So 42") == ("So 42", "", True)
    assert parts("<think>a</think><think>So 42") == ("a\n\nSo 42", "", True)
    assert parts("So 42", OPENED) == ("So 42", "", True)
    assert parts("", OPENED) == ("", "", True)


def test_marks_that_are_the_models_own_close_what_the_prompt_has_opened() -> None:
    assert parts("So\n</think>\n\n42", OPENED) == ("So", "42", False)
    assert parts("So\n</think>\n\n42", OWN) == ("So", "42", False)
    assert parts("<think>So</think>42", OPENED) == ("So", "42", False)
    # A model that may think and did not.
    assert parts("42", OWN) == ("", "42", False)
    # Of nobody's marks, a closing one alone says nothing.
    assert parts("So\n</think>\n\n42") == ("", "So\n</think>\n\n42", False)


def test_the_thought_that_a_server_sends_apart_is_kept_and_its_text_read_on() -> None:
    assert read("42", reasoning="So").text == "42"
    assert read("42", OPENED, reasoning="So").text == "42"
    assert not read("42", OPENED, reasoning="So").unfinished_thinking
    both = read("more</think>42", OPENED, reasoning="So")
    assert (both.reasoning, both.text) == ("So\n\nmore", "42")
    cut = read("", reasoning="So", finish="length")
    assert cut.unfinished_thinking
    assert not read("", reasoning="So").unfinished_thinking


def test_the_verbatim_way_is_the_references() -> None:
    way = ANY.said("verbatim")
    assert parts("<think>a</think>b</think>\n\n 42 ", way) == ("a</think>b", "\n\n 42 ", False)
    assert parts("<think>a and 42", way) == ("", "<think>a and 42", True)
    assert parts("42", way) == ("", "42", False)
    assert parts("So</think>\n42", way) == ("So", "\n42", False)


@pytest.mark.parametrize("name", ["harmony", "solar"])
def test_a_mark_that_ends_other_things_too_ends_no_thought_that_was_not_opened(name: str) -> None:
    own = Reader((BY_NAME[name],), known=True)
    for reader in (own, ANY, own.said("verbatim"), ANY.said("verbatim")):
        assert parts("So it is 42.<|end|>", reader) == ("", "So it is 42.<|end|>", False)
    assert spoken("So it is 42.<|end|>") == "So it is 42.<|end|>"
    beginning = BY_NAME[name].answers[0][0]
    assert parts(f"{beginning}42<|end|>", own) == ("", "42", False)
    assert parts("So<|end|>42", Reader((BY_NAME[name],), known=True, opened=True))[:2] == (
        "So",
        "42",
    )


def test_no_marks_leave_everything() -> None:
    nothing = Reader(parse_marks("none"), known=True)
    assert parts("<think>a</think>42", nothing) == ("", "<think>a</think>42", False)


def test_marks_of_the_users_own() -> None:
    given = Reader(parse_marks("BEGIN,END"), known=True)
    assert parts("BEGIN so END 42", given) == ("so", "42", False)
    assert parts("<think>a</think>42", given) == ("", "<think>a</think>42", False)


def test_likelihoods_and_failures_are_no_texts() -> None:
    for response in (Response(logprobs=(-1.0,)), Response(error="refused", text="<think>a")):
        assert split(response, OPENED) == response


@pytest.mark.parametrize(
    ("way", "cut", "score"),
    [("trimmed", False, 78.52), ("verbatim", False, 71.11), ("trimmed", True, 0)],
)
def test_published_answers_behind_a_thought_score_what_was_published(
    shared_data: Path, way: str, cut: bool, score: float
) -> None:
    folder = shared_data / "ifeval"
    model = "mifeval_en.claude-3-haiku-20240307.eval_results_loose.jsonl.gz"
    thought = "<think>\nThe user wants an answer.\nFirst I plan, then I check.\nDone.\n"
    between = "" if cut else "</think>\n\n"
    docs = {row["prompt"]: row for row in lines(folder / "input_data.jsonl.gz")}
    published = lines(folder / "outputs" / model)
    recorded = [
        RecordedResponse(
            source="published",
            text=thought + between + row["response"],
            doc=docs[row["prompt"]],
        )
        for row in published
        if row["prompt"] in docs
    ]
    assert len(recorded) == 540
    task = load_task("ifeval").with_settings({"reasoning": way})
    numbers = score_recorded(task, recorded, None).numbers
    value = numbers.metrics[task.primary].value
    assert value is not None
    assert 100 * value == pytest.approx(score, abs=0.006)
    assert numbers.counts["unfinished_thinking"] == (540 if cut else 0)


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
