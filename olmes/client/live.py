"""A run reported to a results server: how far it is while it runs, its record when it is over.

What the server does, or does not, never slows a run and never ends it.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from olmes.client.answers import AnswerError, in_words
from olmes.client.client import PASSING, Client, Pushed
from olmes.client.session import without_password
from olmes.errors import OlmesError
from olmes.records.running_score import RunningScore
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
    asked: int = 0
    """Of the responses those that were asked for in this session."""
    tokens: int = 0
    """Those of them that a model wrote."""
    seconds: float = 0.0
    """From the first to the last of them."""

    @property
    def tokens_per_s(self) -> float | None:
        """New tokens a second; None where no model writes any."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None

    @property
    def left_s(self) -> float | None:
        """Seconds that it will go on for at the pace so far; None before that is known."""
        return (self.total - self.done) * self.seconds / self.asked if self.asked else None


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
        self.scores: dict[str, RunningScore] = {}
        self.began = time.monotonic()
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
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.report, name="olmes-live", daemon=True)
        self.thread.start()

    def answered(self, task: str, response: Response, origin: Origin) -> None:
        """Count a response."""
        if not (progress := self.progress):
            return
        asked, tokens = progress.asked, progress.tokens
        if origin in ("model", "recording"):
            asked += 1
            tokens += response.completion_tokens if origin == "model" else 0
        self.progress = replace(
            progress,
            done=progress.done + 1,
            task=task,
            asked=asked,
            tokens=tokens,
            seconds=time.monotonic() - self.began,
        )

    def scored(self, task: str, score: RunningScore) -> None:
        """Keep where the score so far is."""
        self.scores[task] = score

    def judging(self, responses: int) -> None:
        """Count anew: the judge's answers."""
        if self.progress:
            self.began = time.monotonic()
            self.progress = replace(
                self.progress, done=0, total=responses, task="judge", asked=0, tokens=0, seconds=0.0
            )

    def response_judged(self) -> None:
        """Count a judged response."""
        if self.progress:
            done, seconds = self.progress.done + 1, time.monotonic() - self.began
            self.progress = replace(self.progress, done=done, asked=done, seconds=seconds)

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
                    self.send(progress, over=over)
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

    def send(self, progress: Progress, *, over: bool) -> None:
        """Report how far the run is, and what the score of its task is so far."""
        running = self.scores.get(progress.task)
        found = running.score if running else None
        self.client.progress(
            progress.run,
            progress.done,
            progress.total,
            suite=progress.suite,
            task=progress.task,
            finished=over,
            score=found.value if found else None,
            scored=found.n if found else 0,
            unit=found.unit if found else "share",
            tokens_per_s=progress.tokens_per_s,
            left_s=progress.left_s,
        )


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
