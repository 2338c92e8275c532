"""What an item asks and what answers it, as its file says it, to be compared with other texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from olmes.types import Doc

if TYPE_CHECKING:
    from olmes.benchmark.task import Task


def texts_of(doc: Doc, fields: Sequence[str]) -> list[str]:
    """The texts of some fields of an item, in their order; of lists and objects each text in them.

    Args:
        doc: the item; a field that it lacks has none.
        fields: their names.
    """
    return [text for field in fields for text in texts_in(doc.get(field)) if text.strip()]


def texts_in(value: Any) -> Iterator[str]:
    """Each text in a JSON value; of objects whose values are no texts (labels by text) the keys."""
    left = [value]
    while left:  # and no recursion: how deep an item is, is its author's choice
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            inner = list(one.values())
            numbers = all(isinstance(each, int | float) for each in inner)
            left += reversed(list(one) if numbers else inner)
        elif isinstance(one, list | tuple):
            left += reversed(one)


def prompt_of(task: Task, doc: Doc) -> str:
    """What an item is asked with: the last turn, which no exemplar is; '' where it cannot be made."""
    try:
        request = task.request(doc)
    except Exception:  # of a package's task: `olmes check` names the item
        return ""
    return request.messages[-1]["content"] if request.messages else request.prompt or ""
