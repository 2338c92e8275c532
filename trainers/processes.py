"""Several processes that train together: who is first, what it decides, and where all meet.

Two rules. What is written once is written by the first process, and nobody goes on before it is
there. What branches round work that all processes share is decided by the first and told to the
others. What a machine keeps (a cache in its own home) is made by whoever holds its lock, so that it
does not matter whether processes share a home.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from olmes.errors import OlmesError

T = TypeVar("T")


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together, over all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the first of the processes that train together."""
    return rank() == 0


def launched() -> bool:
    """Whether this process is one of several that train together."""
    return "LOCAL_RANK" in os.environ


@dataclass(frozen=True, slots=True)
class Failure:
    """What the first process raised, for the others to raise as well."""

    text: str


def told(what: str, decide: Callable[[], T]) -> T:  # noqa: ARG001
    """What the first process decides, in every process; nobody goes on before it has.

    Args:
        what: what is waited for, as the others say it.
        decide: called in the first process alone; what it gives can be pickled.

    Raises:
        OlmesError: `decide` raised it, in whichever process this is.
    """
    if world_size() == 1:
        return decide()
    shared: list[Any] = [None]
    if is_first():
        try:
            shared = [decide()]
        except OlmesError as error:
            shared = [Failure(str(error))]
    broadcast(shared)
    if isinstance(shared[0], Failure):
        raise OlmesError(shared[0].text)
    answer: T = shared[0]
    return answer


def meet(what: str) -> None:
    """Wait until all processes are here.

    Args:
        what: what is waited for.
    """
    told(what, lambda: None)


def broadcast(shared: list[Any]) -> None:
    """The first process's list, in every process; the group is joined when it is first needed."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState()
    broadcast_object_list(shared)
