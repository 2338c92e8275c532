"""The record of a run as types: every field of `run.json` and of a samples file.

Whatever writes, reads, checks, ranks or shows a record goes by these types; docs/record.md and
docs/record.schema.json are made of them (`olmes.records.described`). Field order is the order on disk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired, Self, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType

from olmes.sandbox.program import Result
from olmes.stats import Estimate
from olmes.types import JsonObject, Message, ResponseJson, Unit, VerdictPart

SCHEMA = 2
"""Raised when a field changes its meaning; older records stay readable (`olmes.records.upgrade`)."""
LARGEST = 2**53
"""Whole numbers beyond this are no counts, and JavaScript rounds them."""
BROKEN = ("failed", "crashed", "unjudged")
"""Flags of responses that have no score; a run with any is not complete."""
FLAGS = (
    "failed",
    "empty",
    "refusal",
    "truncated",
    "unfinished_thinking",
    "prompt_truncated",
    "unparsed",
    "misformatted",
    "unjudged",
    "thought_marks",
    "timeout",
    "crashed",
)
"""What is counted beside a score: request failed; blank response; the response refuses, or a server's
content filter has cut it; cut at the token limit; it ended inside its thought; prompt cut from the
left; no answer found; the answer is not in the form asked for; the judge gave no judgement; marks of a
thought stand in the answer, as nothing took them out; a scorer hit its time or memory limit; a scorer
broke."""

Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{8,64}$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]
Asker = Literal["person", "hook", "watcher"]
Origin = Literal["folder", "official", "hub", "demo", "generated"]


class Score(Struct, frozen=True, kw_only=True):
    """A number with its error and 95 % interval, or that there is none."""

    value: Annotated[float | None, Meta(description="`null`: nothing had a value")]
    stderr: Annotated[float | None, Meta(description="standard error, clustered")]
    ci_low: Annotated[float | None, Meta(description="95 % interval")]
    ci_high: Annotated[float | None, Meta(description="95 % interval")]
    n: Annotated[Count, Meta(description="values it is a mean of: responses, or their parts")]

    @classmethod
    def of(cls, estimate: Estimate | None, **more: Any) -> Self:
        """An estimate, or that there is none, with the further fields of a subclass."""
        if estimate is None:
            return cls(value=None, stderr=None, ci_low=None, ci_high=None, n=0, **more)
        return cls(
            value=estimate.value,
            stderr=estimate.stderr,
            ci_low=estimate.ci_low,
            ci_high=estimate.ci_high,
            n=estimate.n,
            **more,
        )

    @property
    def estimate(self) -> Estimate | None:
        """The number as statistics take it.

        None where there is none: its value is missing, or it or its error or interval is not finite.
        """
        numbers = (self.value, self.stderr, self.ci_low, self.ci_high)
        if self.value is None or not all(n is None or math.isfinite(n) for n in numbers):
            return None
        return Estimate(self.value, self.stderr, self.ci_low, self.ci_high, self.n)


class MetricScore(Score, frozen=True, kw_only=True):
    """A metric of a task."""

    help: Annotated[str, Meta(description="what counts as right")] = ""
    honest: Annotated[
        bool, Meta(description="ours, without the protocol metric's known faults")
    ] = False
    higher_is_better: Annotated[bool, Meta(description="the metric's direction")] = True
    unit: Annotated[
        Unit,
        Meta(description="`share` (0 to 1, shown as a percentage) or `number` (shown as it is)"),
    ] = "share"


class SubtaskResult(Struct, frozen=True, kw_only=True):
    """The numbers of a sub-task."""

    n: Annotated[Count, Meta(description="responses")]
    metrics: Annotated[dict[str, Score], Meta(description="by metric")]


class TaskData(Struct, frozen=True, kw_only=True):
    """Where a task's items came from."""

    origin: Annotated[Origin, Meta(description="what kind of source")]
    location: Annotated[str | None, Meta(description="which one")] = None
    content_hash: Annotated[Hex, Meta(description="over all items of the set")]
    official: Annotated[bool, Meta(description="whether it is the official set's content")]
    n: Annotated[Count, Meta(description="items of the whole set")]
    notes: Annotated[list[str], Meta(description="what a reader of the numbers must know")] = []
    missing: Annotated[
        list[str] | UnsetType,
        Meta(description="sub-tasks of the benchmark whose data were not available"),
    ] = UNSET
    undeclared: Annotated[
        bool | UnsetType,
        Meta(description="`true` where the task declares no content hash to know its set by"),
    ] = UNSET


