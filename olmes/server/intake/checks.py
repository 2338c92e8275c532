"""What the types of a record do not say and a store must hold before it takes one.

`olmes.records.check` reads `run.json` and rows as their types; here is what a hostile or damaged file
could hold all the same: names that are paths or no UTF-8, numbers that are not finite, fields that
were left out, parts that do not fit together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, get_args

import msgspec
from msgspec import UNSET, Struct

from olmes import __version__
from olmes.records.aggregate import run_mean
from olmes.records.check import FieldError, NewerSchemaError, bare, run_record
from olmes.records.schema import (
    LARGEST,
    Cost,
    DevScore,
    HeldOut,
    Hex,
    MetricScore,
    RecordedModel,
    RecordedPair,
    RunRecord,
    Score,
    SealedFile,
    Sha256,
    SuiteResult,
    TaskData,
    TaskJudge,
    TaskRepeats,
    TaskResult,
)
from olmes.server.intake.fields import (
    LONGEST_MARK,
    LONGEST_TASK,
    RUN_ID,
    SCORE,
    TASK_NAME,
    check_mark,
    check_size,
    check_time,
    check_words,
    refuse,
)
from olmes.server.refusals import RefusedError

MOST_TASKS = 1000
NUMBERS = re.compile("[0-9]{1,9}")
OPTIONAL: dict[type[Struct], set[str]] = {
    RunRecord: {"held_out", "gated", "not_run", "cost"},
    RecordedModel: {"parts", "family", "step", "lineage"},
    SuiteResult: {"missing", "pairs", "mean"},
    RecordedPair: {"rewritten"},
    DevScore: {"unit"},
    TaskResult: {"diagnosis", "judge", "items_hash", "reasons", "repeats"},
    TaskData: {"location", "notes"},
    TaskJudge: {"encoders"},
    MetricScore: {"help", "honest", "higher_is_better"},
}
"""Fields that an upload may leave out, as records of some olmes do. All others olmes writes always."""
FREE = {"olmes", "environment", "cost"}
"""Parts of a run that may lack anything: no number depends on them."""
SINCE_SCHEMA_2 = {"unit", "items"}
"""Fields that records of schema 1 do not have."""


def checked_record(data: Any) -> RunRecord:
    """`run.json` of an upload as its type, of this schema or an older one.

    Raises:
        RefusedError: a field is missing or not what it should be; the first one is named, dotted.
    """
    try:
        return fitting_record(data)
    except RefusedError as refused:
        if "update the server" in refused.message or not (version := newer_version(data)):
            raise
        said = refused.message.removesuffix(".")
        more = f"it was written by olmes {version}, newer than this ({__version__})"
        raise RefusedError(
            refused.status, f"{said}; {more}: update the server.", refused.field
        ) from None


def newer_version(data: Any) -> str:
    """The version of the olmes that wrote a record, where it is newer than this one; else ''."""
    said = data.get("olmes") if isinstance(data, dict) else None
    version = said.get("version") if isinstance(said, dict) else None
    if not isinstance(version, str) or len(version) > LONGEST_MARK:
        return ""
    written, own = (list(map(int, NUMBERS.findall(one)[:3])) for one in (version, __version__))
    return version if written > own else ""


def fitting_record(data: Any) -> RunRecord:
    """`run.json` as its type, if every field is as it should be.

    Raises:
        RefusedError: as `checked_record`.
    """
    if isinstance(data, dict) and "schema" not in data:
        refuse("schema", "is missing")
    try:
        run = run_record(data)
    except NewerSchemaError as error:
        refuse(error.field, f"{error.why}; update the server")
    except FieldError as error:
        refuse(error.field, error.why)
    unknown = SINCE_SCHEMA_2 if run.schema == 1 else set()
    for path in left_out(data, RunRecord, unknown):
        refuse(path, "is missing")
    check_run(run)
    if run.held_out:
        check_look(run.held_out, run.tasks)
    check_gated(run)
    return run


def left_out(value: Any, kind: Any, unknown: Set[str], path: str = "") -> Iterator[str]:
    """The fields that JSON of a type lacks, although olmes always writes them.

    Args:
        value: the JSON, known to fit.
        kind: its type.
        unknown: fields that its schema did not have.
        path: where it stands, dotted.
    """
    kind = bare(kind)
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Struct):
        for field in msgspec.structs.fields(kind):
            place = f"{path}.{field.name}" if path else field.name
            if field.name in value:
                if not (kind is RunRecord and field.name in FREE):
                    yield from left_out(value[field.name], field.type, unknown, place)
            elif field.default is not UNSET and field.name not in unknown | OPTIONAL.get(
                kind, set()
            ):
                yield place
    elif isinstance(value, dict) and get_args(kind):
        for key, member in value.items():
            yield from left_out(member, get_args(kind)[1], unknown, f"{path}.{key}")
    elif isinstance(value, list) and get_args(kind):
        for number, member in enumerate(value):
            yield from left_out(member, get_args(kind)[0], unknown, f"{path}.{number}")


def check_run(run: RunRecord) -> None:
    """Hold the parts of a record against each other and against what a database takes.

    Raises:
        RefusedError: a field is not in order.
    """
    if not re.fullmatch(RUN_ID, run.id):
        refuse("id", "is not a run's name: letters, digits, . _ -, at most 120")
    if run.limit is not None and not 1 <= run.limit <= LARGEST:
        refuse("limit", f"must be between 1 and {LARGEST}")
    check_time(run.created, "created")
    check_model(run.model)
    if len(run.tasks) > MOST_TASKS:
        refuse("tasks", f"holds {len(run.tasks)} tasks; {MOST_TASKS} is the most")
    for name, task in run.tasks.items():
        check_task(name, task)
    if suite := run.suite:
        check_words(suite.name, "suite.name", 200)
        check_words(suite.title, "suite.title")
        check_score(suite, "suite")
        if suite.complete and suite.value is None and run_mean(run):
            refuse("suite.value", "is missing although the suite is complete")
    costs = {name: getattr(run.cost, name) for name in Cost.__struct_fields__} if run.cost else {}
    for part, numbers in (("timing", run.timing), ("cost", costs)):
        for key, number in numbers.items():
            if number is not None and not 0 <= number <= LARGEST:
                refuse(f"{part}.{key}", f"must be 0 or more, and at most {LARGEST}")


def check_model(model: RecordedModel) -> None:
    """Hold the model's names against what a database takes.

    Raises:
        RefusedError: one does not fit.
    """
    check_words(model.name, "model.name")
    check_mark(model.fingerprint, Sha256, "model.fingerprint")
    check_words(model.family or "", "model.family")
    if model.step is not None and not abs(model.step) <= LARGEST:
        refuse("model.step", f"must be finite, and at most {LARGEST}")


def check_task(name: str, task: TaskResult) -> None:
    """Hold a task's names and numbers against what a store can keep.

    Raises:
        RefusedError: one is not in order.
    """
    path = f"tasks.{name}"
    if len(name) > LONGEST_TASK or not re.fullmatch(TASK_NAME, name):
        refuse(path, f"is not a task's name: letters, digits, _ : + - ., at most {LONGEST_TASK}")
    check_words(task.title, f"{path}.title")
    check_mark(task.formulation_hash, Hex, f"{path}.formulation_hash")
    check_mark(task.data.content_hash, Hex, f"{path}.data.content_hash")
    if task.samples != f"samples/{name}.jsonl":
        refuse(f"{path}.samples", f"must be samples/{name}.jsonl")
    check_scores(task.metrics, f"{path}.metrics")
    for subtask, found in task.subtasks.items():
        check_scores(found.metrics, f"{path}.subtasks.{subtask}.metrics")
    if task.repeats:
        check_repeats(task.repeats, f"{path}.repeats")


def check_repeats(repeats: TaskRepeats, path: str) -> None:
    """Hold the numbers of several responses an item against what they must be.

    Raises:
        RefusedError: one is not in order.
    """
    for metric, found in repeats.metrics.items():
        place = f"{path}.metrics.{metric}"
        for number, at in enumerate(found.at):
            for part, score in (("best", at.best), ("worst", at.worst), ("majority", at.majority)):
                if score is not None:
                    check_score(score, f"{place}.at.{number}.{part}")
        for number, mean in enumerate(found.means):
            check_size(mean, f"{place}.means.{number}")
        check_size(found.sd, f"{place}.sd")


def check_look(held: HeldOut, tasks: Mapping[str, TaskResult]) -> None:
    """Hold a look at held-out tasks against the run.

    Raises:
        RefusedError: a task is not under seal, or a file is not where it belongs.
    """
    if not held.reason:
        refuse("held_out.reason", "is empty: a look needs a reason")
    check_time(held.time, "held_out.time")
    check_words(held.family, "held_out.family")
    if held.ledger.number < 1:
        refuse("held_out.ledger.number", "must be 1 or more")
    check_mark(held.ledger.hash, Sha256, "held_out.ledger.hash")
    if held.dev:
        check_score(held.dev, "held_out.dev")
    for name in held.tasks:
        if name not in tasks:
            refuse(f"held_out.tasks.{name}", "is not a task of this run")
        if name not in held.sealed:
            refuse(f"held_out.sealed.{name}", "is missing: the samples have to be under seal")
    for name, sealed in held.sealed.items():
        if name not in held.tasks:
            refuse(f"held_out.sealed.{name}", "is not a held-out task of this run")
        check_packed(sealed, name, f"held_out.sealed.{name}")


def check_gated(run: RunRecord) -> None:
    """Hold the packed samples of gated items against the run.

    Raises:
        RefusedError: one is of no task, or not where it belongs, or not the file that is under seal.
    """
    held = run.held_out.sealed if run.held_out else {}
    for name, packed in run.gated.items():
        if name not in run.tasks:
            refuse(f"gated.{name}", "is not a task of this run")
        check_packed(packed, name, f"gated.{name}")
        if held.get(name, packed) != packed:
            refuse(f"gated.{name}", "is another file than the one under seal")


def check_packed(packed: SealedFile, name: str, path: str) -> None:
    """Hold what is said of a task's packed samples against where such files are.

    Raises:
        RefusedError: it is elsewhere, or its hash is none.
    """
    if packed.file != f"sealed/{name}.jsonl.gz":
        refuse(f"{path}.file", f"must be sealed/{name}.jsonl.gz")
    check_mark(packed.sha256, Sha256, f"{path}.sha256")


def check_scores(scores: Mapping[str, Score], path: str) -> None:
    """Hold the numbers of a task's metrics, and their names, against what they must be.

    Raises:
        RefusedError: one is not in order.
    """
    for name, score in scores.items():
        check_words(name, f"{path}.{name}", 200)
        check_score(score, f"{path}.{name}")


def check_score(score: Score, path: str) -> None:
    """A number's own sense: of a size, an interval with its ends in order, an n for a value.

    Raises:
        RefusedError: it has none.
    """
    for part in SCORE:
        check_size(getattr(score, part), f"{path}.{part}")
    if score.stderr is not None and score.stderr < 0:
        refuse(f"{path}.stderr", "is negative")
    if score.ci_low is not None and score.ci_high is not None and score.ci_low > score.ci_high:
        refuse(f"{path}.ci_low", "lies above ci_high")
    if score.value is not None and not score.n:
        refuse(f"{path}.n", "is 0 although there is a value")
