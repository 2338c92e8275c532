"""What a results server answers, as types: the client's, and those of the server's API document.

Of `typing_extensions`, because pydantic reads no other TypedDict before Python 3.12; the texts below
the fields are their descriptions in the document.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from olmes.types import JsonObject, Unit


class Number(TypedDict):
    """A number with its error and 95 % interval, and how it is read."""

    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    unit: Unit
    """`share`: 0 to 1, shown as a percentage; `number`: shown as it is."""
    higher_is_better: bool


class SuiteMean(Number):
    """The mean of a suite."""

    name: str


class Primary(Number):
    """The primary metric of a task."""

    metric: str
    n: int
    """Values it is a mean of: responses, or their parts."""
    items: int | None
    """Items that these are of; None where an older record does not say."""
    unfinished_thinking: float
    """Share of the responses that ended inside their thought, so that they have no answer."""
    thought_marks: float
    """Share of the responses that hold marks of a thought, which nothing took out."""


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
    demo_data: bool
    """Whether a task ran on built-in demo data."""
    standard: bool
    """Whether every formulation is the published one."""
    limited: str
    """Over which items the numbers are: `200 items a task`; '' for all."""
    item_set: str
    """Of a limited run: 16 hex digits, equal for runs that were asked the same items; '' for all."""
    items: int
    """Items that were asked."""
    samples: int
    """Responses to them."""
    unscored: int
    """Responses of these without a score: the request failed, or the scorer or the judge did."""
    lacking: str
    """Why it is not complete; '' where it is."""
    suite: SuiteMean | None
    tasks: dict[str, Primary]
    """The primary metric of each task."""


class Arrival(RunSummary):
    """A run that arrived, with what the list of runs writes of it."""

    look: str
    """Which look at held-out tasks it was, in words; '' for runs that are none."""
    what: str
    """The suite or the tasks."""
    score: str
    """The suite's mean, or the number of the one task."""
    interval: str
    """Its 95 % interval."""
    thoughts: str
    """Of which tasks a share of the responses ended inside their thought; '' for none."""


class FileEntry(TypedDict):
    """A file of a run that is about to be uploaded."""

    name: str
    size: int
    sha256: str


class Manifest(TypedDict):
    """The files of a run that is about to be uploaded."""

    files: list[FileEntry]
    replace: bool


class FileState(TypedDict):
    """How far a file is."""

    name: str
    size: int
    received: int
    """Bytes that are here: where to resume."""


class OpenUpload(TypedDict):
    """An upload under way, in a list."""

    upload: str
    who: str
    files: int
    size: int
    """Bytes of all its files."""
    received: int
    """Bytes that are here."""
    started: str
    touched: str
    """When bytes came last."""


class UploadList(TypedDict):
    """The uploads under way."""

    uploads: list[OpenUpload]


class UploadState(TypedDict):
    """An upload, or the run that has its content already."""

    state: Literal["open", "present"]
    upload: str | None
    content_hash: str
    files: list[FileState]
    run: RunSummary | None


class Received(TypedDict):
    """How far a file is."""

    received: int


class Committed(TypedDict):
    """A run that is here now."""

    new: bool
    """False if its content was here before."""
    run: RunSummary


class StaysClosed(TypedDict):
    """A run that stays under seal."""

    id: str
    why: str


class Opened(TypedDict):
    """What a ledger changed."""

    opened: list[str]
    """Runs whose samples may be read from now on."""
    closed: list[StaysClosed]
    """Runs that the ledger says were unsealed, and that stay closed."""


class RunList(TypedDict):
    """A part of a list of runs."""

    runs: list[RunSummary]
    next: str | None
    """What to give as `after` for the next part."""


class RunDetail(TypedDict):
    """A run."""

    run: RunSummary
    record: JsonObject
    """run.json as it was uploaded; docs/record.md describes it."""
    look: str
    """Which look at held-out tasks it was, in words; '' for a run that is none."""
    looks_before: int | None
    """Looks before it over every ledger here; None for a run that is none, or without its line."""


class Sample(TypedDict):
    """A response."""

    place: int
    """Its place in the samples file, from 0."""
    row: JsonObject
    """The row as it was uploaded; docs/record.md describes it."""


class SampleList(TypedDict):
    """A part of a task's samples."""

    samples: list[Sample]
    next: int | None
    """What to give as `start` for the next part."""


class BoardMean(Number):
    """The mean that a run is ranked by."""

    n: int
    """Values that the tasks' numbers are means of."""
    items: int | None
    """Items that these are of."""


class RepeatReading(Number):
    """What k responses an item are worth: `pass@4`, `pass^4`, `maj@4`."""

    name: str
    n: int
    """Items, or their parts, that have so many responses."""


class Repeats(TypedDict):
    """What several responses an item say of a task's primary metric."""

    responses: int
    """An item."""
    complete: bool
    """Whether every item has so many with a value."""
    run_sd: float | None
    """The standard deviation of the score of one response an item, from run to run, same items."""
    readings: list[RepeatReading]


