"""What a person said in a row of training data, whatever shape the row has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHATS = ("messages", "conversations", "conversation", "prompt", "chosen")
"""Where a row has turns, the first that it has."""
PLAIN = ("prompt", "instruction", "question", "problem", "query", "input", "text")
"""Where it has none."""
PERSON = ("user", "human", "prompter")
ROLE, CONTENT = ("role", "from"), ("content", "value")


def user_turns(row: Mapping[str, Any], fields: Sequence[str] = ()) -> list[str]:
    """The texts of a row that a model is asked with, each turn by itself.

    Args:
        row: of any of the shapes that trainings read: turns with roles, or texts in fields.
        fields: read these alone, as turns or texts; without them the known ones.
    """
    for name in fields or CHATS:
        turns = row.get(name)
        listed = turns if isinstance(turns, Sequence) and not isinstance(turns, str) else ()
        if said := [text for turn in listed if (text := said_by_person(turn))]:
            return said
    texts = (row.get(name) for name in fields or PLAIN)
    return [text for text in texts if isinstance(text, str) and text]


def said_by_person(turn: Any) -> str:
    """The text of a turn, where a person said it; '' else."""
    if not isinstance(turn, Mapping):
        return ""
    role = next((turn[name] for name in ROLE if name in turn), "")
    text = next((turn[name] for name in CONTENT if name in turn), "")
    return text if role in PERSON and isinstance(text, str) else ""
