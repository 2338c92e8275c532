"""A run reported to a results server: how far it is while it runs, its record when it is over.

What the server does, or does not, never slows a run and never ends it.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from olmes.client.answers import AnswerError, in_words
from olmes.client.client import PASSING, Client, Pushed
from olmes.client.session import without_password
from olmes.errors import OlmesError
from olmes.requests.callbacks import RunCallback
from olmes.requests.dispatch import Origin
from olmes.requests.plan import Plan
from olmes.types import Response

INTERVAL = 1.0
"""Seconds between two reports of a run."""
KEEPALIVE = 120.0
"""Seconds after which a run that stands still is reported again; the server forgets it after 600."""
PAUSE = 30.0
"""Seconds of silence after a report that failed."""
PATIENCE = 10.0
"""Seconds a report may take."""
PARTING = 5.0
"""Seconds for which the end of a run waits for its last report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    run: str
    done: int
    total: int
    suite: str
    task: str = ""


class LiveProgress(RunCallback):
    """Tells a server how far a run is, from a thread of its own.

    Args:
        url: address of the server; the token is $OLMES_TOKEN's.
        say: where the one line goes that says why reports do not arrive.
    """

    def __init__(self, url: str, *, say: Callable[[str], None]) -> None:
        self.client = Client(url, patience=0.0, timeout=PATIENCE)
        self.say = say
        self.progress: Progress | None = None
        self.reported: Progress | None = None
        self.over = threading.Event()
        self.thread: threading.Thread | None = None

    def started(self, plan: Plan, folder: Path) -> None:
        """Begin to report."""
        self.progress = Progress(
            run=folder.name,
            done=0,
            total=len(plan.items),
            suite=plan.suite.name if plan.suite else "",
        )
        self.thread = threading.Thread(target=self.report, name="olmes-live", daemon=True)
        self.thread.start()

    def answered(self, task: str, response: Response, origin: Origin) -> None:  # noqa: ARG002
        """Count a response."""
        if self.progress:
            self.progress = replace(self.progress, done=self.progress.done + 1, task=task)

    def judging(self, responses: int) -> None:
        """Count anew: the judge's answers."""
        if self.progress:
            self.progress = replace(self.progress, done=0, total=responses, task="judge")

    def response_judged(self) -> None:
        """Count a judged response."""
        if self.progress:
            self.progress = replace(self.progress, done=self.progress.done + 1)

    def ended(self) -> None:
        """Say that it is over."""
        self.over.set()
        if self.thread is not None:
            self.thread.join(PARTING)

    def report(self) -> None:
        """What the thread does: report what is new, once in a while."""
        said = False
        silent_until = last = 0.0
        while True:
            over = self.over.wait(INTERVAL)
            now = time.monotonic()
            due = over or self.progress != self.reported or now - last > KEEPALIVE
            progress = self.progress
            if progress and due and now >= silent_until:
                try:
                    self.client.progress(**asdict(progress), finished=over)
                    self.reported, last = progress, now
                except Exception as error:  # whatever it is, nobody else could say it
                    silent_until = now + PAUSE
                    if not said:
                        with contextlib.suppress(Exception):  # a terminal that is closed
                            self.say(f"the run is not shown live: {in_words(error)}")
                        said = True
            if over:
                self.client.close()
                return


class NotPushedError(OlmesError):
    """A record did not get to the server.

    Attributes:
        refused: whether the server answered, so that it may take other records.
    """

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


def push_record(
    folder: Path,
    url: str,
    *,
    patience: float = 60.0,
    timeout: float = 300.0,
    say: Callable[[str], None],
) -> Pushed:
    """Upload a run that is over, with the token in $OLMES_TOKEN.

    Args:
        folder: of the run.
        url: address of the server.
        patience: seconds for which a server that cannot be reached is waited for.
        timeout: seconds until a request that is not answered is given up.
        say: where a line goes when the server is waited for.

    Raises:
        NotPushedError: it did not get there; the message says how it can later.
    """
    try:
        with Client(url, patience=patience, timeout=timeout, say=say) as client:
            return client.push(folder)
    except Exception as error:  # the run is whole, whatever happened to its copy
        raise NotPushedError(
            f"the run is in {folder}, but not on the server: {in_words(error)} Push it again with "
            f"`{command([folder], url)}`.",
            refused=isinstance(error, AnswerError) and error.status not in PASSING,
        ) from error


def command(folders: list[Path], url: str) -> str:
    """The command that sends some records."""
    return f"olmes push {shlex.join(map(str, folders))} --to {without_password(url)}"
