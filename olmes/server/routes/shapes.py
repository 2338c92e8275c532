"""What the API takes, as types; the OpenAPI document is made of them and of what the client gets.

What it answers is in `olmes.client.types`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import is_typeddict

from olmes.client import types as answers
from olmes.records.schema import LARGEST
from olmes.server.intake.fields import LARGEST_VALUE, NAME, RUN_ID, TASK_NAME
from olmes.types import Unit

for answer in vars(answers).values():
    if is_typeddict(answer):
        # The texts below their fields stand in the document.
        with_config(ConfigDict(use_attribute_docstrings=True))(answer)

HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
RunId = Annotated[str, Path(pattern=RUN_ID, examples=["smollm2-dev-033f3874"])]
RunQuery = Annotated[str, Query(pattern=RUN_ID, examples=["smollm2-dev-033f3874"])]
TaskName = Annotated[str, Path(pattern=TASK_NAME, max_length=100, examples=["gsm8k"])]
NO_NUL = r"^[^\x00]*$"
Text = Annotated[str | None, Query(max_length=500, pattern=NO_NUL)]
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
                        "message": "run.json: tasks.gsm8k.n: must be int, not str.",
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
    model: Annotated[str, Field(max_length=500, pattern=NO_NUL)] = ""
    suite: Annotated[str, Field(max_length=200, pattern=NO_NUL)] = ""
    task: Annotated[str, Field(pattern=rf"^$|{NAME}")] = ""
    done: Annotated[int, Field(ge=0, le=LARGEST)]
    total: Annotated[int, Field(ge=0, le=LARGEST)]
    finished: bool = False
    score: Annotated[
        float | None,
        Field(
            ge=-LARGEST_VALUE,
            le=LARGEST_VALUE,
            allow_inf_nan=False,
            description="Of `task`, over what is scored so far; never of a held-out one.",
        ),
    ] = None
    scored: Annotated[int, Field(ge=0, le=LARGEST, description="Values that it is a mean of.")] = 0
    unit: Unit = "share"
    tokens_per_s: Annotated[float | None, Field(ge=0, le=LARGEST)] = None
    left_s: Annotated[float | None, Field(ge=0, le=LARGEST)] = None


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
        "description": "Not the state that this continues; the message says which.",
    },
    413: {"model": Error, "description": "Too large."},
}
