"""The looks that a results server knows, counted with those that this machine remembers."""

from __future__ import annotations

from collections.abc import Callable

from olmes.client.client import Client
from olmes.errors import OlmesError
from olmes.seal.known_stores import keep_server_looks

PATIENCE = 10.0
"""Seconds after which a server that does not answer is not waited for."""


def note_looks(url: str, *, say: Callable[[str], None]) -> None:
    """Have the looks count that a server's ledgers hold; a server that is away stops nothing.

    Args:
        url: address of the server; the token is $OLMES_TOKEN's.
        say: gets a line where the server could not be asked.
    """
    try:
        with Client(url, patience=0.0, timeout=PATIENCE) as client:
            keep_server_looks(url, client.ledger())
    # It may be no results server that answers there.
    except (OlmesError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        say(f"the looks that {url} knows of do not count here, as it could not be asked: {error}")
