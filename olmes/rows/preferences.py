"""A row of preferences, of whichever shape it came in, as the one shape that is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from olmes.errors import OlmesError
from olmes.rows.chats import Turn, WholeTurn, chat, columns, tools_of, whole_chat

Row = Mapping[str, Any]
"""A row as a file or the hub has it."""


class PreferenceRow(TypedDict):
    """A preference between two answers, each a list of one turn."""

    prompt: list[Turn]
    chosen: list[Turn]
    rejected: list[Turn]
    more: str
    """What else a template reads of it (`chats.columns`)."""


QUESTIONS = ("prompt", "conversations", "messages", "instruction", "question", "query")
"""Keys of what two answers are for, most telling first."""


def preference_row(row: Row) -> PreferenceRow:
    """The preference of a row.

    Read as well: entire chats under `chosen` and `rejected` that differ in their last turn only.

    Raises:
        OlmesError: a part is missing, or the two chats have different beginnings.
    """
    shape = OlmesError("a preference has 'prompt', 'chosen' and 'rejected'")
    if not {"chosen", "rejected"} <= row.keys():
        raise shape
    chosen, rejected = (answer(row[side], side) for side in ("chosen", "rejected"))
    if len(chosen) > 1:
        prompt = chosen[:-1]
        if rejected[:-1] != prompt:
            raise OlmesError("'chosen' and 'rejected' must be equal but for their last turn")
        chosen, rejected = chosen[-1:], rejected[-1:]
    elif name := next((key for key in QUESTIONS if row.get(key)), None):
        prompt = asked(row, name)
    else:
        raise shape
    if any(turns[-1]["role"] != "assistant" for turns in (chosen, rejected)):
        raise OlmesError("the last turn of 'chosen' and 'rejected' must be the assistant's")
    sides = {"prompt": with_system(prompt, row), "chosen": chosen, "rejected": rejected}
    held, more = columns(sides, tools_of(row.get("tools")))
    return {
        "prompt": held["prompt"], "chosen": held["chosen"], "rejected": held["rejected"],
        "more": more,
    }  # fmt: skip


def answer(value: Any, name: str) -> list[WholeTurn]:
    """A chat that ends with an answer; a bare text is the answer alone.

    Raises:
        OlmesError: it is something else.
    """
    if isinstance(value, str):
        return [{"role": "assistant", "content": value}]
    return chat(value, name)


def asked(row: Row, name: str) -> list[WholeTurn]:
    """What a row asks: a chat, or a text; Alpaca's `input` stands behind its instruction.

    Raises:
        OlmesError: it is something else.
    """
    value = row[name]
    if name == "instruction" and isinstance(value, str) and row.get("input"):
        value = f"{value}\n\n{row['input']}"
    return chat(value, name)


def with_system(turns: list[WholeTurn], row: Row) -> list[WholeTurn]:
    """The turns behind the row's own `system`, where it has one beside them."""
    system = row.get("system")
    if not isinstance(system, str) or not system or turns[0]["role"] == "system":
        return turns
    return [{"role": "system", "content": system}, *turns]


def undecided(row: PreferenceRow) -> str:
    """Why nothing is preferred in a row; '' where something is."""
    chosen, rejected = whole_chat(row, "chosen"), whole_chat(row, "rejected")
    if chosen == rejected:
        return "their two answers are the same"
    if not chosen[-1]["content"].strip() and "tool_calls" not in chosen[-1]:
        return "the chosen answer is empty"
    return ""
