"""Lines about the machine on standard error, each once a process."""

from __future__ import annotations

import contextlib
import sys

SAID: set[str] = set()


def say_once(line: str) -> None:
    """Print a line on standard error, unless this process has printed it before."""
    if line in SAID:
        return
    SAID.add(line)
    with contextlib.suppress(OSError, ValueError):  # nobody reads it: the terminal is closed
        print(f"olmes: {line}", file=sys.stderr, flush=True)
