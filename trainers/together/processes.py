"""Several processes that train together: who is first, what it decides, and where all meet.

Two rules. What is written once is written by the first process, and nobody goes on before it is
there. What branches round work that all processes share is decided by the first and told to the
others. What a machine keeps (a cache in its own home) is made by whoever holds its lock, so that it
does not matter whether processes share a home.

They speak through the key-value store that their launcher's address names, and not through the
collectives of torch: those end after a time limit of their own, however busy the other is, know
nothing of who is missing, and need the devices.
"""

from __future__ import annotations

import atexit
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.models.checkpoint.loading import first_line
from olmes.trainers.together.meeting import Meeting
from olmes.trainers.together.ranks import is_first as is_first
from olmes.trainers.together.ranks import launched as launched
from olmes.trainers.together.ranks import local_rank as local_rank
from olmes.trainers.together.ranks import rank as rank
from olmes.trainers.together.ranks import world_size as world_size

T = TypeVar("T")
WAIT_MINUTES = 30.0
"""How long is waited for a process without a sign of life, where no recipe says."""
BROKEN = re.compile(r"(?i)\b(gloo|nccl|hccl|connection (closed|reset|refused)|broken pipe|peer)\b")
"""What the collectives of torch say when another process has gone."""


class Current:
    """The meeting of this process, opened when it is first needed."""

    meeting: Meeting | None = None
    opened = 0
    """How many there were: each has keys of its own in the store."""


def meeting() -> Meeting:
    """The meeting that all processes of this training take part in.

    Raises:
        OlmesError: the first process does not answer.
    """
    if Current.meeting is None:
        Current.opened += 1
        Current.meeting = Meeting(Current.opened, WAIT_MINUTES * 60)
        atexit.register(part)
    return Current.meeting


def part() -> None:
    """End the meeting: no sign of life comes from here any more, and that is known to the others."""
    if Current.meeting is not None:
        Current.meeting.close()
        Current.meeting = None


@contextmanager
def together(wait_minutes: float = WAIT_MINUTES) -> Iterator[None]:
    """A training in which processes show each other that they are alive.

    A process that stops, or ends with an error, is named by the others, which then end too.

    Args:
        wait_minutes: how long one that shows no sign of life is waited for.

    Raises:
        OlmesError: another process has ended or stopped; or what is done within raises it.
    """
    if world_size() == 1 or Current.meeting is not None:
        yield
        return
    found = meeting()
    found.patience(wait_minutes * 60)
    try:
        meet("the begin of the training")
        yield
    except OlmesError as error:
        found.fail(str(error))
        raise
    except Exception as error:
        if (gone := found.who_failed()) or BROKEN.search(str(error)):
            why = gone or "another process of the training has ended"
            raise OlmesError(
                f"{why}; its own lines say why. The same command resumes from the last checkpoint."
            ) from error
        found.fail(f"{type(error).__name__}: {first_line(error)}")
        raise
    except BaseException as error:
        found.fail(f"it was ended ({type(error).__name__})")
        raise
    finally:
        part()


def told(what: str, decide: Callable[[], T]) -> T:
    """What the first process decides, in every process; nobody goes on before it has.

    Args:
        what: what is waited for, as the others say it.
        decide: called in the first process alone; what it gives can be pickled.

    Raises:
        OlmesError: `decide` raised it, in whichever process this is; or the first process has ended
            or stopped.
    """
    return decide() if world_size() == 1 else meeting().told(what, decide)


def gathered(what: str, mine: T) -> list[T]:
    """What each process has, by rank, in every process.

    Args:
        what: what is waited for.
        mine: of this process; can be pickled.

    Raises:
        OlmesError: a process has ended or stopped.
    """
    return [mine] if world_size() == 1 else meeting().gathered(what, mine)


def meet(what: str) -> None:
    """Wait until all processes are here.

    Args:
        what: what is waited for.

    Raises:
        OlmesError: a process has ended or stopped.
    """
    gathered(what, None)


def at_work_on(what: str) -> None:
    """Have the others know what this process is at, when they say that they wait for it."""
    if Current.meeting is not None:
        Current.meeting.at_work_on(what)


def same_everywhere(what: str, mine: Any, remedy: str) -> None:
    """Refuse to train where processes have different things.

    Args:
        what: the thing, as it is named: "the data".
        mine: this process's, to be compared.
        remedy: what to do.

    Raises:
        OlmesError: one has another; in every process.
    """
    held = gathered(f"comparing {what}", (mine, socket.gethostname()))
    others = [number for number, (value, _) in enumerate(held) if value != held[0][0]]
    if others:
        raise OlmesError(
            f"{what} of rank {others[0]} (host {held[others[0]][1]}) is not that of the first process "
            f"(host {held[0][1]}); {remedy}."
        )
