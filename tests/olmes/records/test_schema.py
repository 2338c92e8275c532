"""The record's types: JSON in and out without loss, errors by the name of the field, older schemas."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from olmes import OlmesError, Record
from olmes.records import described
from olmes.records.check import FieldError, NewerSchemaError, converted, run_record
from olmes.records.schema import SCHEMA, HeldOut, ResponseRow, RunRecord
from olmes.tools.hashing import content_hash
from tests.factories import data_json, response_row, run_json, score_json, task_json, written
from tests.known import known

REMOVED = object()
SCHEMA_1 = Path(__file__).parent / "schema1/store"


def full_run() -> dict[str, Any]:
    """A record with every kind of nesting that a field's name can have in it."""
    task = task_json(
        subtasks={"a.b/c": {"n": 3, "metrics": {"exact_match": score_json(0.5)}}},
        shared_messages=[{"role": "user", "content": "x"}],
        diagnosis={"n": 9, "wrong": 3, "lost": 1, "lost_by": {"latex": 1}, "flags": {}},
    )
    suite: dict[str, Any] = {
        "name": "s",
        **score_json(0.5),
        "pairs": [{"dev": ["a"], "unseen": "echo"}],
    }
    suite["tasks"] = ["echo"]
    look = {
        "ledger": {"number": 1, "hash": "x"},
        "dev": {"run": "r", "suite": "dev", **score_json(0.5)},
        "sealed": {"echo": {"file": "f", "sha256": "ab" * 32, "rows": 3}},
    }
    return run_json({"echo": task}, suite=suite, held_out=look, cost={"sessions": 1})


def with_value(data: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """A copy with another value in one place."""
    made = copy.deepcopy(data)
    place: Any = made
    for name in path[:-1]:
        place = place[name]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return made


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of everything in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, (*path, name))
    if isinstance(value, list):
        for at, member in enumerate(value):
            yield from places(member, (*path, at))


# --- there and back -------------------------------------------------------------------------------


def test_a_record_is_the_same_after_json() -> None:
    run = run_record(full_run())
    text = msgspec.json.encode(run)
    assert run_record(json.loads(text)) == run
    assert msgspec.json.encode(run_record(json.loads(text))) == text
    assert known(run.tasks["echo"].diagnosis).lost_by == {"latex": 1}
    assert known(run.held_out).sealed["echo"].rows == 3
    assert known(run.suite).pairs[0].unseen == "echo"


def test_what_json_says_is_what_the_type_has_and_nothing_is_lost(tmp_path: Path) -> None:
    """Every field that was given comes back with its value; the others have the types' defaults."""
    given = full_run()
    back = written(tmp_path, given).to_json()
    for path in places(given):
        found: Any = back
        value: Any = given
        for name in path:
            found, value = found[name], value[name]
        if not isinstance(value, (dict, list)):
            assert found == value, path


def test_a_row_of_samples_is_the_same_after_json() -> None:
    row = response_row(values={"em": 1.0, "parts": [True, False], "none": None}, flags=["empty"])
    assert converted(json.loads(json.dumps(row)), ResponseRow) == row


def test_every_type_of_the_record_is_in_the_documentation() -> None:
    """That its every field says what it means is tested with the page (`tests/test_docs.py`)."""
    found: set[str] = set()

    def visit(kind: type) -> None:
        if kind.__name__ in found:
            return
        found.add(kind.__name__)
        for field in msgspec.structs.fields(kind):
            for one in structs_in(field.type):
                visit(one)

    visit(RunRecord)
    # `Score` is documented too: others are made of it.
    assert found <= {kind.__name__ for kind in described.DESCRIBED}


