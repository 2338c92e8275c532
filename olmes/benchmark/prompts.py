"""Chat prompts in the protocol's way (reference `fewshot_context`, docs/protocol.md, section 2.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from olmes.types import Message


def join_with_space(left: str, right: str) -> str:
    """Both parts stripped and joined with one space, so that a turn never starts with a space."""
    return " ".join(filter(None, (left.strip(), right.strip())))


def without_prefill(text: str, prefill: str) -> str:
    """A user turn without a trailing `prefill`, which the model's own turn begins with."""
    return re.sub(r"\s*" + re.escape(prefill) + r"\s*$", "", text) if prefill else text


def chat(
    question: str,
    *,
    exemplars: Sequence[tuple[str, str]] = (),
    description: str = "",
    final: str = "",
    prefill: str = "",
) -> tuple[Message, ...]:
    """A multi-turn chat: each exemplar a user and an assistant turn, then the question.

    `description` stands before the first user turn only; `final` ends every user turn; an assistant
    turn is the prefill and the answer, both stripped, joined with one space.
    """
    turns: list[Message] = []
    for number, (asked, answered) in enumerate(exemplars):
        text = (description if number == 0 else "") + without_prefill(asked, prefill) + final
        turns.append({"role": "user", "content": text})
        turns.append({"role": "assistant", "content": join_with_space(prefill, answered)})
    asked = ("" if exemplars else description) + question
    # With no exemplars the reference leaves the prefill in the user turn as well
    # (docs/protocol.md, section 2.2).
    asked = without_prefill(asked, prefill) if exemplars else asked
    turns.append({"role": "user", "content": asked + final})
    return tuple(turns)