class DiagnosisCounts(Struct, frozen=True, kw_only=True):
    """What the format cost."""

    n: Annotated[Count, Meta(description="scored responses")]
    wrong: Annotated[Count, Meta(description="of them, wrong by the primary metric")]
    lost: Annotated[Count | None, Meta(description="of these, right by an honest metric")]
    lost_by: Annotated[dict[str, Count], Meta(description="these by reason")]
    flags: Annotated[dict[str, Count], Meta(description="flags of the wrong ones")]


class Reason(Struct, frozen=True, kw_only=True):
    """Why responses have no score, in words that quote none of them."""

    count: Annotated[Count, Meta(description="responses it holds for")]
    text: Annotated[
        str,
        Meta(
            description="`N`: a number or id that differs; `…`: what it quotes of items, left out"
        ),
    ]


class JudgeModel(Struct, frozen=True, kw_only=True):
    """The model that judged."""

    name: Annotated[str, Meta(description="as the user wrote it")]
    fingerprint: Annotated[str, Meta(description="of its content")]
    engine: Annotated[JsonObject | None, Meta(description="as of the model that was run")]


class TaskJudge(Struct, frozen=True, kw_only=True):
    """Who judged a task, and at what price."""

    model: Annotated[JudgeModel | None, Meta(description="the language model")]
    encoders: Annotated[
        dict[str, JsonObject] | None,
        Meta(description="fingerprint and engine of each encoder, by name"),
    ] = None
    budget: Annotated[Count | None, Meta(description="tokens it may read and write")]
    judgements: Annotated[Count, Meta(description="answers to its questions")]
    tokens: Annotated[dict[str, Count], Meta(description="`prompt` and `completion`")]


class AtK(Struct, frozen=True, kw_only=True):
    """What k of an item's responses are worth: the mean over all ways to take k."""

    k: Annotated[Count, Meta(description="responses taken")]
    best: Annotated[Score, Meta(description="the best of them; of right and wrong: pass@k")]
    worst: Annotated[Score, Meta(description="the worst of them; of right and wrong: pass^k")]
    majority: Annotated[
        Score | None,
        Meta(description="their commonest answer: maj@k; `null` where no answers are extracted"),
    ] = None


class MetricRepeats(Struct, frozen=True, kw_only=True):
    """What a metric says of several responses to each item; the metric's own value is avg@n."""

    binary: Annotated[bool, Meta(description="every value is 0 or 1, and 1 is better")]
    at: Annotated[list[AtK], Meta(description="by k, the smallest first")]
    means: Annotated[
        list[float | None], Meta(description="the metric of each repeat: one run of all items")
    ]
    sd: Annotated[
        float | None, Meta(description="their standard deviation: the noise from run to run")
    ]


class TaskRepeats(Struct, frozen=True, kw_only=True):
    """What several responses to each item of a task say."""

    n: Annotated[Count, Meta(description="responses an item")]
    complete: Annotated[
        bool, Meta(description="every item has so many with a value of the primary metric")
    ]
    k: Annotated[list[Count], Meta(description="which are shown: 1, 2, 4, ..., n, or as chosen")]
    metrics: Annotated[dict[str, MetricRepeats], Meta(description="by metric")]


