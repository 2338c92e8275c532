"""What `run.json` has to hold before the server takes it (docs/record.md, schema 1).

Fields of later versions of olmes pass; a field that is known has to be what it says.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from olmes.records.record import SCHEMA
from olmes.server.refusals import RefusedError

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,99}$"
"""Names of tasks, metrics and suites."""
RUN_ID = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,119}$"
TASK_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_:+-]*(\.[A-Za-z0-9_:+-]+)*$"
"""A task's name is also a file's below the samples: no dots at its ends, no `..`."""
LARGEST = 2**53
"""Whole numbers beyond this are no counts, and JavaScript rounds them."""
DEEPEST = 60
"""Levels of nesting in any JSON that is taken."""

Count = Annotated[int, Field(ge=0, le=LARGEST)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]


def _unpaired_free(text: str) -> str:
    """A database holds UTF-8 without NUL, which a name need not have."""
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("holds a character that no name has (NUL or a lone surrogate)")
    return text


Words = Annotated[str, Field(max_length=500), AfterValidator(_unpaired_free)]
TaskName = Annotated[str, Field(max_length=100, pattern=TASK_NAME)]
MetricName = Annotated[str, Field(max_length=200), AfterValidator(_unpaired_free)]
Name = Annotated[str, Field(pattern=NAME)]


class Part(BaseModel):
    """A JSON object with known fields; others pass."""

    model_config = ConfigDict(strict=True, extra="allow")


class EstimateModel(Part):
    """A number with its error."""

    value: Number | None
    stderr: Annotated[Number, Field(ge=0)] | None
    ci_low: Number | None
    ci_high: Number | None
    n: Count


class MetricModel(EstimateModel):
    """A metric of a task."""

    help: str = ""
    honest: bool = False
    higher_is_better: bool = True


class Subtask(Part):
    """The numbers of a sub-task."""

    n: Count
    metrics: dict[MetricName, EstimateModel]


class Data(Part):
    """Where a task's data came from."""

    origin: Name
    location: str | None = None
    content_hash: Hex
    official: bool
    n: Count
    notes: list[str] = []


class Turn(Part):
    """A turn of a conversation."""

    role: str
    content: str


class Diagnosis(Part):
    """What the format cost."""

    n: Count
    wrong: Count
    lost: Count | None
    lost_by: dict[str, Count]
    flags: dict[str, Count]


class JudgingModel(Part):
    """The model that judged."""

    name: str
    fingerprint: str
    engine: dict[str, Any] | None


class Judge(Part):
    """Who judged a task, and at what price."""

    model: JudgingModel | None
    encoders: dict[str, Any] | None = None
    budget: Count | None
    judgements: Count
    tokens: dict[str, Count]


class TaskModel(Part):
    """A task of the run."""

    title: Words
    primary: Words
    standard: bool
    settings: dict[str, Any]
    formulation: dict[str, Any]
    formulation_hash: Hex
    scorer_hash: Hex
    data: Data
    n: Count
    metrics: dict[MetricName, MetricModel]
    subtasks: dict[str, Subtask]
    counts: dict[str, Count]
    diagnosis: Diagnosis | None = None
    judge: Judge | None = None
    tokens: dict[str, Count]
    shared_messages: list[Turn]
    samples: str


class ModelPart(Part):
    """The model."""

    name: Words
    fingerprint: Sha256
    parts: dict[str, str] | None = None
    engine: dict[str, Any]
    family: Words | None = None
    step: Number | None = None
    lineage: list[Any] | None = None


class SuiteModel(EstimateModel):
    """The suite's mean."""

    name: Words
    title: Words
    held_out: bool
    aggregate: str
    complete: bool
    tasks: list[str]
    missing: list[str] = []
    pairs: list[dict[str, Any]] = []


class LedgerLine(Part):
    """A line of the ledger, as a record names it."""

    number: Annotated[int, Field(ge=1, le=LARGEST)]
    hash: Sha256


class SealedFile(Part):
    """A file under seal."""

    file: str
    sha256: Sha256
    rows: Count


class DevScore(EstimateModel):
    """The development score of the same weights at the time of a look."""

    run: str
    suite: str
    complete: bool


class HeldOut(Part):
    """The look at held-out tasks that the run was."""

    tasks: dict[str, list[str]]
    reason: Annotated[str, Field(min_length=1)]
    asked_by: Literal["person", "hook", "watcher"]
    who: str
    time: Time
    family: Words
    lineage: list[Any]
    looks_before: Count
    dev: DevScore | None
    ledger: LedgerLine
    sealed: dict[str, SealedFile]


class Program(Part):
    """The olmes that made the run."""

    version: str
    git_commit: str | None
    git_dirty: bool | None


