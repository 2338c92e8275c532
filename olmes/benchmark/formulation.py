"""A formulation: everything that fixes a prompt and a score, and its hash.

Two results can be compared when their formulation hashes are equal. `--set task.field=value`
replaces fields; a formulation that is not the task's own is marked non-standard wherever its
numbers appear.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from olmes.errors import OlmesError
from olmes.reasoning.split import Way
from olmes.types import Generation


@dataclass(frozen=True, kw_only=True)
class Formulation:
    """The settings every task has. A task that needs more subclasses this and adds typed fields."""

    generation: Generation
    version: int = 1
    """Raised whenever a change makes old and new numbers incomparable."""
    shots: int = 0
    """Exemplars before the question."""
    exemplars: str = ""
    """Where the exemplars come from, and the hash they were checked by."""
    description: str = ""
    """Text before the first question."""
    question: str = ""
    """Template of a user turn, filled with the fields of the item."""
    answer: str = ""
    """Template of an exemplar's assistant turn."""
    final: str = ""
    """Text after every question."""
    prefill: str = ""
    """First words of the model's own turn."""
    multiturn: bool = True
    """Exemplars as turns of a chat (True) or all in one user turn (False)."""
    extract: tuple[str, ...] = ()
    """Regular expressions that find the answer, first to last."""
    aggregate: Literal["micro", "macro", "nested"] = "micro"
    """Mean over items (micro) or unweighted mean over sub-tasks (macro). Nested is a macro average to
    which sub-tasks with one name before a colon (`wildjailbreak:harmful`, `wildjailbreak:benign`) add
    one number, their own unweighted mean."""
    system: str = ""
    """A system turn before every chat."""
    reasoning: Way = "trimmed"
    """How the answer is cut out of a response with a thought (`olmes.reasoning.split.Way`)."""

    def replaced(self, settings: Mapping[str, Any]) -> Self:
        """This formulation with fields replaced; `max_tokens` and the like reach into `generation`.

        `settings` maps a field, `generation.FIELD` or a field of `Generation` to its value: a
        string from the command line (parsed by the field's type) or a value of that type.

        Raises:
            OlmesError: there is no such field, or the value does not parse.
        """
        own: dict[str, Any] = {}
        generation: dict[str, Any] = {}
        own_fields = {f.name for f in dataclasses.fields(self)} - {"generation"}
        generation_fields = {f.name for f in dataclasses.fields(Generation)}
        for key, value in settings.items():
            name = key.removeprefix("generation.")
            if name in own_fields and name == key:
                own[name] = parse_field(type(self), name, value)
            elif name in generation_fields:
                generation[name] = parse_field(Generation, name, value)
            else:
                known = ", ".join(sorted(own_fields | generation_fields))
                raise OlmesError(f"there is no setting '{key}'; choose one of {known}.")
        for pattern in own.get("extract", ()):
            try:
                re.compile(pattern)
            except re.error as error:
                raise OlmesError(
                    f"'{pattern}' is not a regular expression ({error}); correct the setting 'extract'."
                ) from None
        if generation:
            own["generation"] = dataclasses.replace(self.generation, **generation)
        return dataclasses.replace(self, **own)

    def to_json(self) -> dict[str, Any]:
        """A JSON object: a later field where it is set, so that what leaves it out keeps its hash."""
        found = dataclasses.asdict(self)
        for name, default in LATER_FIELDS.items():
            if found[name] == default:
                del found[name]
        return found | {"generation": self.generation.to_json()}


LATER_FIELDS = {"system": "", "reasoning": "trimmed"}


def parse_field(owner: type, name: str, value: Any) -> Any:
    """`value` as the type that dataclass `owner` declares for field `name`.

    Strings are parsed; a tuple of strings is written with `|` between its members.

    Raises:
        OlmesError: the value does not fit the type.
    """
    kind = typing.get_type_hints(owner)[name]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        if value is None or value == "none":
            return None
        kind = next(arg for arg in typing.get_args(kind) if arg is not type(None))
    origin = typing.get_origin(kind)
    try:
        if origin is Literal:
            if value in typing.get_args(kind):
                return value
            raise ValueError(
                f"one of {', '.join(str(one) or repr(one) for one in typing.get_args(kind))}"
            )
        if origin is tuple:
            return tuple(value.split("|") if isinstance(value, str) and value else value or ())
        if kind is bool:
            if str(value).lower() in ("true", "false", "1", "0"):
                return str(value).lower() in ("true", "1")
            raise ValueError("true or false")
        if kind is int and isinstance(value, float):
            raise ValueError("a whole number")
        return kind(value)
    except (TypeError, ValueError) as error:
        expected = getattr(kind, "__name__", str(kind))
        raise OlmesError(
            f"'{value}' does not fit the setting '{name}' ({expected}): {error}."
        ) from None
