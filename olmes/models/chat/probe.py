"""A chat template tried out: what it writes behind a question, and by which variables.

Templates come from anywhere, and are rendered in jinja2's sandbox with what transformers gives them
(`transformers.utils.chat_template_utils`), whose import takes seconds. What a model is asked is always
rendered by transformers itself; here a template is only looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from olmes.models.chat.templates import json_of
from olmes.types import Message

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

ASKED = "Which of the two is larger?"
GIVEN = "Answer in one word only."
QUESTION: tuple[Message, ...] = ({"role": "user", "content": ASKED},)
WITH_SYSTEM: tuple[Message, ...] = ({"role": "system", "content": GIVEN}, *QUESTION)
OWN = frozenset({"messages", "add_generation_prompt", "tools", "documents", "raise_exception"})
"""Variables that a template always gets."""
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")


@dataclass(frozen=True)
class Probe:
    """A template that is looked at."""

    template: str
    special_tokens: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tree(self) -> nodes.Template | None:
        """The template, parsed; None where it does not parse."""
        from jinja2 import TemplateError

        try:
            return environment().parse(self.template)
        except TemplateError:
            return None

    @cached_property
    def compiled(self) -> Template:
        """The template, compiled."""
        return environment().from_string(self.template)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names a caller may set, besides those that a template always gets."""
        from jinja2 import meta

        if self.tree is None:
            return frozenset()
        return frozenset(meta.find_undeclared_variables(self.tree)) - OWN - {*SPECIAL_TOKENS}

    def compared_with(self, names: Callable[[str], bool]) -> frozenset[str]:
        """The strings that the template holds against variables of some names."""
        from jinja2 import nodes

        found: set[str] = set()
        for compared in self.tree.find_all(nodes.Compare) if self.tree else ():
            if any(names(one.name) for one in compared.find_all(nodes.Name)):
                values = (one.value for one in compared.find_all(nodes.Const))
                found |= {value for value in values if isinstance(value, str)}
        return frozenset(found)

    def render(self, messages: tuple[Message, ...], variables: Mapping[str, Any]) -> str | None:
        """A chat as text; None where the template refuses it."""
        from jinja2 import TemplateError

        try:
            return str(
                self.compiled.render(
                    messages=[dict(message) for message in messages],
                    tools=None,
                    documents=None,
                    add_generation_prompt=True,
                    **{**self.special_tokens, **variables},
                )
            )
        # A template may do anything with what it is given: index it, add it, divide by it.
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            return None

    def ending(self, variables: Mapping[str, Any]) -> str:
        """What the template writes behind a question."""
        text = self.render(QUESTION, variables) or ""
        return text.rpartition(ASKED)[2]

    def has_system_turn(self, variables: Mapping[str, Any]) -> bool:
        """Whether the template writes a system turn; one may refuse it, and one may drop it."""
        return GIVEN in (self.render(WITH_SYSTEM, variables) or "")


def probe_of(template: str, folder: Path) -> Probe:
    """A probe with the special tokens that a checkpoint's files name."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        values = json_of(folder / name)
        for token in SPECIAL_TOKENS:
            value = values.get(token)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str):
                found[token] = text
    return Probe(template, found)


def environment() -> Environment:
    """The sandbox in which templates are read."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Marked(Extension):
        """`{% generation %}` marks what the assistant says; here it is text like any other."""

        tags = {"generation"}  # noqa: RUF012 (as its base declares it)

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, **given: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **given)

    found = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Marked, loopcontrols]
    )
    found.filters["tojson"] = to_json
    found.globals["raise_exception"] = refuse
    found.globals["strftime_now"] = lambda form: str(form)
    return found
