"""Typed values as JSON values: structs, dataclasses, and whatever says itself what it is as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from olmes.tools.jsonl import compact_json


def as_json(value: Any) -> Any:
    """A value as JSON; a type with a `to_json` of its own goes by that, wherever it is nested."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    found = one_level(value)
    if isinstance(found, dict):
        return {key: as_json(member) for key, member in found.items()}
    return found if isinstance(found, str) else [as_json(member) for member in found]


def one_level(value: Any) -> Any:
    """A value that is not JSON by itself as a dict, a list or a text; its members as they are."""
    if hasattr(value, "to_json"):
        found = value.to_json()
        return found if isinstance(found, (str, dict, list)) else one_level(found)
    if isinstance(value, msgspec.Struct):
        members = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: member for name, member in members.items() if member is not msgspec.UNSET}
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return str(value) if isinstance(value, PurePath) else list(value)


def json_bytes(value: Any) -> bytes:
    """`as_json` of a value, encoded: several times as fast where much of it is JSON already.

    NaN and infinities become null.
    """
    import orjson

    try:
        return orjson.dumps(value, default=one_level, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except TypeError:  # a lone surrogate, say
        return compact_json(as_json(value))
