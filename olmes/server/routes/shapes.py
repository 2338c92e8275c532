"""What the API takes and answers, as types; the OpenAPI document is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from olmes.server.record_schema import LARGEST, NAME, RUN_ID, TASK_NAME

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
RunId = Annotated[str, Path(pattern=RUN_ID, examples=["smollm2-dev-033f3874"])]
RunQuery = Annotated[str, Query(pattern=RUN_ID, examples=["smollm2-dev-033f3874"])]
TaskName = Annotated[str, Path(pattern=TASK_NAME, max_length=100, examples=["gsm8k"])]
Text = Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]*$")]
UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]


class Problem(BaseModel):
    """What is wrong."""

    field: str = Field(description="The part at fault, dotted; '' where none is.")
    message: str


class Error(BaseModel):
    """The body of every refusal."""

    error: Problem
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "field": "tasks.gsm8k.n",
                        "message": "run.json: tasks.gsm8k.n: input should be a valid integer.",
                    }
                }
            ]
        }
    )


class FileEntry(BaseModel):
    """A file of a run."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=200, examples=["samples/gsm8k.jsonl"])]
    size: Annotated[int, Field(ge=0, le=LARGEST, description="Bytes.")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=[HASH])]


class Manifest(BaseModel):
    """The files of a run that is about to be uploaded."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "files": [
                        {"name": "run.json", "size": 13612, "sha256": HASH},
                        {"name": "samples/gsm8k.jsonl", "size": 2764, "sha256": HASH},
                    ],
                    "replace": False,
                }
            ]
        },
    )
    files: Annotated[list[FileEntry], Field(min_length=1, max_length=2002)]
    replace: bool = Field(
        default=False, description="Take the place of another run of the same name."
    )


class FileState(BaseModel):
    """How far a file is."""

    name: str
    size: int
    received: int = Field(description="Bytes that are here: where to go on.")


class SuiteMean(BaseModel):
    """The mean of a suite."""

    name: str
    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None


class RunSummary(BaseModel):
    """A run in a list."""

    id: str
    content_hash: str = Field(description="SHA-256 over names and hashes of the run's files.")
    created: str
    arrived: str
    uploaded_by: str
    complete: bool
    model: str
    fingerprint: str
    family: str
    step: float | None
    held_out: bool
    opened: bool = Field(description="Whether the samples of a held-out run were unsealed.")
    sample_data: bool
    samples: int
    suite: SuiteMean | None
    tasks: dict[str, dict[str, Any]] = Field(
        default={}, description="The primary metric of each task."
    )


class UploadState(BaseModel):
    """An upload, or the run that has its content already."""

    state: Literal["open", "present"]
    upload: str | None = None
    content_hash: str
    files: list[FileState] = []
    run: RunSummary | None = None


class Received(BaseModel):
    """How far a file is."""

    received: int


class Committed(BaseModel):
    """A run that is here now."""

    new: bool = Field(description="False if its content was here before.")
    run: RunSummary


class RunList(BaseModel):
    """A part of a list of runs."""

    runs: list[RunSummary]
    next: str | None = Field(description="What to give as `after` for the next part.")


class RunDetail(BaseModel):
    """A run."""

    run: RunSummary
    record: dict[str, Any] = Field(description="run.json, as docs/record.md describes it.")


class Sample(BaseModel):
    """A response."""

    place: int = Field(description="Its place in the samples file, from 0.")
    row: dict[str, Any] = Field(description="As docs/record.md describes it.")


class SampleList(BaseModel):
    """A part of a task's samples."""

    samples: list[Sample]
    next: int | None = Field(description="What to give as `start` for the next part.")


class Progress(BaseModel):
    """How far an evaluation is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"run": "smollm2-dev-033f3874", "model": "smollm2", "done": 120, "total": 1319}
            ]
        },
    )
    run: Annotated[str, Field(pattern=RUN_ID)]
    model: Annotated[str, Field(max_length=500)] = ""
    suite: Annotated[str, Field(max_length=200)] = ""
    task: Annotated[str, Field(pattern=rf"^$|{NAME}")] = ""
    done: Annotated[int, Field(ge=0, le=LARGEST)]
    total: Annotated[int, Field(ge=0, le=LARGEST)]
    finished: bool = False


class Running(BaseModel):
    """Evaluations under way."""

    running: list[Progress]


class Opened(BaseModel):
    """What a ledger changed."""

    opened: list[str] = Field(description="Runs whose samples may be read from now on.")


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": words}
    for status, words in {
        401: "No token, or a wrong one.",
        403: "Not with this token, or under seal.",
        404: "There is no such thing.",
        422: "A field is not what it should be.",
        429: "Too many requests.",
    }.items()
}
UPLOAD_ERRORS: dict[int | str, dict[str, Any]] = ERRORS | {
    409: {
        "model": Error,
        "description": "Not the state this goes on from; the message says which.",
    },
    413: {"model": Error, "description": "Too large."},
}
