"""Judgements in a recording: what a judge has said of its responses, scored without asking it again.

A row's `judgements` are the answers to what its task asks about the response, in the task's order, as a
samples file has them (docs/record.md). Each has `text`, `first_token_logprobs` where probabilities are
read, or `similarities` of an encoder; where it also holds the question (`messages`, `prompt`,
`candidates`), that must be the one the task asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from olmes.errors import OlmesError
from olmes.types import Judgement, Question, Request, Similarity

ANSWER = {field.name for field in fields(Judgement)}
ASKED = {
    Request: ("messages", "prompt", "prefill"),
    Similarity: ("candidates", "reference"),
}
"""What of a question is what is asked; how it is to be answered stands beside it."""


def problem_of_judgements(value: Any) -> str:
    """What is wrong with a row's judgements; '' when nothing is."""
    if value is None:
        return ""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return "'judgements' must be a list of objects, one for each question about the response"
    for one in value:
        if not isinstance(one.get("text", ""), str) or not isinstance(one.get("error", ""), str):
            return "'text' and 'error' of a judgement must be texts"
        weighed = one.get("first_token_logprobs") or {}
        if not isinstance(weighed, dict) or not all(map(is_number, weighed.values())):
            return (
                "'first_token_logprobs' of a judgement must map tokens to natural-log probabilities"
            )
        likenesses = one.get("similarities") or []
        if not isinstance(likenesses, list) or not all(map(is_number, likenesses)):
            return "'similarities' of a judgement must be numbers"
        if not (one.keys() & {"text", "first_token_logprobs", "similarities", "error"}):
            return "a judgement needs its 'text', 'first_token_logprobs' or 'similarities'"
    return ""


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def judgements_for(
    stored: Sequence[Mapping[str, Any]], questions: Sequence[Question], source: str
) -> list[Judgement]:
    """Stored judgements as the answers to the questions of a task.

    Args:
        stored: objects in which `problem_of_judgements` finds nothing wrong.
        questions: what the task asks about the response.
        source: file and line of the row.

    Raises:
        OlmesError: there is not one for each question, or one answers another question.
    """
    if len(stored) != len(questions):
        raise OlmesError(
            f"{source}: {len(stored)} judgements where the task asks {len(questions)} questions about "
            "this response; give one for each, in order."
        )
    for one, question in zip(stored, questions, strict=True):
        asked = question.to_json()
        for name in ASKED[type(question)]:
            if name in one and plain(one[name]) != plain(asked[name]):
                raise OlmesError(
                    f"{source}: a judgement answers another question than the task asks about this "
                    f"response (its `{name}` differs); judge again, or score with the task's settings "
                    "of then."
                )
    return [
        Judgement.from_json(
            {name: one[name] for name in ANSWER & one.keys() if one[name] is not None}
        )
        for one in stored
    ]


def plain(value: Any) -> Any:
    """A value whose tuples are lists."""
    return list(value) if isinstance(value, tuple) else value
