"""Recorded responses in place of a model: to score again, or to score what another engine said.

What a line of a recording holds is in `olmes.models.recorded_rows`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from olmes.errors import OlmesError
from olmes.models.base import Done, EncodedPrompt, Model
from olmes.models.options import ASKED, Asking
from olmes.models.recorded_rows import EMPTY, RecordedResponse, open_to_all, parse
from olmes.models.recording import RecordingHead, checked_head, is_head
from olmes.reasoning import Reader
from olmes.records.schema import RecordedModel
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash, file_sha256
from olmes.types import JsonObject, Request, Response

MISSING = "no recorded response"
RECORDING = "recording"
"""In an engine: which recording gave the responses, the beginning of its hash."""


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
        open_to_all(self.path)
        offset, empty = 0, True
        for number, line in enumerate(jsonl.read_lines(self.path), start=1):
            row = self.row(line, number) if line.strip() else None
            if row is not None and not (number == 1 and is_head(row)):
                empty = False
                yield offset, parse(row, f"{self.path}, line {number}")
            offset += len(line)
        if empty:
            raise OlmesError(f"{self.path} {EMPTY}")

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
    def head(self) -> RecordingHead | None:
        """Who gave the responses; None where the recording does not say.

        Raises:
            OlmesError: as `checked_head`.
        """
        open_to_all(self.path)
        return checked_head(self.path)

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
        row = self.row(self.stream.readline(), 0)
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
    recorded = True

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
    def recording(self) -> RecordedResponses:
        """The file."""
        return RecordedResponses(self.path)

    @property
    def recorded(self) -> RecordedModel | None:
        """Who gave the responses, where the recording says it."""
        return self.recording.head.model if self.recording.head else None

    @cached_property
    def fingerprint(self) -> str:
        """That of the model that gave the responses, or SHA-256 of a recording that does not say."""
        return self.recorded.fingerprint if self.recorded else file_sha256(self.path)

    @property
    def fingerprint_parts(self) -> dict[str, str]:
        """Those of the model that gave the responses."""
        return dict((self.recorded.parts if self.recorded else None) or {})

    @property
    def engine(self) -> JsonObject:
        """The backend alone, as nothing but the file changes what comes back; or what it says.

        Then `recording` tells two recordings of one model apart.
        """
        tags = self.asking.reasoning_tags
        engine: JsonObject = {"backend": "replay"}
        if head := self.recording.head:
            given = f"replay of {head.model.engine.get('backend', 'responses')}"
            own = {"recorded": head.recorded, RECORDING: head.sha256[:16]}
            engine = {**head.model.engine, "backend": given, **own}
        return {**engine, **({"reasoning_tags": tags} if tags is not None else {})}

    @property
    def notes(self) -> Sequence[str]:
        """That the responses are recorded ones, and whose."""
        return [self.recording.head.sentence] if self.recording.head else []

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

    def rewards(self, requests: Sequence[Request], done: Done) -> None:
        """Answer from rows with rewards."""
        none = Response(finish="error", error="the recording holds no rewards")
        for index, request in enumerate(requests):
            found = self.find(request) or none
            rewarded = len(found.rewards) == len(request.answers)
            done(index, found if rewarded or found.error else none)

    def loglikelihood(self, requests: Sequence[Request], done: Done) -> None:
        """Answer from rows with log-probabilities; a text has none."""
        none = Response(finish="error", error="the recording holds no log-probabilities")
        for index, request in enumerate(requests):
            found = self.find(request) or none
            weighed = len(found.logprobs) == len(request.continuations)
            done(index, found if weighed or found.error else none)
