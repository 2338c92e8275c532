"""Holding JSON against the types of the record, with the name of the field that does not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UnsetType

from olmes.records.schema import SCHEMA, RunRecord
from olmes.records.upgrade import upgraded

T = TypeVar("T")
MESSAGE = re.compile(r"(?P<why>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|\[(\.\.\.)\]")
MISSING = re.compile(r"Object missing required field `(.*)`")


class FieldError(Exception):
    """JSON does not fit a type.

    Args:
        field: dotted name of the part at fault; '' for the whole.
        why: what is wrong with it, to stand behind the name.
    """

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field or 'it'} {why}")


class NewerSchemaError(FieldError):
    """A record was written by a newer olmes."""


def run_record(data: Any) -> RunRecord:
    """`run.json` of this schema or an older one, as its type.

    Raises:
        FieldError: a field is missing or not what it should be; the first one is named.
        NewerSchemaError: a newer olmes wrote it.
    """
    if not isinstance(data, dict):
        raise FieldError("", "is not a JSON object")
    schema = data.get("schema", 1)
    if isinstance(schema, int) and schema > SCHEMA:
        raise NewerSchemaError("schema", f"is {schema}, newer than this olmes reads ({SCHEMA})")
    run = converted(upgraded({"schema": 1, **data}), RunRecord)
    for name, task in run.tasks.items():
        if task.primary not in task.metrics:
            raise FieldError(f"tasks.{name}.primary", f"({task.primary}) is not one of its metrics")
    return run


def converted(value: Any, kind: type[T]) -> T:
    """A JSON value as a type of the record.

    Raises:
        FieldError: it does not fit; the first field that does not is named.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise located(str(error), value, kind) from None
    except UnicodeEncodeError:
        # Half of a surrogate pair where one of a few words belongs: the error of another wrong word.
        converted(without_surrogates(value), kind)
        raise FieldError("", "holds half of a surrogate pair where none can be") from None


def without_surrogates(value: Any) -> Any:
    """JSON with a question mark for each lone surrogate."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(one) for key, one in value.items()}
    return [without_surrogates(one) for one in value] if isinstance(value, list) else value


def located(message: str, value: Any, kind: Any) -> FieldError:
    """Msgspec's message with the whole path, which leaves out the keys of mappings."""
    match = MESSAGE.fullmatch(message)
    assert match is not None
    why = match["why"]
    names: list[str] = []
    for field, index, member in STEP.findall(match["path"] or ""):
        kind = bare(kind)
        if member:
            return in_mapping(names, value, get_args(kind)[1], why)
        names.append(field or index)
        value = value[field] if field else value[int(index)]
        kind = get_type_hints(kind, include_extras=True)[field] if field else get_args(kind)[0]
    if missing := MISSING.fullmatch(why):
        return FieldError(dotted([*names, missing[1]]), "is missing")
    return FieldError(dotted(names), sentence(why))


def in_mapping(names: Sequence[str], value: dict[str, Any], kind: Any, why: str) -> FieldError:
    """The error of the first member of a mapping that does not fit."""
    for key, member in value.items():
        try:
            converted(member, kind)
        except FieldError as inner:
            return FieldError(dotted([*names, key, inner.field]), inner.why)
    return FieldError(dotted(names), sentence(why))


def bare(kind: Any) -> Any:
    """A type without annotations, None and NotRequired."""
    origin = get_origin(kind)
    if origin in (Annotated, NotRequired):
        return bare(get_args(kind)[0])
    if origin in (Union, UnionType):
        return bare(next(one for one in get_args(kind) if one not in (NoneType, UnsetType)))
    return kind


def dotted(names: Sequence[str]) -> str:
    """A path as text."""
    return ".".join(filter(None, names))


def sentence(why: str) -> str:
    """What msgspec says, as words behind a field's name: `must be int, not str`."""
    plain = why.replace("`", "").replace(" | null", " or null")
    if match := re.fullmatch(r"Expected (.*), got (\S+)", plain, re.DOTALL):
        return f"must be {match[1]}, not {match[2]}"
    if plain.startswith("Expected "):
        return f"must be {plain.removeprefix('Expected ')}"
    return f"is wrong: {plain[:1].lower()}{plain[1:]}"
