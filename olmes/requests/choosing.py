"""Which of a task's items are asked: a number of them, a share, or those that are named."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from olmes.errors import OlmesError
from olmes.types import Instance

Limit = int | float
"""Items a task; below 1 the share of each task's."""
RANGE = re.compile(r"(?P<place>.*/)?(?P<first>\d+)(-(?P<last>\d+))?", re.DOTALL)
MOST = 100_000
"""Items that a range may name."""


def check_limit(limit: Limit | None) -> None:
    """Refuse a limit that is neither a number of items nor a share.

    Raises:
        OlmesError: it is below 0, 0, or a number with a part behind the point.
    """
    if limit is None or (isinstance(limit, int) and limit >= 1) or 0 < limit < 1:
        return
    raise OlmesError(
        f"--limit must be 1 or more items a task, or a share of them between 0 and 1 (such as 0.1), "
        f"not {limit}."
    )


def count_of(limit: Limit, items: int) -> int:
    """How many of `items` a limit keeps: of a share the next whole number, so that there is one."""
    if isinstance(limit, int):
        return min(limit, items)
    return math.ceil(Fraction(str(limit)) * items)


@dataclass(frozen=True, slots=True)
class Named:
    """Items as a user names them: rows of the official file, of one task or sub-task or of any."""

    written: str
    place: str
    """`TASK/SUBTASK`, `TASK`, `SUBTASK`, or '' for any."""
    first: int
    last: int

    def names(self, instance: Instance) -> bool:
        """Whether an instance is one of them."""
        full = f"{instance.task}/{instance.subtask}".rstrip("/")
        return self.first <= instance.doc_id <= self.last and (
            self.place in ("", full, instance.task, instance.subtask)
        )


def parse_items(written: str | Sequence[str], option: str = "--items") -> tuple[Named, ...]:
    """`3,17`, `3-9`, `gsm8k/17`, `mmlu/anatomy/3-9` as what they name.

    Args:
        written: with commas, or one by one.
        option: what an error names.

    Raises:
        OlmesError: a word is neither a row nor an item's id, or none is there.
    """
    words = [written] if isinstance(written, str) else written
    found = []
    for word in (part.strip() for one in words for part in one.split(",")):
        if not word:
            continue
        read = RANGE.fullmatch(word)
        if read is None:
            raise OlmesError(
                f"{option} {word}: write row numbers, such as 0,1,7 or 3-9, or items' ids as pages "
                "show them, such as gsm8k/17."
            )
        first, last = int(read["first"]), int(read["last"] or read["first"])
        if not 0 <= last - first < MOST:
            raise OlmesError(f"{option} {word}: write a range as FIRST-LAST, such as 3-9.")
        found.append(Named(word, (read["place"] or "").rstrip("/"), first, last))
    if words and not found:
        raise OlmesError(f"{option} names no item; write row numbers, such as 0,1,7 or 3-9.")
    return tuple(found)


def chosen(
    instances: Sequence[Instance], named: Sequence[Named], option: str = "--items"
) -> list[Instance]:
    """The instances that are named, in the order of the names.

    Args:
        instances: of one task.
        named: of any tasks.
        option: what an error names.

    Raises:
        OlmesError: a row that is named of this task is not there, or none is named.
    """
    task = instances[0].task if instances else ""
    places = {one.subtask for one in instances} | {one.id.rpartition("/")[0] for one in instances}
    own = [one for one in named if one.place in ("", task) or one.place in places]
    if not own:
        raise OlmesError(
            f"{option} names no item of {task}; leave the task out, or name one, such as "
            f"{instances[0].id}."
        )
    for one in own:
        there = {each.doc_id for each in instances if one.names(each)}
        if missing := sorted(set(range(one.first, one.last + 1)) - there):
            raise OlmesError(
                f"{option} {one.written}: there is no document {missing[0]} of {task}; the last row "
                f"is {max(each.doc_id for each in instances)}."
            )
    return list({each.id: each for one in own for each in instances if one.names(each)}.values())


def check_places(named: Sequence[Named], instances: Sequence[Instance]) -> None:
    """Refuse a name of a task or sub-task that none of the instances is of.

    Raises:
        OlmesError: there is one.
    """
    tasks = {one.task for one in instances}
    known = {"", *tasks, *(one.subtask for one in instances)}
    known |= {one.id.rpartition("/")[0] for one in instances}
    for one in named:
        if one.place not in known:
            raise OlmesError(
                f"--items {one.written}: '{one.place}' is not a task or sub-task of this run "
                f"({', '.join(sorted(tasks))})."
            )