class TaskResult(Struct, frozen=True, kw_only=True):
    """A task of a run: what was asked, where it came from, and the numbers."""

    title: Annotated[str, Meta(description="name in reports")] = ""
    primary: Annotated[str, Meta(description="the metric a suite averages")]
    standard: Annotated[bool, Meta(description="whether the formulation is the published one")] = (
        True
    )
    settings: Annotated[JsonObject, Meta(description="what `--set` changed")] = {}
    formulation: Annotated[
        JsonObject, Meta(description="everything that fixes a prompt and a score")
    ] = {}
    formulation_hash: Annotated[
        Hex, Meta(description="over the task's name, its formulation and its primary metric")
    ]
    scorer_hash: Annotated[Hex, Meta(description="over the source of the task and its scorers")]
    data: Annotated[TaskData, Meta(description="where its items came from")]
    n: Annotated[Count, Meta(description="responses")]
    items: Annotated[Count | None, Meta(description="items; each has one response or several")] = (
        None
    )
    items_hash: Annotated[
        Hex | None, Meta(description="over sub-task and content of each item that was asked")
    ] = None
    metrics: Annotated[dict[str, MetricScore], Meta(description="by name")]
    subtasks: Annotated[
        dict[str, SubtaskResult],
        Meta(description="by name; of a nested average the groups too, each its sub-tasks' mean"),
    ] = {}
    counts: Annotated[
        dict[str, Count], Meta(description="responses by what happened: " + ", ".join(FLAGS))
    ]
    reasons: Annotated[
        dict[str, list[Reason]],
        Meta(description="why: the commonest reasons by count (" + ", ".join(BROKEN) + ")"),
    ] = {}
    tokens: Annotated[
        dict[str, Count],
        Meta(
            description="`prompt` and `completion`; `reasoning`: of the latter, those of thoughts, as "
            "far as they are known"
        ),
    ] = {}
    repeats: Annotated[
        TaskRepeats | None,
        Meta(description="of several responses an item; `null` where each has one"),
    ] = None
    diagnosis: Annotated[
        DiagnosisCounts | None, Meta(description="how wrong answers came about")
    ] = None
    judge: Annotated[TaskJudge | None, Meta(description="who judged; `null` without a judge")] = (
        None
    )
    shared_messages: Annotated[
        list[Message], Meta(description="the turns all requests begin with: the exemplars")
    ] = []
    samples: Annotated[str, Meta(description="place of the samples in the run's folder")] = ""

    @property
    def score(self) -> MetricScore:
        """The primary metric."""
        return self.metrics[self.primary]

    @property
    def aggregate(self) -> str:
        """How the task averages: its items (`micro`) or its sub-tasks (`macro`, `nested`)."""
        return str(self.formulation.get("aggregate", "micro"))

    @property
    def macro(self) -> bool:
        """Whether the task averages its sub-tasks, and not its items."""
        return self.aggregate in ("macro", "nested")

    @property
    def demo(self) -> bool:
        """Whether it ran on the built-in demo data, which stand in for a benchmark's own."""
        return self.data.origin == "demo"

    @property
    def repeated(self) -> bool:
        """Whether an item has several responses, so that items and responses are two numbers."""
        return self.items is not None and self.items != self.n

    @property
    def whole(self) -> bool:
        """Whether every response has a score."""
        return not any(self.counts.get(flag) for flag in BROKEN)

    def said(self, flag: str) -> int:
        """How many responses have a flag."""
        return self.counts.get(flag, 0)

    @property
    def unread(self) -> int:
        """Of the judgements that could not be read, those whose responses are in no score.

        All of them, unless the task gave such responses a value all the same.
        """
        without_value = self.n - self.score.n - sum(self.said(flag) for flag in BROKEN)
        return max(0, min(self.said("unparsed"), without_value)) if self.judge else 0

    def share(self, flag: str) -> float:
        """Which share of the responses has a flag."""
        return self.said(flag) / self.n if self.n else 0.0


class RecordedModel(Struct, frozen=True, kw_only=True):
    """The model of a run."""

    name: Annotated[
        str, Meta(description="in tables and on pages: `--name`, or short, without path and host")
    ]
    fingerprint: Annotated[
        Sha256, Meta(description="over weights, tokenizer and chat template, not the path")
    ]
    written: Annotated[str | UnsetType, Meta(description="as the user wrote it")] = UNSET
    commit: Annotated[
        str | UnsetType, Meta(description="of the hub's repository, where it is from one")
    ] = UNSET
    adapter: Annotated[
        str | UnsetType, Meta(description="folder or repository of `--adapter`, merged in")
    ] = UNSET
    parts: Annotated[dict[str, str] | None, Meta(description="their hashes one by one")] = None
    engine: Annotated[JsonObject, Meta(description="backend, versions, precision, device")] = {}
    family: Annotated[str | None, Meta(description="the training; looks are counted under it")] = (
        None
    )
    step: Annotated[float | int | None, Meta(description="of the training")] = None
    lineage: Annotated[
        list[JsonObject] | None,
        Meta(
            description="what it was trained from, oldest first; `overlap` of a step: what its data "
            "have in common with evaluations (`olmes/records/overlap.py`)"
        ),
    ] = None