class RankedRun(TypedDict):
    """A run on a leaderboard."""

    id: str
    model: str
    created: str
    mean: BoardMean | None
    """None of a board of one task, and of tasks that have no mean."""
    tasks: dict[str, Primary]
    repeats: dict[str, Repeats]
    """Of the tasks with several responses an item."""


class RankedPair(TypedDict):
    """Two runs of a board on the same items, as `olmes.stats.PairedDifference` has it."""

    a: int
    """Places in the board's `runs`; the difference is `a` less `b`."""
    b: int
    n: int
    clusters: int
    baseline: float
    candidate: float
    difference: float
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float
    p_adjusted: float
    """By Holm over the pairs of the board."""
    test: str
    wins: int
    losses: int
    margin: float
    is_share: bool
    higher_is_better: bool
    verdict: Literal["better", "worse", "tied", "not enough data"]
    sentence: str
    """The verdict with its numbers."""
    detectable: float | None
    """The smallest true difference that so many items show 4 times in 5."""
    needed: int | None
    """Items that would show a difference as large as this one 4 times in 5."""


class Board(TypedDict):
    """Runs of the same thing, the best first."""

    title: str
    version: str
    items: str
    """Over which items the numbers are: `200 items a task`; '' for all."""
    demo_data: bool
    """Whether a task ran on built-in demo data."""
    standard: bool
    """Whether every formulation is the published one."""
    official: bool
    """Whether the data are those of the official files."""
    ranked_by: list[str]
    """The tasks whose mean the runs are ranked and compared by."""
    order: str
    """What the ranks are by in words, where it is not the mean or the one task."""
    runs: list[RankedRun]
    pairs: list[RankedPair] | None
    """None where nothing could be compared."""
    not_compared: str
    """Why; '' where there are pairs."""


class NotRanked(TypedDict):
    """A run that stands on no board."""

    id: str
    model: str
    why: str


class Leaderboard(TypedDict):
    """Every board."""

    boards: list[Board]
    not_ranked: list[NotRanked]


class CheckpointScore(Number):
    """A run of a training that says its step, with its suite's mean."""

    step: float
    run: str
    created: str
    suite: str
    held_out: bool
    tasks: dict[str, Primary]


class Checkpoints(TypedDict):
    """A training over its steps."""

    family: str
    checkpoints: list[CheckpointScore]


class StepScore(Number):
    """The number of a checkpoint: its suite's mean, or that of its one task."""

    run: str
    step: float


class Family(TypedDict):
    """A training that has checkpoints here."""

    family: str
    runs: int
    steps: int
    last_step: float
    what: str
    """The suite or the task that the scores are of: what most of its steps were asked; '' for none."""
    limited: str
    """Over which items they are; '' for all."""
    demo_data: bool
    standard: bool
    latest: StepScore | None
    """At the last step with a whole run."""
    best: StepScore | None
    """The best as it was measured; `checkpoints.html` allows for the choice."""


class Families(TypedDict):
    """Every training."""

    families: list[Family]


class KnownLine(TypedDict):
    """What the server knows of a line of a ledger."""

    hash: str
    chain: str
    """Which ledger: the hash of its first line."""
    brought_by: str
    """Whose request it came with first; '' where that was not noted yet."""
    arrived: str
    """When; '' where that was not noted yet."""
    parts: bool
    """Whether the line before it has another one behind it: two went on from one ledger."""
    back_in_time: bool
    """Whether it says that it was written before the line that it follows."""
    looks_before: int | None
    """Looks before this one over every ledger here: at the same weights, of the same family, and of
    those that its lineage names; None for a line that is no look. The entry's own number is of its
    store."""


class LedgerLines(TypedDict):
    """Every line of every ledger: who looked at held-out tasks, when and why."""

    entries: list[JsonObject]
    """As they were written, so that their hashes can be checked."""
    known: list[KnownLine]
    """What the server knows of each, in the same order."""


class UnderWay(TypedDict):
    """How far an evaluation is."""

    run: str
    model: str
    suite: str
    task: str
    done: int
    total: int
    finished: bool
    score: str
    """Of the task, over what is scored so far: `62.5 so far (n = 40)`; '' for held-out tasks and where
    none is known."""
    tokens_per_s: float | None
    """New tokens a second; None for recorded and stored responses."""
    left_s: float | None
    """Seconds that it will go on for at the pace so far; None before that is known."""
    pace: str
    """Both in words: `120 tokens/s, 3 min left`."""


class Running(TypedDict):
    """Evaluations under way."""

    running: list[UnderWay]


class AuditEntry(TypedDict):
    """A line of the audit log."""

    seq: int
    time: str
    who: str
    address: str
    action: str
    target: str
    detail: str


class AuditLog(TypedDict):
    """A part of the audit log."""

    entries: list[AuditEntry]
    next: int | None
    """What to give as `before` for the next part."""


class Health(TypedDict):
    """That the server answers, and whether all is well with it."""

    status: Literal["ok", "degraded"]
    version: str
    failing: list[str]
    """Tasks beside the requests that failed and are tried again; `degraded` when there are any."""


EventKind = Literal["run", "progress"]
Event = tuple[Literal["run"], Arrival] | tuple[Literal["progress"], UnderWay]
"""What happens: kind and facts."""