def structs_in(hint: Any) -> Iterator[type]:
    """The types of the record in a field's type."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for inner in getattr(hint, "__args__", ()):
        yield from structs_in(inner)


def test_fields_that_are_not_known_pass() -> None:
    """A later olmes of the same schema may add some."""
    run = full_run() | {"mood": "good"}
    run["tasks"]["echo"]["colour"] = {"a": [1]}
    run["tasks"]["echo"]["metrics"]["exact_match"]["median"] = 0.5
    run["model"]["owner"] = None
    assert run_record(run) == run_record(full_run())


# --- what does not fit is named -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("complete",), "yes", "complete must be bool, not str"),
        (("complete",), REMOVED, "complete is missing"),
        (("model",), None, "model must be object, not null"),
        (("model", "fingerprint"), "xyz", "model.fingerprint must be str matching regex"),
        (("model", "lineage"), [1], "model.lineage.0 must be object, not int"),
        (("created",), "yesterday", "created must be str matching regex"),
        (("limit",), "all", "limit must be int or null, not str"),
        (("warnings",), ["a", 2], "warnings.1 must be str, not int"),
        (("not_run",), {"x": 1}, "not_run.x must be str, not int"),
        (("timing",), {"a": "b"}, "timing.a must be float, not str"),
        (("cost", "sessions"), -3, "cost.sessions must be int >= 0"),
        (("tasks",), {}, "tasks must be object of length >= 1"),
        (("tasks",), [], "tasks must be object, not array"),
        (("tasks", "echo"), 3, "tasks.echo must be object, not int"),
        (("tasks", "echo", "n"), 1.5, "tasks.echo.n must be int, not float"),
        (("tasks", "echo", "n"), 2**60, "tasks.echo.n must be int <= 9007199254740992"),
        (("tasks", "echo", "counts", "failed"), None, "tasks.echo.counts.failed must be int, not null"),
        (("tasks", "echo", "data", "official"), REMOVED, "tasks.echo.data.official is missing"),
        (
            ("tasks", "echo", "data", "origin"),
            "sample",
            "tasks.echo.data.origin is wrong: invalid enum value 'sample'",
        ),
        (
            ("tasks", "echo", "metrics", "exact_match", "value"),
            "a",
            "tasks.echo.metrics.exact_match.value must be float or null, not str",
        ),
        (
            ("tasks", "echo", "metrics", "exact_match", "n"),
            REMOVED,
            "tasks.echo.metrics.exact_match.n is missing",
        ),
        (
            ("tasks", "echo", "subtasks", "a.b/c", "metrics", "exact_match", "stderr"),
            [],
            "tasks.echo.subtasks.a.b/c.metrics.exact_match.stderr must be float or null, not array",
        ),
        (
            ("tasks", "echo", "shared_messages", 0, "role"),
            REMOVED,
            "tasks.echo.shared_messages.0.role is missing",
        ),
        (("suite", "pairs", 0, "dev", 0), 7, "suite.pairs.0.dev.0 must be str, not int"),
        (("suite", "pairs", 0), "x", "suite.pairs.0 must be object, not str"),
        (("held_out", "sealed", "echo"), 1, "held_out.sealed.echo must be object, not int"),
        (("held_out", "asked_by"), "robot", "held_out.asked_by is wrong: invalid enum value 'robot'"),
        (("tasks", "echo", "primary"), "nope", "tasks.echo.primary (nope) is not one of its metrics"),
        (("schema",), "2", "schema must be int, not str"),
        (("schema",), 0, "schema must be int >= 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_whole_path(
    tmp_path: Path, path: tuple[str | int, ...], value: object, said: str
) -> None:
    broken = with_value(full_run(), path, value)
    with pytest.raises(FieldError) as told:
        run_record(broken)
    assert str(told.value).startswith(said)
    assert not isinstance(told.value, NewerSchemaError)
    with pytest.raises(OlmesError, match="run.json is not a record .*; run again to write it"):
        written(tmp_path, broken)


@pytest.mark.parametrize("whole", [None, [], 3, "x", True])
def test_what_is_no_object_is_no_record(whole: object) -> None:
    with pytest.raises(FieldError, match="it is not a JSON object"):
        run_record(whole)


ODD: tuple[Any, ...] = (
    REMOVED, None, True, -1, 2**70, 1.5, float("nan"), "", "x", [], [None], {}, {"a": []}
)  # fmt: skip


@pytest.mark.parametrize("schema", [1, SCHEMA])
def test_nothing_in_a_record_breaks_its_reading(schema: int) -> None:
    """Whatever stands in whichever place, it is read or its field is named: nothing else happens."""
    whole = full_run() | {"schema": schema}
    refused: list[tuple[str, str]] = []
    for path in places(full_run()):
        for odd in ODD:
            try:
                run_record(with_value(whole, path, odd))
            except FieldError as error:
                refused.append((".".join(map(str, path)), error.field))
    for place, named in refused:
        # Without its one task a record has too few, without a metric no primary one.
        elsewhere = named in ("tasks", "tasks.echo.primary")
        assert elsewhere or f"{named}.".startswith(f"{place}.")
    assert len(refused) > 500


def test_a_record_of_a_newer_olmes_says_what_to_do(tmp_path: Path) -> None:
    newer = full_run() | {"schema": SCHEMA + 1}
    with pytest.raises(NewerSchemaError):
        run_record(newer)
    with pytest.raises(OlmesError, match=rf"schema is {SCHEMA + 1}, newer .*; update olmes"):
        written(tmp_path, newer)


# --- schema 1 -------------------------------------------------------------------------------------


def old_task(value: float | None = 0.5, **fields: Any) -> dict[str, Any]:
    """A task as schema 1 had it."""
    formulation = {"generation": {"n": 3}, "question": "Say {word}."}
    task = task_json(value, formulation=formulation, n=900, data=data_json(origin="sample"))
    task |= fields
    described = {"task": "echo", "formulation": formulation, "primary": "exact_match"}
    old = content_hash({**described, "metrics": list(task["metrics"])})[:16]
    return task | {"formulation_hash": fields.get("formulation_hash", old)}


def test_a_record_of_schema_1_says_what_it_was_written_as() -> None:
    old = run_json({"echo": old_task()}, schema=1)
    assert run_record(old).schema == 1
    del old["schema"]
    assert run_record(old).schema == 1


@pytest.mark.parametrize(
    ("score", "unit"),
    [
        (score_json(0.5), "share"),
        (score_json(0.0), "number"),  # its interval was that of a mean, below 0
        (score_json(0.001, stderr=0.0001), "share"),
        (score_json(12.0), "number"),
        (score_json(-0.2), "number"),
        (score_json(0.99, stderr=0.1), "number"),
        (score_json(1.0, stderr=0.0), "share"),
        (score_json(None), "share"),
    ],
)
def test_units_of_schema_1_are_guessed_by_value_and_interval(
    score: dict[str, Any], unit: str
) -> None:
    task = old_task(metrics={"exact_match": score})
    held = {"dev": {"run": "r", "suite": "dev", **score}}
    run = run_record(
        run_json({"echo": task}, schema=1, suite={"name": "s", **score}, held_out=held)
    )
    assert run.tasks["echo"].score.unit == unit
    assert known(run.suite).unit == unit
    assert known(known(run.held_out).dev).unit == unit


def test_the_mean_of_a_suite_with_a_number_in_it_is_a_number() -> None:
    tasks = {"echo": old_task(), "pace": old_task(12.0)}
    suite = {"name": "s", "tasks": ["echo", "pace"], **score_json(0.7)}
    assert known(run_record(run_json(tasks, schema=1, suite=suite)).suite).unit == "number"


def test_built_in_data_of_schema_1_are_demo_data() -> None:
    run = run_record(run_json({"echo": old_task()}, schema=1))
    assert run.tasks["echo"].data.origin == "demo"
    assert run.demo_tasks == ["echo"]


def test_the_hash_of_a_formulation_is_made_again_where_it_is_known_to_be_the_old_one() -> None:
    task = old_task()
    new = content_hash(
        {"task": "echo", "formulation": task["formulation"], "primary": "exact_match"}
    )[:16]
    found = run_record(run_json({"echo": task}, schema=1)).tasks["echo"]
    assert found.formulation_hash == new != task["formulation_hash"]
    # A further metric is no other formulation.
    more = old_task(metrics={"exact_match": score_json(0.5), "lenient": score_json(0.6)})
    assert more["formulation_hash"] != task["formulation_hash"]
    assert run_record(run_json({"echo": more}, schema=1)).tasks["echo"].formulation_hash == new
    # A hash that is over something else stays what it is.
    other = old_task(formulation_hash="0123456789abcdef")
    kept = run_record(run_json({"echo": other}, schema=1)).tasks["echo"].formulation_hash
    assert kept == "0123456789abcdef"
    # Today's are never made again.
    today = run_record(run_json({"echo": task_json(formulation_hash=task["formulation_hash"])}))
    assert today.tasks["echo"].formulation_hash == task["formulation_hash"]


@pytest.mark.parametrize(
    ("formulation", "items"),
    [
        ({"generation": {"n": 3}}, 300),
        ({"generation": {"n": 1}}, 900),
        ({"generation": {"n": 7}}, None),  # 900 responses are not 7 each
        ({"generation": {"n": 0}}, None),
        ({"generation": {}}, None),
        ({}, None),
    ],
)
def test_items_of_schema_1_follow_from_the_responses_where_they_can(
    formulation: dict[str, Any], items: int | None
) -> None:
    task = old_task(formulation=formulation, formulation_hash="0123456789abcdef")
    found = run_record(run_json({"echo": task}, schema=1)).tasks["echo"]
    assert found.items == items
    assert found.repeated == (items == 300)


def test_what_is_no_record_of_schema_1_is_named_too() -> None:
    task = old_task() | {"metrics": 3}
    with pytest.raises(FieldError, match=r"tasks\.echo\.metrics must be object, not int"):
        run_record(run_json({"echo": task}, schema=1))
    with pytest.raises(FieldError, match=r"tasks\.echo must be object, not str"):
        run_record(run_json(schema=1) | {"tasks": {"echo": "x"}})


def test_a_record_of_schema_1_is_upgraded_once(tmp_path: Path) -> None:
    """What is read and written again by a tool says 1 still, and reads as the same."""
    for folder in sorted(SCHEMA_1.iterdir()):
        if folder.is_dir():
            record = Record.load(folder)
            again = written(tmp_path / folder.name, record.to_json())
            assert again.run == record.run, folder.name


def test_a_look_from_which_the_ledgers_line_was_edited_away_is_read() -> None:
    """So that it is told as a look that the ledger lacks."""
    assert converted({}, HeldOut).ledger.number == 0
    assert run_record(run_json(held_out={})).held_out is not None