class RecordedPair(Struct, frozen=True, kw_only=True):
    """Development tasks that a held-out task is held against."""

    dev: Annotated[list[str], Meta(description="tasks whose mean is held against `unseen`")]
    unseen: Annotated[str, Meta(description="a held-out task")]
    rewritten: Annotated[
        str, Meta(description="task with newly made items of the same kind; `''` for none")
    ] = ""


class SuiteResult(Score, frozen=True, kw_only=True):
    """The suite of a run: its members, and the mean of their primary metrics."""

    name: Annotated[str, Meta(description="as on the command line")]
    title: Annotated[str, Meta(description="name in reports")] = ""
    held_out: Annotated[bool, Meta(description="whether it is kept under seal")] = False
    aggregate: Annotated[str, Meta(description="`mean`: unweighted, of the primary metrics")] = (
        "mean"
    )
    mean: Annotated[
        list[str] | None,
        Meta(description="members whose mean it is; `null`: all; empty: the suite has no mean"),
    ] = None
    complete: Annotated[
        bool, Meta(description="every member has a number, over all of its responses")
    ] = True
    tasks: Annotated[list[str], Meta(description="the members")] = []
    missing: Annotated[list[str], Meta(description="members that have no number")] = []
    pairs: Annotated[list[RecordedPair], Meta(description="of a held-out suite")] = []
    unit: Annotated[Unit, Meta(description="of the mean")] = "share"


class DevScore(Score, frozen=True, kw_only=True):
    """The development score of the same weights at the time of a look."""

    run: Annotated[str, Meta(description="whose score it is")]
    suite: Annotated[str, Meta(description="what was run: a suite, or tasks")]
    complete: Annotated[bool, Meta(description="of that run")] = True
    unit: Annotated[Unit, Meta(description="of the value")] = "share"


class LedgerLine(Struct, frozen=True, kw_only=True):
    """A line of the ledger, as a record names it."""

    # Defaults, so that a record from which they were edited away counts as changed, not as unreadable.
    number: Annotated[Count, Meta(description="from 1")] = 0
    hash: Annotated[str, Meta(description="of the line, over the one before")] = ""


class SealedFile(Struct, frozen=True, kw_only=True):
    """The samples of a task, under seal."""

    file: Annotated[str, Meta(description="place below the run's folder")]
    sha256: Annotated[Sha256, Meta(description="of the file")]
    rows: Annotated[Count, Meta(description="responses in it")]


class HeldOut(Struct, frozen=True, kw_only=True):
    """The look at held-out tasks that a run was."""

    tasks: Annotated[
        dict[str, list[str]], Meta(description="held-out tasks, with the suites that hold them out")
    ] = {}
    reason: Annotated[str, Meta(description="in the asker's words")] = ""
    asked_by: Annotated[Asker, Meta(description="who asked")] = "person"
    who: Annotated[str, Meta(description="`user@host`")] = ""
    time: Annotated[str, Meta(description="when it was written into the ledger")] = ""
    family: Annotated[str, Meta(description="under which looks are counted")] = ""
    lineage: Annotated[list[JsonObject], Meta(description="of the model")] = []
    looks_before: Annotated[Count, Meta(description="earlier looks of the family")] = 0
    dev: Annotated[
        DevScore | None, Meta(description="development score of the same weights then")
    ] = None
    ledger: Annotated[LedgerLine, Meta(description="the look's line")] = LedgerLine()
    sealed: Annotated[dict[str, SealedFile], Meta(description="by task")] = {}


class Program(Struct, frozen=True, kw_only=True):
    """The olmes that made a run."""

    version: Annotated[str, Meta(description="of the package")] = ""
    git_commit: Annotated[str | None, Meta(description="of a checkout")] = None
    git_dirty: Annotated[bool | None, Meta(description="whether it had uncommitted changes")] = None


