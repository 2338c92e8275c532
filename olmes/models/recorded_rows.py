"""What a recording holds: one response a line, as JSON.

    {"response": "... #### 18", "task": "gsm8k", "doc_id": 0}
    {"response": "(B)", "task": "bbh", "subtask": "navigate", "doc_id": 7, "repeat": 1}
    {"response": "...", "doc": {"question": "...", "answer": "..."}}
    {"response": "... 18", "reasoning": "16 - 3 - 4 = 9", "doc_id": 0}
    {"logprobs": [-1.2, -3.4, -7.5, -0.9], "task": "mmlu_mc", "doc_id": 0}
    {"rewards": [2.1, -5.7], "doc_id": 0}

`response` is the text; of a task that weighs continuations, `logprobs` instead: the summed natural-log
probability of each, in the order of `olmes show TASK --json`; of one that compares rewards, `rewards`,
one an answer. The item is named by `doc_id`, its zero-based row in the official file (with `subtask`
where the benchmark has several), or given whole as `doc`. `task` is needed only where a file holds
several; `repeat` (0 by default) counts the responses to an item. `finish` (`stop` by default, `length`,
`error`), `tokens` (of the response), `reasoning` (what was thought before it) and `reasoning_tokens`
(of `tokens`, those of the thought) are optional, as are `judgements` of a judged task
(`olmes.models.recorded_judgements`). Other fields are ignored.

A samples file of a run is a recording too: there `response` is an object (docs/record.md), and
`doc_hash` says which content the item must have. The first line may say who gave the responses
(`olmes.models.recording`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NotRequired, TypedDict, get_args

from olmes.errors import OlmesError
from olmes.models.recorded_judgements import problem_of_judgements
from olmes.models.recording import is_head
from olmes.records.check import FieldError, converted
from olmes.tools import jsonl
from olmes.types import Doc, Finish, Response, ResponseJson

FINISHES = get_args(Finish)
FAILED = Response(finish="error", error="recorded as failed")
MOST_REPEATS = 1_000_000
"""Responses to one item; room is made up to the highest number."""
EMPTY = "holds no responses; write one JSON object a line."
ENDINGS = re.compile(r"\.jsonl?(\.gz)?$")
"""What the names of recordings end with, and no model is called."""
SEALED = "sealed"
"""The folder in which a run keeps the samples of held-out tasks."""


class RecordedRow(TypedDict):
    """One line of a recording as JSON; see the head of this file."""

    response: NotRequired[str | ResponseJson | None]
    logprobs: NotRequired[list[float] | None]
    rewards: NotRequired[list[float] | None]
    doc_id: NotRequired[int | None]
    doc: NotRequired[Doc | None]
    doc_hash: NotRequired[str | None]
    prompt_hash: NotRequired[str | None]
    subtask: NotRequired[str | None]
    task: NotRequired[str | None]
    repeat: NotRequired[int | None]
    finish: NotRequired[Finish | None]
    tokens: NotRequired[int | None]
    reasoning: NotRequired[str | None]
    reasoning_tokens: NotRequired[int | None]
    judgements: NotRequired[list[dict[str, Any]] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResponse:
    """One line of a recording."""

    source: str
    """File and line, for errors."""
    text: str = ""
    logprobs: tuple[float, ...] = ()
    """In place of a text: the summed natural-log probability of each continuation."""
    rewards: tuple[float, ...] = ()
    """In place of a text: the reward of each answer."""
    doc_id: int | None = None
    doc: Doc | None = None
    doc_hash: str = ""
    """Content of the item, where the recording says it."""
    prompt_hash: str = ""
    """Content of the request, where the recording says it."""
    subtask: str = ""
    task: str = ""
    repeat: int = 0
    finish: Finish = "stop"
    tokens: int = 0
    reasoning: str = ""
    reasoning_tokens: int = 0
    sample: Response | None = None
    """Of a run's own samples: the whole response as it was recorded."""
    judgements: Sequence[Mapping[str, Any]] | None = None
    """What a judge has said of the response; None where the row does not say."""

    @classmethod
    def from_row(cls, row: RecordedRow, source: str) -> RecordedResponse:
        """The response of a checked row."""
        given, logprobs, rewards = row.get("response"), row.get("logprobs"), row.get("rewards")
        plain = isinstance(given, str) or logprobs is not None or rewards is not None
        sample = None if plain else sampled(given)
        return cls(
            source=source,
            text=given if isinstance(given, str) else "",
            logprobs=tuple(map(float, logprobs or ())),
            rewards=tuple(map(float, rewards or ())),
            doc_id=row.get("doc_id"),
            doc=row.get("doc"),
            doc_hash=(row.get("doc_hash") or "") if sample else "",
            prompt_hash=(row.get("prompt_hash") or "") if sample else "",
            subtask=row.get("subtask") or "",
            task=row.get("task") or "",
            repeat=row.get("repeat") or 0,
            finish=row.get("finish") or "stop",
            tokens=row.get("tokens") or 0,
            reasoning=row.get("reasoning") or "",
            reasoning_tokens=row.get("reasoning_tokens") or 0,
            sample=sample,
            judgements=row.get("judgements"),
        )

    def to_response(self) -> Response:
        """As a model would have answered."""
        if self.sample:
            return self.sample
        return Response(
            text=self.text,
            logprobs=self.logprobs,
            rewards=self.rewards,
            finish=self.finish,
            completion_tokens=self.tokens,
            reasoning=self.reasoning,
            reasoning_tokens=self.reasoning_tokens,
            error=FAILED.error if self.finish == "error" else "",
        )


