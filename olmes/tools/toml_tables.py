"""From a TOML table to a frozen dataclass, every key and type checked.

A field may be a bool, an int, a float, a text, one of several words (`Literal`), a tuple of texts, a
mapping from names to a dataclass or to anything, another dataclass, one of these or None, or
`int | float`, which stays as it is written. `Annotated[float, Bounds(above=0)]` says which numbers
are meant; without bounds a number need only be finite.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from olmes.errors import OlmesError
from olmes.tools.near_names import nearest

T = TypeVar("T")
TomlValue: TypeAlias = (
    "bool | int | float | str | datetime | date | time | list[TomlValue] | dict[str, TomlValue]"
)
TomlTable: TypeAlias = "dict[str, TomlValue]"
PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Which numbers a field takes: those within all bounds that are given."""

    least: float | None = None
    """The least of them."""
    above: float | None = None
    """All are greater."""
    below: float | None = None
    """All are smaller."""
    most: float | None = None
    """The greatest of them."""

    def hold(self, value: float) -> bool:
        """Whether a number is one of them; what is no number (NaN) never is."""
        return (
            math.isfinite(value)
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.most is None or value <= self.most)
        )

    def __str__(self) -> str:
        """In words: "above 0", "of at least 0 and below 1"."""
        bounds = (
            ("of at least", self.least), ("above", self.above),
            ("below", self.below), ("of at most", self.most),
        )  # fmt: skip
        words = [f"{name} {bound:.10g}" for name, bound in bounds if bound is not None]
        return " and ".join(words) or "that is finite"


PositiveInt: TypeAlias = Annotated[int, Bounds(above=0)]
Positive: TypeAlias = Annotated[float, Bounds(above=0)]
NotNegative: TypeAlias = Annotated[float, Bounds(least=0)]
ShareBelowOne: TypeAlias = Annotated[float, Bounds(least=0, below=1)]
FINITE = Bounds()


def read_toml(path: Path) -> TomlTable:
    """The tables of a TOML file.

    Raises:
        OlmesError: it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise OlmesError(f"{path} does not exist; check the path.") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OlmesError(f"{path} is not TOML ({error}); fix the file.") from None


def build(default: T, table: Mapping[str, TomlValue], where: str, key: str = "") -> T:
    """`default` with the fields that a table gives replaced.

    Args:
        default: a dataclass instance; its nested dataclasses are the defaults of nested tables.
        table: what the file says.
        where: the file, for messages.
        key: the table's own key, for messages; '' for the whole file.

    Raises:
        OlmesError: an unknown key or a value of another type; the message names file and key.
    """
    owner = type(default)
    known = {f.name for f in dataclasses.fields(owner)}  # type: ignore[arg-type]
    aliases: Mapping[str, str] = getattr(owner, "ALIASES", {})
    hints = typing.get_type_hints(owner, include_extras=True)
    found: dict[str, Any] = {}
    for written, value in table.items():
        full = f"{key}.{written}" if key else written
        name = aliases.get(written, written)
        if name in found:
            raise OlmesError(f"{where}: '{full}' is another name of '{name}'; give one of them.")
        if name not in known:
            near = nearest(name, known)
            advice = f"did you mean '{near}'?" if near else f"known are {', '.join(sorted(known))}."
            raise OlmesError(f"{where}: unknown key '{full}'; {advice}")
        found[name] = convert(value, hints[name], getattr(default, name), where, full)
    try:
        return dataclasses.replace(default, **found)  # type: ignore[type-var]
    except OlmesError as error:  # what a dataclass's own check says
        raise OlmesError(f"{where}: {key + ': ' if key else ''}{error}") from None


def convert(value: Any, kind: Any, default: Any, where: str, key: str) -> Any:
    """`value` as a field of type `kind`.

    Raises:
        OlmesError: it is of another type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        found = convert(value, arguments[0], default, where, key)
        for bounds in arguments[1:]:
            check_bounds(found, bounds, where, key)
        return found
    if origin in (typing.Union, types.UnionType):
        return convert_union(value, arguments, default, where, key)
    if dataclasses.is_dataclass(kind):
        if isinstance(value, Mapping):
            make: Any = kind
            return build(make() if default is None else default, value, where, key)
        raise OlmesError(f"{where}: '{key}' must be a table, not {value!r}; write [{key}].")
    return convert_value(value, kind, where, key)


