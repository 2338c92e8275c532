"""How a model is run and asked, where a user may choose; the same for every backend."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from olmes.errors import OlmesError
from olmes.reasoning import ANY, Marks, Reader, parse_marks
from olmes.types import JsonObject

Thinking = Literal["auto", "on", "off"]
PLAIN = "plain"
"""The chat template that is none: the turns' texts one after another, as base models are asked."""
THINKING_BUDGET = 32_768
"""Tokens a thought may take where nobody says how many (OLMo 3's report, arXiv 2512.13961, A.8); less
where the model's window has less room."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a model is asked. What is given is part of the record's `model.engine` and of the identity.

    Raises:
        OlmesError: a value does not fit.
    """

    thinking: Thinking = "auto"
    """Whether a model that can think does; `auto` leaves it to its chat template, or to the server."""
    thinking_budget: int | None = None
    """Tokens a thought may take, on top of the answer's own limit; None: `THINKING_BUDGET`."""
    reasoning_tags: str | None = None
    """The marks round a thought (`olmes.reasoning.parse_marks`); None: the model's own."""
    chat_template: str | None = None
    """A template's file, the name of a bundled one, or `plain`; None: the checkpoint's own."""
    template_args: Mapping[str, Any] = field(default_factory=dict)
    """Further variables of the chat template."""
    request_body: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the requests to a server."""
    trust_remote_code: bool = False
    """Whether code that lies in the model's folder may be run."""
    adapter: str | None = None
    """An adapter's folder or repository, applied to the model's weights."""

    def __post_init__(self) -> None:
        """Refuse what does not fit."""
        if self.thinking not in get_args(Thinking):
            raise OlmesError(f"--thinking {self.thinking}: choose one of on, off, auto.")
        if self.thinking_budget is not None and self.thinking_budget < 1:
            raise OlmesError(f"--thinking-budget is {self.thinking_budget}; give 1 token or more.")
        if self.reasoning_tags is not None:
            parse_marks(self.reasoning_tags)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Asking:
        """The inverse of `to_json`.

        Raises:
            OlmesError: a field is unknown, or a value does not fit.
        """
        known = [one.name for one in fields(cls)]
        if unknown := sorted(row.keys() - set(known)):
            raise OlmesError(
                f"how a model is asked has no '{unknown[0]}'; choose of {', '.join(known)}."
            )
        return cls(**row)

    @classmethod
    def of(cls, given: Asking | Mapping[str, Any]) -> Asking:
        """What is given as an object, or as its fields by name.

        Raises:
            OlmesError: as `from_json`.
        """
        return given if isinstance(given, Asking) else cls.from_json(given)

    def anywhere(self) -> Asking:
        """The same, its files named so that another working folder finds them."""
        template, adapter = self.chat_template, self.adapter
        # The name of a bundled template is no path, even beside a file of that name.
        if template and Path(template).suffix and Path(template).expanduser().is_file():
            template = str(Path(template).expanduser().absolute())
        if adapter and Path(adapter).expanduser().is_dir():
            adapter = str(Path(adapter).expanduser().absolute())
        return replace(self, chat_template=template, adapter=adapter)

    def reader(self, own: tuple[Marks, ...] = (), *, opened: bool = False) -> Reader:
        """How responses are read, by the user's word or else by the model's `own` marks.

        Args:
            own: marks that the model is known to write; none where nothing is known.
            opened: whether the prompt opens the thought.
        """
        if self.reasoning_tags is not None:
            return Reader(parse_marks(self.reasoning_tags), known=True, opened=opened)
        return Reader(own, known=True, opened=opened) if own else ANY

    def to_json(self) -> JsonObject:
        """A JSON object of what was given; empty where nothing was."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value != getattr(ASKED, name)}


ASKED = Asking()
"""Where nothing is given."""


class EngineOptions(TypedDict):
    """How a model is run; None leaves it to the engine."""

    dtype: str | None
    device: str | None
    batch_size: int | None
    """Responses generated together; of a server: requests at once."""
    max_length: int | None
    """Window in tokens."""
    asking: Asking


def parse_values(pairs: Iterable[str], option: str) -> JsonObject:
    """`K=V` pairs as an object; `K.L=V` reaches into an object, and V is JSON where it can be.

    Raises:
        OlmesError: a pair has no `=`, or reaches into what is no object.
    """
    found: JsonObject = {}
    for pair in pairs:
        key, sign, written = pair.partition("=")
        if not sign or not key.strip("."):
            raise OlmesError(f"{option} {pair}: write K=V, such as {option} effort=low.")
        try:
            value = json.loads(written)
        except ValueError:
            value = written
        *path, last = key.split(".")
        inside = found
        for name in path:
            inside = inside.setdefault(name, {})
            if not isinstance(inside, dict):
                raise OlmesError(f"{option} {pair}: {name} is a value already; give it once.")
        inside[last] = value
    return found
