"""A benchmark's constraints by instruction id, built from items with every argument checked.

A missing or ill-typed argument is an error that names item, instruction and argument. The reference
fills it with a random default, so that two runs score one answer against two different demands.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Generic, Literal, TypeVar

from olmes.errors import OlmesError
from olmes.scoring.constraints.base import Constraint
from olmes.tools.hashing import canonical_json

C = TypeVar("C", bound=Constraint)


class Catalog(Generic[C]):
    """The constraint classes of one benchmark."""

    def __init__(self, *kinds: type[C]) -> None:
        self.kinds = {kind.id: kind for kind in kinds}
        if len(self.kinds) != len(kinds):
            raise ValueError("two constraints of a catalog have the same id")
        self._built = lru_cache(maxsize=4096)(self._build_item)

    def item(
        self, ids: Sequence[str], kwargs: Sequence[Mapping[str, Any]], key: object = ""
    ) -> tuple[C, ...]:
        """The constraints of one item, built once for equal ids and arguments.

        Args:
            ids: the item's `instruction_id_list`.
            kwargs: the item's `kwargs`: the arguments of each instruction, None meaning absent.
            key: the item's key, for the message.

        Raises:
            OlmesError: no such id; an argument is missing, unknown, of another type or out of range.
        """
        try:
            return self._built(canonical_json([list(ids), list(kwargs)]))
        except OlmesError as error:
            raise OlmesError(f"item {key}: {error}") from None

    def _build_item(self, item: bytes) -> tuple[C, ...]:
        ids, kwargs = json.loads(item)
        if len(ids) != len(kwargs):
            raise OlmesError(
                f"{len(ids)} instructions have {len(kwargs)} sets of arguments; correct the row."
            )
        return tuple(self.build(*pair) for pair in zip(ids, kwargs, strict=True))

    def build(self, id: str, arguments: Mapping[str, Any]) -> C:  # noqa: A002
        """The constraint `id` with these arguments, None meaning absent.

        Raises:
            OlmesError: as `item`.
        """
        if id not in self.kinds:
            raise OlmesError(
                f"there is no instruction '{id}'; choose one of {', '.join(sorted(self.kinds))}."
            )
        types = argument_types(self.kinds[id])
        given = {name: value for name, value in arguments.items() if value is not None}
        if unknown := given.keys() - types.keys():
            raise OlmesError(
                f"{id} has no argument '{min(unknown)}'; it takes {', '.join(types) or 'none'}."
            )
        if missing := types.keys() - given.keys():
            raise OlmesError(
                f"{id} needs the argument '{min(missing)}'; add it to the item's kwargs."
            )
        try:
            return self.kinds[id](**{k: converted(k, given[k], kind) for k, kind in types.items()})
        except OlmesError as error:
            raise OlmesError(f"{id}: {error}") from None


@cache
def argument_types(kind: type[Constraint]) -> dict[str, Any]:
    """Name and type of every argument of a constraint."""
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}  # type: ignore[arg-type]


def converted(name: str, value: Any, kind: Any) -> Any:
    """`value` as an argument of type `kind`: a count, a text, texts, or one of several words.

    Some files write counts as 3.0, which is taken for 3.

    Raises:
        OlmesError: the value is of another type.
    """
    if kind is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if whole and not isinstance(value, bool) and value >= 0:
            return int(value)
        wanted = "a count of 0 or more"
    elif kind is str:
        if isinstance(value, str):
            return value
        wanted = "a text"
    elif typing.get_origin(kind) is tuple:
        if isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
            return tuple(value)
        wanted = "a list of texts"
    else:
        assert typing.get_origin(kind) is Literal
        if value in typing.get_args(kind):
            return value
        wanted = " or ".join(repr(word) for word in typing.get_args(kind))
    raise OlmesError(
        f"the argument '{name}' must be {wanted}, not {value!r}; correct the item's kwargs."
    )