class RunModel(Part):
    """The whole of run.json."""

    # Not named `schema`, which pydantic has for itself.
    version: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)]
    id: Annotated[str, Field(pattern=RUN_ID)]
    identity: Hex
    complete: bool
    created: Time
    olmes: Program
    model: ModelPart
    suite: SuiteModel | None
    limit: Annotated[int, Field(ge=1, le=LARGEST)] | None
    held_out: HeldOut | None = None
    tasks: Annotated[dict[TaskName, TaskModel], Field(min_length=1, max_length=1000)]
    not_run: dict[str, str] = {}
    warnings: list[str]
    environment: dict[str, Any]
    timing: dict[str, Annotated[Number, Field(ge=0)]]
    cost: dict[str, Annotated[Number, Field(ge=0)] | None] | None = None


def parse_json(content: bytes, name: str) -> Any:
    """JSON from a client.

    Raises:
        RefusedError: it is not UTF-8 or not JSON, is nested too deeply, or holds NaN.
    """

    def constant(word: str) -> float:
        raise ValueError(f"{word} is not JSON")

    try:
        value = json.loads(content.decode("utf-8"), parse_constant=constant)
    except RecursionError:
        raise RefusedError(422, f"{name} is nested too deeply.", name) from None
    except ValueError as error:
        raise RefusedError(422, f"{name} is not JSON ({error}).", name) from None
    if too_deep(value):
        raise RefusedError(422, f"{name} is nested deeper than {DEEPEST} levels.", name)
    return value


def too_deep(value: Any) -> bool:
    """Whether JSON is nested deeper than `DEEPEST`."""
    layer = [value]
    for _ in range(DEEPEST):
        layer = [
            item
            for one in layer
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, (dict, list))
        ]
        if not layer:
            return False
    return True


def check_record(data: Any) -> None:
    """Hold a record against the schema.

    Raises:
        RefusedError: a field is missing or not what it should be; the first one is named, dotted.
    """
    try:
        RunModel.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"] if part != "[key]") or "run.json"
        # The place of a union's branch is no part of the path.
        path = re.sub(r"\.(constrained-\w+|function-after\S*|nullable\S*)$", "", path)
        raise RefusedError(422, f"run.json: {path}: {lower(first['msg'])}.", path) from None
    check_sense(data)


def lower(message: str) -> str:
    """A message of pydantic's inside of a sentence."""
    return message[:1].lower() + message[1:].rstrip(".")


def check_sense(data: dict[str, Any]) -> None:
    """What no type says: parts of a record that have to fit together.

    Raises:
        RefusedError: two of them do not.
    """
    for name, task in data["tasks"].items():
        path = f"tasks.{name}"
        if task["primary"] not in task["metrics"]:
            refuse(f"{path}.primary", f"{task['primary']} is not one of its metrics")
        if task["samples"] != f"samples/{name}.jsonl":
            refuse(f"{path}.samples", f"has to be samples/{name}.jsonl")
        for metric, found in task["metrics"].items():
            check_estimate(found, f"{path}.metrics.{metric}")
    if data["suite"]:
        check_estimate(data["suite"], "suite")
        if data["suite"]["complete"] and data["suite"]["value"] is None:
            refuse("suite.value", "is missing although the suite is complete")
    if data.get("held_out"):
        check_look(data["held_out"], data["tasks"])


def check_look(held: dict[str, Any], tasks: dict[str, Any]) -> None:
    """Hold a look at held-out tasks against the run.

    Raises:
        RefusedError: a task is not under seal, or a file is not where it belongs.
    """
    for name in held["tasks"]:
        if name not in tasks:
            refuse(f"held_out.tasks.{name}", "is no task of this run")
        if name not in held["sealed"]:
            refuse(f"held_out.sealed.{name}", "is missing: the samples have to be under seal")
    for name, sealed in held["sealed"].items():
        if name not in held["tasks"]:
            refuse(f"held_out.sealed.{name}", "is no held-out task of this run")
        if sealed["file"] != f"sealed/{name}.jsonl.gz":
            refuse(f"held_out.sealed.{name}.file", f"has to be sealed/{name}.jsonl.gz")


def refuse(path: str, why: str) -> NoReturn:
    """Refuse a record for one of its fields."""
    raise RefusedError(422, f"run.json: {path}: {why}.", path)


def check_estimate(found: dict[str, Any], path: str) -> None:
    """An estimate's own sense: an interval has two ends in order, a value has an n.

    Raises:
        RefusedError: it has none.
    """
    low, high = found["ci_low"], found["ci_high"]
    if low is not None and high is not None and low > high:
        raise RefusedError(422, f"run.json: {path}.ci_low: lies above ci_high.", f"{path}.ci_low")
    if found["value"] is not None and not found["n"]:
        raise RefusedError(422, f"run.json: {path}.n: is 0 although there is a value.", f"{path}.n")
    if found["value"] is not None and not math.isfinite(found["value"]):
        raise RefusedError(422, f"run.json: {path}.value: is not finite.", f"{path}.value")
