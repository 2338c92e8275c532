"""Chats as plain text, for models that know no chat template: the protocol's few-shot text.

An exemplar is a question and its answer, and a blank line stands between exemplars, as the reference
writes them where there is no chat (docs/protocol.md, section 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from olmes.types import Message

CUES = (":", "：")
"""A question that ends with one of these names what follows it, on the same line."""
BETWEEN = "\n\n"


def plain_text(messages: Sequence[Message], prefill: str) -> str:
    """The turns' texts one after another, and the beginning of the answer.

    Where exemplars show how an answer begins, so does the question's end: behind its cue, or on a
    line of its own.
    """
    text, answered = "", False
    for message in messages:
        content = message["content"].strip()
        if message["role"] == "assistant":
            text, answered = text + gap(text) + content, True
        else:
            text += BETWEEN + content if text else content
    if prefill:
        # Without exemplars the protocol has the prefill in the question as well.
        return text if text.endswith(prefill.strip()) else text + gap(text) + prefill
    return text + ("\n" if answered and gap(text) == "\n" else "")


def gap(text: str) -> str:
    """What stands between a question and its answer."""
    if not text:
        return ""
    return " " if text.endswith(CUES) else "\n"


def next_question(messages: Sequence[Message]) -> str:
    """What would begin another exemplar: a blank line and the words before the first colon.

    A chat's turn ends with a token; a model that knows none goes on with a question of its own. ''
    where the questions do not begin alike.
    """
    asked = [message["content"].strip() for message in messages if message["role"] == "user"]
    first, colon, _ = asked[-1].partition(":") if asked else ("", "", "")
    if len(asked) < 2 or not colon or "\n" in first:
        return ""
    # A description may stand before the first question.
    alike = all(question.startswith(first + colon) for question in asked[1:])
    return BETWEEN + first + colon if alike else ""