def convert_value(value: Any, kind: Any, where: str, key: str) -> Any:
    """`value` as a field of one type that is neither a table of its own nor one of several.

    Raises:
        OlmesError: it is of another type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value in arguments and not isinstance(value, bool):
            return value
        words = ", ".join(map(repr, arguments))
        raise OlmesError(f"{where}: '{key}' must be one of {words}, not {value!r}.")
    if origin is tuple:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise OlmesError(f"{where}: '{key}' must be a list of texts, not {value!r}.")
    if origin is not None and issubclass(origin, Mapping):
        return convert_mapping(value, arguments[1], where, key)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        check_bounds(value, FINITE, where, key)
        return float(value)
    if kind is Any or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise OlmesError(f"{where}: '{key}' must be {PLAIN[kind]}, not {value!r}.")


class OutOfBoundsError(OlmesError):
    """A number is not one that its field takes."""

    def __init__(self, text: str, key: str) -> None:
        super().__init__(text)
        self.key = key


def check_bounds(value: float, bounds: Bounds, where: str, key: str) -> None:
    """Refuse a number that its field does not take.

    Raises:
        OutOfBoundsError: it is out of the bounds.
    """
    if not bounds.hold(value):
        raise OutOfBoundsError(f"{where}: '{key}' is {value:g}; give a number {bounds}.", key)


def convert_union(value: Any, kinds: Sequence[Any], default: Any, where: str, key: str) -> Any:
    """`value` as a field of several types: one or None, a number kept as it is written, one or a list.

    Raises:
        OlmesError: as `convert`.
    """
    optional = types.NoneType in kinds
    if value == "none" and optional:  # TOML has no null
        return None
    inner = [kind for kind in kinds if kind is not types.NoneType]
    whole = int in inner and isinstance(value, int)
    lists = [kind for kind in inner if typing.get_origin(kind) is tuple]
    if lists and len(inner) > 1:  # a text, or a list of texts
        inner = lists if isinstance(value, list) else [one for one in inner if one not in lists]
    try:
        return convert(value, int if whole else inner[-1], default, where, key)
    except OutOfBoundsError as error:
        # Where nothing may be given, that is often what an impossible number was meant to say.
        if not optional or error.key != key:  # of a table below this one
            raise
        raise OlmesError(f'{str(error).removesuffix(".")}, or "none".') from None


def convert_mapping(value: Any, member: Any, where: str, key: str) -> dict[str, Any]:
    """A table of names, each with a table of its own when `member` is a dataclass.

    Raises:
        OlmesError: it, or a member, is not a table.
    """
    if not isinstance(value, Mapping):
        raise OlmesError(f"{where}: '{key}' must be a table, not {value!r}; write [{key}].")
    if not dataclasses.is_dataclass(member):
        return dict(value)
    for name, given in value.items():
        if not isinstance(given, Mapping):
            hint = getattr(member, "HINT", "write a table")
            raise OlmesError(
                f"{where}: '{key}.{name}' is {given!r}, which could mean two things; {hint}."
            )
    make: Any = member
    return {name: build(make(), given, where, f"{key}.{name}") for name, given in value.items()}


def override(table: TomlTable, pairs: Mapping[str, str], where: str = "--set") -> TomlTable:
    """The tables of a file with `a.b.c = value` put in; values are read as TOML, else as text.

    Keys with dots of their own are quoted as in TOML: `data."my.jsonl".count=3`.

    Raises:
        OlmesError: a key cannot be read, or leads through something that is not a table.
    """
    changed = dict(table)
    for key, text in pairs.items():
        path = key_parts(key, where)
        inner = changed
        for part in path[:-1]:
            found = inner.get(part, {})
            if not isinstance(found, dict):
                raise OlmesError(f"{where} {key}={text}: '{part}' is not a table; check the key.")
            inner[part] = inner = dict(found)
        inner[path[-1]] = read_value(text)
    return changed


def key_parts(key: str, where: str) -> list[str]:
    """The names that a dotted TOML key leads through.

    Raises:
        OlmesError: it is not written as TOML wants keys.
    """
    try:
        node: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        raise OlmesError(
            f"{where} {key}: write KEY=VALUE, such as optimization.max_steps=10."
        ) from None
    parts: list[str] = []
    while isinstance(node, dict):
        [(name, node)] = node.items()
        parts.append(name)
    return parts


def read_value(text: str) -> TomlValue:
    """`text` as TOML reads a value, or the text itself."""
    try:
        value: TomlValue = tomllib.loads(f"value = {text}")["value"]
        return value
    except tomllib.TOMLDecodeError:
        return text