class Hardware(Struct, frozen=True, kw_only=True):
    """The machine a run happened on."""

    cpu: Annotated[str | None, Meta(description="its name")] = None
    cores: Annotated[int | None, Meta(description="logical")] = None
    gpu: Annotated[str | None, Meta(description="where torch was loaded and found one")] = None


class Environment(Struct, frozen=True, kw_only=True):
    """What a run happened on."""

    python: Annotated[str, Meta(description="version")] = ""
    platform: Annotated[str, Meta(description="operating system")] = ""
    packages: Annotated[
        dict[str, str], Meta(description="versions of those that can change a number")
    ] = {}
    hardware: Annotated[Hardware, Meta(description="the machine")] = Hardware()


class Cost(Struct, kw_only=True):
    """What the sessions of a run cost (docs/cost.md)."""

    sessions: Annotated[Count, Meta(description="the run was started so often")] = 0
    requests: Annotated[
        Count, Meta(description="sent to the model; those that failed included")
    ] = 0
    reused: Annotated[
        Count, Meta(description="responses from the cache or of an equal request")
    ] = 0
    prefill_tokens: Annotated[
        Count, Meta(description="prompt tokens and given continuations the model computed")
    ] = 0
    shared_tokens: Annotated[
        Count | None,
        Meta(description="prompt tokens computed once for several; `null`: not known"),
    ] = None
    decode_tokens: Annotated[Count, Meta(description="new tokens the model computed")] = 0
    reasoning_tokens: Annotated[
        Count, Meta(description="of these, those of thoughts, as far as they are known")
    ] = 0
    wall_s: Annotated[float, Meta(description="seconds, all sessions")] = 0.0
    model_s: Annotated[float, Meta(description="in the model, loading left out")] = 0.0
    load_s: Annotated[float, Meta(description="loading the model")] = 0.0
    scoring_cpu_s: Annotated[float, Meta(description="of the scoring processes")] = 0.0
    gpu_s: Annotated[float, Meta(description="`model_s` times the GPUs in use")] = 0.0
    peak_rss_bytes: Annotated[Count | None, Meta(description="largest resident memory")] = None
    peak_gpu_bytes: Annotated[
        Count | None, Meta(description="most that torch took on the first GPU")
    ] = None
    idle_s: Annotated[float | None, Meta(description="neither in the model nor loading it")] = None
    tokens_per_s: Annotated[float | None, Meta(description="computed, while in the model")] = None


class RunRecord(Struct, frozen=True, kw_only=True):
    """The whole of `run.json`."""

    schema: Annotated[int, Meta(ge=1, description="version of this layout")]
    id: Annotated[str, Meta(description="the folder's name")]
    identity: Annotated[
        str, Meta(description="hash of model, engine, formulations, scorers, items and limit")
    ] = ""
    complete: Annotated[
        bool, Meta(description="every request was answered and every response scored")
    ]
    created: Annotated[Time, Meta(description="when")]
    olmes: Annotated[Program, Meta(description="by which version and commit")] = Program()
    model: Annotated[RecordedModel, Meta(description="who was asked")]
    suite: Annotated[SuiteResult | None, Meta(description="`null` for single tasks")] = None
    limit: Annotated[int | None, Meta(description="items a task, at most; `null` for all")] = None
    named: Annotated[
        bool | UnsetType, Meta(description="the items were named one by one, and not drawn")
    ] = UNSET
    held_out: Annotated[
        HeldOut | None, Meta(description="the look at held-out tasks that it was")
    ] = None
    gated: Annotated[
        dict[str, SealedFile],
        Meta(description="samples of items that may not be published in plain text, by task"),
    ] = {}
    tasks: Annotated[dict[str, TaskResult], Meta(min_length=1, description="by name")]
    not_run: Annotated[
        dict[str, str], Meta(description="tasks that could not be run: reason and remedy")
    ] = {}
    warnings: Annotated[
        list[str], Meta(description="what a reader of the numbers must know, a sentence each")
    ] = []
    environment: Annotated[Environment, Meta(description="on what")] = Environment()
    timing: Annotated[dict[str, float], Meta(description="seconds")] = {}
    cost: Annotated[Cost | None, Meta(description="older records have none")] = None

    def title(self, task: str) -> str:
        """A task's name in reports."""
        return self.tasks[task].title or task

    @property
    def demo_tasks(self) -> list[str]:
        """The tasks that ran on built-in demo data."""
        return [name for name, task in self.tasks.items() if task.demo]

    @property
    def sealed(self) -> Mapping[str, SealedFile]:
        """The samples that are packed, by task: of held-out tasks, and of gated ones."""
        return {**self.gated, **(self.held_out.sealed if self.held_out else {})}

    @property
    def mean_tasks(self) -> list[str]:
        """The tasks whose mean is the run's number: those that its suite names for it, else all."""
        named = self.suite.mean if self.suite else None
        return [name for name in self.tasks if named is None or name in named]

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the run's mean is better: unless less of every task's metric is."""
        names = self.mean_tasks or self.tasks
        return any(self.tasks[name].score.higher_is_better for name in names)

    @property
    def looks_before(self) -> int:
        """Earlier looks of the family at held-out tasks."""
        return self.held_out.looks_before if self.held_out else 0

    @property
    def what(self) -> str:
        """The suite's name; of single tasks theirs."""
        return self.suite.name if self.suite else "-".join(self.tasks)


