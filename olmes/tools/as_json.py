"""Typed values as JSON values: structs, dataclasses, and whatever says itself what it is as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec


def as_json(value: Any) -> Any:
    """A value as JSON; a type with a `to_json` of its own goes by that, wherever it is nested."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if hasattr(value, "to_json"):
        return as_json(value.to_json())
    if isinstance(value, msgspec.Struct):
        return {name: as_json(getattr(value, name)) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value):
        return {one.name: as_json(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: as_json(member) for key, member in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    return [as_json(member) for member in value]
