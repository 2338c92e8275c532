"""The key-value store through which processes that train together speak: torch's `TCPStore`."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.together.ranks import named, rank, say

SPOKEN = 30.0
"""Seconds between two lines about what is waited for."""


def connect(limit: float) -> Any:
    """The store at the launcher's address, served by the first process where no launcher does.

    Raises:
        OlmesError: nobody answers within `limit` seconds.
    """
    # Of a server that has gone a sentence is said here; torch would print stacks of C++ as well.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch.distributed import DistNetworkError, DistStoreError, TCPStore

    host, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), os.environ.get("MASTER_PORT", "29500")
    serves = rank() == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    began = time.monotonic()
    while True:
        left = limit - (time.monotonic() - began)
        tried = timedelta(seconds=max(0.1, min(SPOKEN, left)))
        try:
            return TCPStore(
                host, int(port), None, serves, timeout=tried, wait_for_workers=False,
                multi_tenant=True,
            )  # fmt: skip
        except (DistNetworkError, DistStoreError) as error:
            if serves:
                raise OlmesError(
                    f"port {port} cannot be listened on; set MASTER_PORT to a free one."
                ) from error
        waited = time.monotonic() - began
        if waited >= limit:
            raise OlmesError(
                f"{named()} has waited {shown(waited)} for the first process, and nobody answers at "
                f"{host}:{port}; see whether it runs, and whether this address can be reached."
            )
        say(f"{named()} waits for the first process at {host}:{port} ({shown(waited)})")


def shown(seconds: float) -> str:
    """A length of time for a reader."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.3g} s"