def sampled(given: Any) -> Response:
    """The response of a row of a samples file.

    Raises:
        FieldError: a field is not what docs/record.md says.
    """
    return FAILED if given is None else Response.from_json(converted(given, ResponseJson))


def read_recorded(path: Path) -> list[RecordedResponse]:
    """The responses of a recording (plain or gzipped), in its order.

    Raises:
        OlmesError: the file is missing or under seal, a line is not such a row (file and line are
            named), or there is none at all.
    """
    open_to_all(path)
    rows = [
        parse(row, f"{path}, line {number}")
        for number, row in jsonl.read_numbered(path)
        if not (number == 1 and is_head(row))
    ]
    if not rows:
        raise OlmesError(f"{path} {EMPTY}")
    return rows


def open_to_all(path: Path) -> None:
    """Refuse the samples of a held-out task, which are seen only after a look.

    Raises:
        OlmesError: the file is such a run's own.
    """
    folder = path.resolve().parent
    if folder.name == SEALED and (folder.parent / "run.json").exists():
        raise OlmesError(
            f"{path} holds samples under seal; to open them is a look: "
            f'olmes unseal {folder.parent} --reason "...".'
        )


def parse(row: Any, source: str) -> RecordedResponse:
    """The response of one row, after checking it.

    Raises:
        OlmesError: a field is missing or has the wrong type.
    """
    if problem := problem_of(row):
        raise OlmesError(f"{source}: {problem}.")
    return RecordedResponse.from_row(row, source)


def problem_of(row: Any) -> str:
    """What is wrong with a row; '' when nothing is."""
    if not isinstance(row, dict):
        return "not a JSON object; write one a line"
    if problem := problem_of_response(row):
        return problem
    doc_id, doc = row.get("doc_id"), row.get("doc")
    if doc_id is None and doc is None:
        return "give 'doc_id' (row in the official file) or 'doc' (the item itself)"
    if doc is not None and not isinstance(doc, dict):
        return "'doc' must be the item as a JSON object"
    for name in ("doc_id", "repeat", "tokens", "reasoning_tokens"):
        value = row.get(name)
        if value is not None and (type(value) is not int or value < 0):
            return f"'{name}' must be a whole number, 0 or more"
    if (row.get("repeat") or 0) >= MOST_REPEATS:
        return f"'repeat' must be below {MOST_REPEATS}; number the responses to an item from 0"
    for name in ("task", "subtask", "doc_hash"):
        if not isinstance(row.get(name) or "", str):
            return f"'{name}' must be a name"
    if not isinstance(row.get("reasoning") or "", str):
        return "'reasoning' must be the text that was thought before the answer"
    if (row.get("finish") or "stop") not in FINISHES:
        return f"'finish' must be one of {', '.join(FINISHES)}"
    return problem_of_judgements(row.get("judgements"))


def problem_of_response(row: Mapping[str, Any]) -> str:
    """What is wrong with a row's response; '' when nothing is."""
    response, logprobs, rewards = row.get("response"), row.get("logprobs"), row.get("rewards")
    if rewards is not None:
        return problem_of_rewards(rewards, response or logprobs)
    if logprobs is not None:
        return problem_of_logprobs(logprobs, response)
    if isinstance(response, str):
        return ""
    # A row of a samples file has a verdict, and no response where none ever came.
    if not isinstance(response, dict) and not (response is None and "values" in row):
        return (
            "'response' must be the response's text; of continuations that were weighed give "
            "'logprobs' instead, one summed value each"
        )
    try:
        sampled(response)
    except FieldError as error:
        where = f"'response.{error.field}'" if error.field else "'response'"
        return f"{where} {error.why}; see docs/record.md for the rows of a samples file"
    return ""


def problem_of_rewards(rewards: Any, other: Any) -> str:
    """What is wrong with a row's rewards; '' when nothing is."""
    if other is not None:
        return "'rewards' is given beside 'response' or 'logprobs'; keep what the task compares"
    if not isinstance(rewards, list) or not rewards:
        return "'rewards' must be a list, one number an answer"
    for place, value in enumerate(rewards):
        if type(value) not in (int, float) or not isfinite(value):
            return f"'rewards' holds {value!r} at place {place}; each must be a finite number"
    return ""


def problem_of_logprobs(logprobs: Any, response: Any) -> str:
    """What is wrong with a row's log-probabilities; '' when nothing is."""
    if response is not None:
        return (
            "'response' and 'logprobs' are both given; keep the text where the task generates one, "
            "and the log-probabilities where it weighs continuations"
        )
    if not isinstance(logprobs, list) or not logprobs:
        return "'logprobs' must be a list, one summed log-probability a continuation"
    for place, value in enumerate(logprobs):
        if type(value) not in (int, float) or not isfinite(value):
            return (
                f"'logprobs' holds {value!r} at place {place}; each must be a finite number, the sum "
                "of the natural-log probabilities of a continuation's tokens"
            )
    return ""
