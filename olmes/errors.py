"""The one exception a user is meant to read."""

from __future__ import annotations


class OlmesError(Exception):
    """Something the user can fix; the message is one sentence with the remedy.

    The command line prints the message alone (`-v` adds the trace) and exits with status 2.
    """