RowValue = float | bool | Sequence[float | bool] | None
"""A metric's value on one response; a list holds one flag a part, for metrics taken over parts."""


class RowJudgement(TypedDict, total=False):
    """A question that was put about a response, and what came back."""

    messages: list[Message]
    candidates: list[str]
    reference: str
    encoder: str
    text: str
    top_logprobs: int
    first_token_logprobs: dict[str, float]
    similarities: list[float]
    prompt_tokens: int
    completion_tokens: int
    error: str


class RowExecution(TypedDict):
    """A program that was executed, and what came of it."""

    source: str
    tests_hash: str
    result: Result
    output: str


class ResponseRow(TypedDict):
    """One line of a samples file: a response, what was asked, and its verdict."""

    doc_id: Annotated[int, Meta(ge=-LARGEST, le=LARGEST, description="row in the official file")]
    subtask: NotRequired[Annotated[str, Meta(description="`''` where there are none")]]
    doc_hash: Annotated[str, Meta(description="content of the item, by which runs are aligned")]
    cluster: NotRequired[
        Annotated[
            str, Meta(description="what the item shares with others, by which errors cluster")
        ]
    ]
    repeat: NotRequired[
        Annotated[int, Meta(ge=-LARGEST, le=LARGEST, description="which of several responses")]
    ]
    prompt_hash: NotRequired[Annotated[str, Meta(description="content of the request")]]
    messages: NotRequired[
        Annotated[list[Message] | None, Meta(description="the turns after `shared_messages`")]
    ]
    prompt: NotRequired[
        Annotated[str | None, Meta(description="a plain prompt, without a chat template")]
    ]
    prefill: NotRequired[Annotated[str, Meta(description="the answer's given first words")]]
    continuations: NotRequired[
        Annotated[list[str], Meta(description="whose log-likelihoods were asked for")]
    ]
    answers: NotRequired[
        Annotated[list[str], Meta(description="whose rewards were asked for, of a reward model")]
    ]
    gold: NotRequired[Annotated[Any, Meta(description="what the response is held against")]]
    response: NotRequired[Annotated[ResponseJson | None, Meta(description="what came back")]]
    values: Annotated[
        dict[str, RowValue],
        Meta(description="by metric; a list holds one flag a part"),
    ]
    extracted: NotRequired[Annotated[Any, Meta(description="the answer found")]]
    flags: Annotated[list[str], Meta(description="which `counts` it is in")]
    note: NotRequired[Annotated[str, Meta(description="why")]]
    parts: NotRequired[Annotated[list[VerdictPart], Meta(description="verdicts by instruction")]]
    judgements: NotRequired[
        Annotated[list[RowJudgement], Meta(description="judged tasks: questions and answers")]
    ]
    executions: NotRequired[
        Annotated[list[RowExecution], Meta(description="programs, and what came of them")]
    ]
