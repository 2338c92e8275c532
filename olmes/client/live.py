"""A run that is told to a results server: how far it is while it goes on, its record when it is over.

What the server does, or does not, never slows a run and never ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from olmes.client.client import Client, Pushed
from olmes.errors import OlmesError
from olmes.requests.callbacks import RunCallback
from olmes.requests.dispatch import Origin
from olmes.requests.plan import Plan
from olmes.types import Response

INTERVAL = 1.0
"""Seconds between two reports of a run."""
KEEPALIVE = 120.0
"""Seconds after which a run that stands still is told of again; the server forgets it after 600."""
PAUSE = 30.0
"""Seconds of silence after a report that failed."""
PATIENCE = 10.0
"""Seconds a report may take; the end of a run waits for the one under way and its own."""


class LiveProgress(RunCallback):
    """Tells a server how far a run is, from a thread of its own.

    Args:
        url: address of the server; the token is $OLMES_TOKEN's.
        say: where the one line goes that says why reports do not arrive.
    """

    def __init__(self, url: str, *, say: Callable[[str], None]) -> None:
        self.client = Client(url, patience=0.0, timeout=PATIENCE)
        self.say = say
        self.facts: dict[str, Any] = {}
        self.told: dict[str, Any] = {}
        self.over = threading.Event()
        self.thread: threading.Thread | None = None

    def started(self, plan: Plan, folder: Path) -> None:
        """Begin to tell."""
        self.facts = {
            "run": folder.name,
            "done": 0,
            "total": len(plan.items),
            "suite": plan.suite.name if plan.suite else "",
            "task": "",
        }
        self.thread = threading.Thread(target=self.tell, name="olmes-live", daemon=True)
        self.thread.start()

    def answered(self, task: str, response: Response, origin: Origin) -> None:  # noqa: ARG002
        """Count a response."""
        self.facts = {**self.facts, "done": self.facts["done"] + 1, "task": task}

    def judging(self, responses: int) -> None:
        """Count anew: the judge's answers."""
        self.facts = {**self.facts, "done": 0, "total": responses, "task": "judge"}

    def judged(self) -> None:
        """Count a judged response."""
        self.facts = {**self.facts, "done": self.facts["done"] + 1}

    def ended(self) -> None:
        """Say that it is over."""
        self.over.set()
        if self.thread is not None:
            self.thread.join(2 * PATIENCE)

    def tell(self) -> None:
        """What the thread does: report what is new, once in a while."""
        said = False
        silent_until = last = 0.0
        while True:
            over = self.over.wait(INTERVAL)
            now = time.monotonic()
            due = over or self.facts != self.told or now - last > KEEPALIVE
            if due and now >= silent_until:
                facts = self.facts
                try:
                    self.client.progress(**facts, finished=over)
                    self.told, last = facts, now
                except OlmesError as error:
                    silent_until = now + PAUSE
                    if not said:
                        self.say(f"the run is not shown live: {error}")
                        said = True
            if over:
                self.client.close()
                return


def push_record(
    folder: Path, url: str, *, patience: float = 60.0, say: Callable[[str], None]
) -> Pushed:
    """Upload a run that is over, with the token in $OLMES_TOKEN.

    Args:
        folder: of the run.
        url: address of the server.
        patience: seconds for which a server that cannot be reached is waited for.
        say: where a line goes when it is.

    Raises:
        OlmesError: it did not get there; the message says how it can later.
    """
    try:
        with Client(url, patience=patience, say=say) as client:
            return client.push(folder)
    except OlmesError as error:
        raise OlmesError(
            f"the run is in {folder}, but not on the server: {error} Push it again with "
            f"`olmes push {folder} --to {url}`."
        ) from None
