"""Which of the processes that train together this one is, as its launcher has said."""

from __future__ import annotations

import os
import socket
import sys


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return int(os.environ.get("RANK", "0")) if launched() else 0


def world_size() -> int:
    """How many processes train together, over all machines."""
    return int(os.environ.get("WORLD_SIZE", "1")) if launched() else 1


def local_rank() -> int:
    """The number of this process among those of its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether this is the first of the processes that train together."""
    return rank() == 0


def launched() -> bool:
    """Whether a launcher has started this process.

    By its local rank: a cluster may set RANK and WORLD_SIZE for whatever runs on its machines.
    """
    return "LOCAL_RANK" in os.environ


def named() -> str:
    """This process as others name it."""
    return f"rank {rank()} (host {socket.gethostname()}, process {os.getpid()})"


def say(line: str) -> None:
    """A line on standard error, whichever process this is."""
    print(f"olmes: {line}", file=sys.stderr, flush=True)
