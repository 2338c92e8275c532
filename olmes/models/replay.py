"""Recorded responses in place of a model: to score again, or to score what another engine said.

A recording is a JSON-lines file, one response a line:

    {"response": "... #### 18", "task": "gsm8k", "doc_id": 0}
    {"response": "(B)", "task": "bbh", "subtask": "navigate", "doc_id": 7, "repeat": 1}
    {"response": "...", "doc": {"question": "...", "answer": "..."}}

`response` is the text. The item is named by `doc_id`, its zero-based row in the official file (with
`subtask` where the benchmark has several), or given whole as `doc`. `task` is needed only where a
file holds several; `repeat` (0 by default) counts the responses to one item. `finish` (`stop` by
default, `length`, `error`), `tokens` (of the response) and `reasoning` (what was thought before it) are
optional. Other fields are ignored.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NotRequired, TypedDict, get_args

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.options import ASKED, Asking
from olmes.reasoning import Reader
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash, file_sha256
from olmes.types import Doc, Finish, JsonObject, Request, Response

MISSING = "no recorded response"
FINISHES = get_args(Finish)
MOST_REPEATS = 1_000_000
"""Responses to one item; room is made up to the highest number."""


class RecordedRow(TypedDict):
    """One line of a recording as JSON; see the head of this file."""

    response: str
    doc_id: NotRequired[int | None]
    doc: NotRequired[Doc | None]
    subtask: NotRequired[str | None]
    task: NotRequired[str | None]
    repeat: NotRequired[int | None]
    finish: NotRequired[Finish | None]
    tokens: NotRequired[int | None]
    reasoning: NotRequired[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResponse:
    """One line of a recording."""

    source: str
    """File and line, for errors."""
    text: str
    doc_id: int | None = None
    doc: Doc | None = None
    subtask: str = ""
    task: str = ""
    repeat: int = 0
    finish: Finish = "stop"
    tokens: int = 0
    reasoning: str = ""

    @classmethod
    def from_row(cls, row: RecordedRow, source: str) -> RecordedResponse:
        """The response of a checked row."""
        return cls(
            source=source,
            text=row["response"],
            doc_id=row.get("doc_id"),
            doc=row.get("doc"),
            subtask=row.get("subtask") or "",
            task=row.get("task") or "",
            repeat=row.get("repeat") or 0,
            finish=row.get("finish") or "stop",
            tokens=row.get("tokens") or 0,
            reasoning=row.get("reasoning") or "",
        )

    def to_response(self) -> Response:
        """As a model would have answered."""
        return Response(
            text=self.text,
            finish=self.finish,
            completion_tokens=self.tokens,
            reasoning=self.reasoning,
            error="recorded as failed" if self.finish == "error" else "",
        )


def read_recorded(path: Path) -> list[RecordedResponse]:
    """The responses of a recording (plain or gzipped), in its order.

    Raises:
        OlmesError: the file is missing, a line is not such a row (file and line are named), or
            there is none at all.
    """
    rows = [parse(row, f"{path}, line {number}") for number, row in jsonl.read_numbered(path)]
    if not rows:
        raise OlmesError(f"{path} holds no responses; write one JSON object a line.")
    return rows


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
    if not isinstance(row.get("response"), str):
        return "'response' must be the response's text"
    doc_id, doc = row.get("doc_id"), row.get("doc")
    if doc_id is None and doc is None:
        return "give 'doc_id' (row in the official file) or 'doc' (the item itself)"
    if doc is not None and not isinstance(doc, dict):
        return "'doc' must be the item as a JSON object"
    for name in ("doc_id", "repeat", "tokens"):
        value = row.get(name)
        if value is not None and (type(value) is not int or value < 0):
            return f"'{name}' must be a whole number, 0 or more"
    if (row.get("repeat") or 0) >= MOST_REPEATS:
        return f"'repeat' must be below {MOST_REPEATS}; number the responses to an item from 0"
    for name in ("task", "subtask"):
        if not isinstance(row.get(name) or "", str):
            return f"'{name}' must be a name"
    if not isinstance(row.get("reasoning") or "", str):
        return "'reasoning' must be the text that was thought before the answer"
    if (row.get("finish") or "stop") not in FINISHES:
        return f"'finish' must be one of {', '.join(FINISHES)}"
    return ""


def request_key(request: Request) -> str:
    """The content hash by which an answer is found."""
    return content_hash(request.to_json())


def by_content(answers: Mapping[str, Response]) -> Callable[[Request], Response | None]:
    """Finds responses in a mapping by `request_key`."""
    return lambda request: answers.get(request_key(request))


class RecordedResponses:
    """A recording on disk; each of its lines can be read by its byte offset."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[tuple[int, RecordedResponse]]:
        """Every response with its line's offset, in the file's order.

        Raises:
            OlmesError: as `read_recorded`.
        """
        offset, empty = 0, True
        for number, line in enumerate(jsonl.read_lines(self.path), start=1):
            if line.strip():
                empty = False
                yield offset, parse(self.row(line, number), f"{self.path}, line {number}")
            offset += len(line)
        if empty:
            raise OlmesError(f"{self.path} holds no responses; write one JSON object a line.")

    def row(self, line: bytes, number: int) -> Any:
        """A line as JSON: by the fast parser, unless a document's numbers must be exact."""
        import orjson

        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            return jsonl.parse_line(line, self.path, number)
        exact = isinstance(row, dict) and row.get("doc") is not None
        return jsonl.parse_line(line, self.path, number) if exact else row

    @cached_property
    def stream(self) -> BinaryIO:
        """The recording, open for reading at any offset; a compressed one is unpacked first."""
        if self.path.suffix != ".gz":
            return self.path.open("rb")
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the recording)
        unpacked.writelines(jsonl.read_lines(self.path))
        return unpacked

    def at(self, offset: int) -> RecordedResponse:
        """The response at an offset that iteration gave, which checked it."""
        self.stream.seek(offset)
        row: RecordedRow = self.row(self.stream.readline(), 0)
        return RecordedResponse.from_row(row, f"{self.path}, byte {offset}")

    def source_of(self, offset: int) -> str:
        """File and line of an offset, for errors."""
        number = end = 0
        lines = jsonl.read_lines(self.path)
        while end <= offset:
            end += len(next(lines))
            number += 1
        return f"{self.path}, line {number}"


