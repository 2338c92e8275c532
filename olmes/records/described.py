"""The record's types as documentation: JSON Schema, and the tables of docs/record.md.

`python -m olmes.records.described` in a checkout writes both again; a test holds them against the
types.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UnsetType

from olmes.records import schema
from olmes.records.schema import SCHEMA, ResponseRow, RunRecord
from olmes.tools.jsonl import write_atomically
from olmes.types import JsonObject

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "record.md"
SCHEMA_FILE = "record.schema.json"
DESCRIBED: tuple[Any, ...] = (
    schema.RunRecord, schema.TaskResult, schema.Score, schema.MetricScore, schema.SubtaskResult,
    schema.TaskRepeats, schema.MetricRepeats, schema.AtK, schema.TaskData, schema.Reason,
    schema.DiagnosisCounts, schema.TaskJudge, schema.JudgeModel,
    schema.SuiteResult, schema.RecordedPair, schema.RecordedModel, schema.HeldOut, schema.DevScore,
    schema.LedgerLine, schema.SealedFile, schema.Program, schema.Environment, schema.Hardware,
    schema.Cost,
)  # fmt: skip
"""The types of `run.json`, in the order in which the page has them."""
END = "\n<!-- end -->"
WORDS: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "null",
    Any: "any JSON",
}  # fmt: skip


def json_schema() -> JsonObject:
    """The JSON Schema (draft 2020-12) of `run.json` and of a row of a samples file."""
    (run, row), parts = msgspec.json.schema_components((RunRecord, ResponseRow))
    text = json.dumps({"run": run, "row": row, "$defs": parts})
    found = json.loads(text.replace("#/components/schemas/", "#/$defs/"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"The record of a run of olmes, schema {SCHEMA}",
        "description": "run.json; a row of samples/TASK.jsonl is $defs/ResponseRow.",
        **found["run"],
        "$defs": found["$defs"],
    }


def run_tables() -> str:
    """The fields of `run.json`, a table a type."""
    return "\n\n".join(heading(kind) + "\n\n" + table(kind) for kind in DESCRIBED)


def row_table() -> str:
    """The fields of a row of a samples file."""
    return table(ResponseRow)


def heading(kind: Any) -> str:
    """A type's name and what it is."""
    return f"### `{kind.__name__}`\n\n{(inspect.getdoc(kind) or '').splitlines()[0]}"


def table(kind: Any) -> str:
    """The fields of a type as a Markdown table; those of the type it extends are not repeated."""
    rows = [f"| `{name}` | {words} | {meaning} |" for name, words, meaning in fields_of(kind)]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def fields_of(kind: Any) -> Iterator[tuple[str, str, str]]:
    """Name, type in words and meaning of each field of a type."""
    inherited = set() if kind.__base__ is msgspec.Struct else set(fields(kind.__base__))
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name not in inherited and name in fields(kind):
            yield name, in_words(hint).replace("|", "\\|"), meaning(hint)


def fields(kind: Any) -> Sequence[str]:
    """The names of a type's fields."""
    return getattr(kind, "__struct_fields__", None) or list(getattr(kind, "__annotations__", ()))


def meaning(hint: Any) -> str:
    """What a field's annotation says of it."""
    if get_origin(hint) is NotRequired:
        return meaning(get_args(hint)[0])
    if get_origin(hint) is Annotated:
        texts = [one.description for one in get_args(hint)[1:] if isinstance(one, msgspec.Meta)]
        return next((text for text in texts if text), "")
    return ""


def in_words(hint: Any) -> str:
    """A type as a reader of JSON knows it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Annotated, NotRequired):
        return in_words(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(in_words(one) for one in inner if one is not UnsetType))
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin is dict:
        return "object" if inner[1] is Any else f"object of {in_words(inner[1])}"
    if origin is not None:
        return f"list of {in_words(inner[0])}"
    return WORDS.get(hint) or f"`{hint.__name__}`"


def filled(page: str) -> str:
    """The page with its tables made anew: what stands between `<!-- NAME -->` and `<!-- end -->`."""
    for name, text in (("run.json", run_tables()), ("samples", row_table())):
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(END)
        page = before + mark + text + end + after
    return page


def write() -> None:
    """Write page and schema again."""
    write_atomically(DOCS / PAGE, filled((DOCS / PAGE).read_text("utf-8")))
    write_atomically(DOCS / SCHEMA_FILE, json.dumps(json_schema(), indent=1) + "\n")


if __name__ == "__main__":
    write()
