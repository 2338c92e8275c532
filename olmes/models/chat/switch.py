"""The variable of a chat template that turns thinking on and off, under whatever name it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from olmes.models.chat.probe import QUESTION, Probe
from olmes.types import JsonObject

THOUGHT = re.compile(r"think|thought|reason")
OTHER = re.compile(
    r"content|history|preserve|keep|clear|past|prev|last|truncate|strip|text|gate|token|tool|prompt"
    r"|start|end$|tag|resolved|format|language"
)
"""In names of variables for something else: thoughts of earlier turns, above all."""
NEGATIVE = re.compile(r"^(skip|disable|no|omit|without|hide|suppress)_?(?=think|thought|reason)")
ON = (
    "on",
    "enabled",
    "enable",
    "true",
    "yes",
    "think",
    "thinking",
    "slow",
    "high",
    "medium",
    "auto",
)
OFF = ("off", "none", "disabled", "disable", "false", "no", "no_think", "nothink", "no_thinking",
       "non-thinking", "non_thinking", "chat", "fast")  # fmt: skip
"""Values that templates take instead of true and false; tried where the template knows them."""


@dataclass(frozen=True)
class Switch:
    """A variable and its values; empty where a template has none."""

    on: JsonObject = field(default_factory=dict)
    off: JsonObject = field(default_factory=dict)

    @property
    def names(self) -> str:
        """Its name."""
        return ", ".join(dict.fromkeys((*self.on, *self.off)))


def find_switch(probe: Probe, given: JsonObject) -> Switch:
    """The switch of a template: a variable named for thinking, whose values make other prompts.

    Args:
        probe: the template.
        given: the template's variables that the user sets.
    """
    whole = probe.render(QUESTION, given)
    for name in sorted(filter(is_switch, probe.variables), key=order):
        rest = {other: value for other, value in given.items() if other != name}
        on, off = values_of(probe, name, rest)
        if on is not None and off is not None:
            return Switch({name: on}, {name: off})
        if off is not None and whole is not None:
            return Switch({}, {name: off})
    return Switch()


def is_switch(name: str) -> bool:
    """Whether a variable's name speaks of thinking now."""
    return bool(THOUGHT.search(name)) and not OTHER.search(name)


def order(name: str) -> tuple[int, str]:
    """Plain switches before those with several values."""
    return (2 if "budget" in name else 1 if re.search("effort|mode|level", name) else 0), name


def values_of(probe: Probe, name: str, rest: JsonObject) -> tuple[Any, Any]:
    """The values of a variable that mean on and off; None each where it has no such value."""
    if "budget" in name:
        return None, 0 if differ(probe, name, rest, 0, 1024) else None
    # A template may give the variable another name first: any that speaks of thinking is meant.
    compared = probe.compared_with(lambda one: bool(THOUGHT.search(one)))
    words = {word.lower(): word for word in compared}
    off = next(known(words, OFF), None)
    if "effort" in name or (off is not None and differ(probe, name, rest, off, True)):
        return next(known(words, ON), None), off
    if not differ(probe, name, rest, True, False):
        return None, None
    return (False, True) if NEGATIVE.search(name) else (True, False)


def known(words: dict[str, str], wanted: tuple[str, ...]) -> Iterator[str]:
    """The wanted words that a template's code holds, as it writes them."""
    return (words[word] for word in wanted if word in words)


def differ(probe: Probe, name: str, rest: JsonObject, first: Any, second: Any) -> bool:
    """Whether two values of a variable make two prompts."""
    texts = [probe.render(QUESTION, {**rest, name: value}) for value in (first, second)]
    return None not in texts and texts[0] != texts[1]
