"""What a results server answers, as types; the server's own are in `olmes.server.routes.shapes`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Mean(TypedDict):
    """The mean of a suite."""

    name: str
    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None


class Primary(TypedDict):
    """The primary metric of a task."""

    metric: str
    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


class RunSummary(TypedDict):
    """A run in a list."""

    id: str
    content_hash: str
    """SHA-256 over names and hashes of the run's files."""
    created: str
    arrived: str
    uploaded_by: str
    complete: bool
    model: str
    fingerprint: str
    family: str
    step: float | None
    held_out: bool
    opened: bool
    """Whether the samples of a held-out run were unsealed."""
    sample_data: bool
    samples: int
    suite: Mean | None
    tasks: dict[str, Primary]


class RunDetail(TypedDict):
    """A run."""

    run: RunSummary
    record: dict[str, Any]
    """run.json, as docs/record.md describes it."""


class RankedRun(TypedDict):
    """A run on a leaderboard."""

    id: str
    model: str
    created: str
    mean: dict[str, Any]
    """`value`, `stderr`, `ci_low`, `ci_high` and `n`."""
    tasks: dict[str, Primary]


class Board(TypedDict):
    """Runs of the same thing, the best first."""

    title: str
    version: str
    standard: bool
    official: bool
    runs: list[RankedRun]
    pairs: list[dict[str, Any]] | None
    """Differences between places in `runs`: `a` less `b`; None where nothing could be compared."""


class NotRanked(TypedDict):
    """A run that stands on no board."""

    id: str
    model: str
    why: str


class Leaderboard(TypedDict):
    """Every board."""

    boards: list[Board]
    not_ranked: list[NotRanked]


class CheckpointScore(TypedDict):
    """A run of a training that says its step."""

    step: float
    run: str
    created: str
    suite: str
    held_out: bool
    value: float | None
    stderr: float | None
    tasks: dict[str, Primary]


class UnderWay(TypedDict):
    """How far an evaluation is."""

    run: str
    model: str
    suite: str
    task: str
    done: int
    total: int
    finished: bool


EventKind = Literal["run", "progress"]
"""`run` comes with a `RunSummary`, `progress` with an `UnderWay`."""