class ReplayModel(Model):
    """Gives recorded responses back.

    A model sees requests and a recording names items, so the maker of the requests sets `find`
    before it generates.
    """

    cacheable = False  # what the file says today is not what a model says

    def __init__(
        self,
        name: str,
        path: Path,
        answers: Mapping[str, Response] | None = None,
        *,
        asking: Asking = ASKED,
    ) -> None:
        """A model that answers from the recording at `path`; `answers` are by `request_key`."""
        self.name = name
        self.asking = asking
        self.path = path
        self.find: Callable[[Request], Response | None] = by_content(dict(answers or {}))
        """The response to a request, if there is one."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the recording."""
        return file_sha256(self.path)

    @property
    def engine(self) -> JsonObject:
        """The backend alone: nothing but the file changes what comes back."""
        tags = self.asking.reasoning_tags
        return {"backend": "replay", **({"reasoning_tags": tags} if tags is not None else {})}

    @property
    def reader(self) -> Reader:
        """By the user's word, or else by the marks that a response opens with."""
        return self.asking.reader()

    def encode(self, request: Request) -> EncodedPrompt:
        """The prompt as plain text: a recording does not say what template or tokens there were."""
        turns = [f"{message['role']}: {message['content']}\n" for message in request.messages]
        text = request.prompt if request.prompt is not None else "".join(turns)
        return EncodedPrompt(text=text + request.prefill, token_ids=())

    def generate(self, requests: Sequence[Request], done: Done) -> None:
        """Answer from the recording; a request it has no row for is an error of that request."""
        missing = Response(finish="error", error=MISSING)
        for index, request in enumerate(requests):
            done(index, self.find(request) or missing)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Report every request as failed: a recording holds texts and no probabilities."""
        error = "a recording holds no log-probabilities"
        for index in range(len(requests)):
            done(index, Response(finish="error", error=error))
