"""Who gave the responses of a recording: its first line, where it has one.

    {"recording": 1, "model": {"name": "smollm2", "fingerprint": "1949...", "step": 6, ...},
     "recorded": "2026-12-01T03:12:00Z", "tasks": {"gsm8k": {}}, "rows": 98, "sha256": "..."}

`model` is as in `run.json` (docs/record.md), so that a run of `replay:FILE` names the weights, the step
and the training that its responses are of. `tasks` says of each what was not standard, `sha256` is over
every byte behind the line, unpacked. A recording with such a line is taken at its word or not at all:
another hash, another number of rows, another prompt or other settings are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from olmes.errors import OlmesError
from olmes.records.check import FieldError, converted
from olmes.records.schema import Count, RecordedModel, Sha256, Time
from olmes.tools import jsonl

VERSION = 1
KEY = "recording"
ANSWERS = ("response", "logprobs", "rewards")


class RecordingHead(Struct, frozen=True, kw_only=True):
    """The first line of a recording that says who gave its responses, and when."""

    recording: Annotated[int, Meta(ge=1, le=VERSION, description="version of this line")]
    model: Annotated[RecordedModel, Meta(description="who gave the responses")]
    recorded: Annotated[Time, Meta(description="when they were complete")]
    tasks: Annotated[dict[str, dict[str, str]], Meta(description="by task: what was set by hand")]
    rows: Annotated[Count, Meta(description="lines behind this one")]
    sha256: Annotated[Sha256, Meta(description="over the bytes behind this line, unpacked")]

    @property
    def sentence(self) -> str:
        """What a reader of the numbers must know."""
        return (
            f"recorded responses: {self.model.name} (weights and templates "
            f"{self.model.fingerprint[:8]}) gave them on {self.recorded[:10]}; no model was asked."
        )

    def settings(self, task: str) -> str:
        """What was set by hand of a task, as `--set` is written; '' where nothing was."""
        return " ".join(f"--set {task}.{k}={v}" for k, v in self.tasks.get(task, {}).items())


def is_head(row: Any) -> bool:
    """Whether a line says who gave the responses, and is none itself."""
    return isinstance(row, Mapping) and KEY in row and not any(name in row for name in ANSWERS)


def read_head(path: Path) -> RecordingHead | None:
    """The first line of a recording; None where that is a response, or the file is empty.

    Raises:
        OlmesError: the file cannot be read, or its first line lacks something.
    """
    first = next(iter(jsonl.read_lines(path)), b"")
    if b'"recording"' not in first:
        return None
    row = jsonl.parse_line(first, path, 1)
    if not is_head(row):
        return None
    try:
        return converted(row, RecordingHead)
    except FieldError as error:
        raise OlmesError(f"{path}, line 1: {error}; see docs/recordings.md for its fields.") from None


def checked_head(path: Path) -> RecordingHead | None:
    """As `read_head`, with everything behind the line held against it.

    Raises:
        OlmesError: as `read_head`, or the lines are not those that were recorded.
    """
    head = read_head(path)
    if head is None:
        return None
    digest, rows = hashlib.sha256(), -1
    for line in jsonl.read_lines(path):
        rows += 1
        if rows:
            digest.update(line)
    if (digest.hexdigest(), rows) != (head.sha256, head.rows):
        raise OlmesError(
            f"{path} is not as it was recorded ({rows} of {head.rows} responses, SHA-256 "
            f"{digest.hexdigest()[:16]} and not {head.sha256[:16]}); fetch it again, or remove its first "
            "line to replay the responses as nobody's."
        )
    return head
