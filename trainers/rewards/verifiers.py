"""Rewards that can be verified: the tasks' own scorers, in the killable processes of evaluation.

A row says which verifiers score a response, and by which item of a benchmark:

    {"verifiers": [{"task": "gsm8k", "doc": {...}, "weight": 1.0, "metric": "exact_match"}]}

`task` is a task's name or file, `doc` an item in that benchmark's own fields, `metric` one of its
metrics (the share of flags where the metric has one a part). When it is left out, it is what the
recipe names for the task, or else its honest metric, or its primary one where there is no honest one.
The reward of a response is the weighted sum. Nothing here uses signals, so that it works in any thread.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from olmes.benchmark.registry import bundled_tasks, load_task
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.models.hf.generation_rows import cut_at_stop
from olmes.reasoning import ANY, Reader, split
from olmes.runs.score_sheet import answer_of, unanswered_values
from olmes.scoring.process.pool import Outcome, ScoringPool
from olmes.trainers.data.training_rows import VerifierJson
from olmes.types import Doc, Response

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verifier:
    """One scorer of a row."""

    task: str
    doc: Doc
    weight: float
    metric: str


@dataclass(slots=True)
class RewardedResponse:
    """What one verifier made of one response, filled by the pool's threads."""

    values: dict[str, float | list[bool]] = field(default_factory=dict)
    timeouts: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewarded:
    """The rewards of a batch, and what else happened."""

    rewards: list[float]
    by_task: dict[str, float]
    """Mean value of each task's verifiers, unweighted, over the responses they scored."""
    timeouts: int
    crashes: int
    unfinished: int
    """Responses that ended inside their thought."""


class VerifierRewards:
    """Scores responses with the tasks that rows name. A context manager: it owns processes.

    A scorer that hits its limit of time or memory gives 0, and is counted. One that crashes is a
    fault of the scorer: the response gets the mean of the batch's others of its prompt, which no
    advantage comes of, and the fault is said once a task.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        metrics: Mapping[str, str] | None = None,
        scoring_processes: int | None = None,
        reader: Reader = ANY,
        say: Callable[[str], None] = print,
    ) -> None:
        """Load every task that rows name.

        Args:
            rows: every row there will be, read for the tasks alone.
            metrics: by task, the metric of verifiers that name none.
            scoring_processes: how many; None takes half of the processors, shared among the
                trainings on this machine.
            reader: how completions are taken apart into thought and answer.
            say: gets a line about faults.

        Raises:
            OlmesError: a task does not exist, needs a judge, or has no such metric; or `metrics`
                names a task that is none.
        """
        self.metrics = dict(metrics or {})
        self.reader = reader
        self.names: dict[str, str] = {}
        tasks: dict[str, Task] = {}
        for reference, named in wanted(rows).items():
            task = load_task(reference)
            if task.judged:
                raise OlmesError(f"{task.name} needs a judge, so it cannot verify; choose another.")
            known = {metric.name for metric in task.metrics}
            asked = (named - {""}) | {self.metrics.setdefault(task.name, honest_metric(task))}
            if unknown := sorted(asked - known):
                raise OlmesError(
                    f"{task.name} has no metric '{unknown[0]}'; choose one of {sorted(known)}."
                )
            if tasks.get(task.name, task).reference != task.reference:
                raise OlmesError(f"two verifiers are called {task.name}; rename one.")
            tasks[task.name] = task
            self.names[reference] = task.name
        if strange := sorted(self.metrics.keys() - tasks.keys() - bundled_tasks().keys()):
            raise OlmesError(
                f"reward_metrics names '{strange[0]}', but there is no such task; correct the name."
            )
        share = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.pool = ScoringPool(
            tasks, scoring_processes or max(1, (os.cpu_count() or 2) // (2 * share))
        )
        self.lock = threading.Lock()
        self.said: set[str] = set()
        self.say = say

    def __enter__(self) -> VerifierRewards:
        self.pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.__exit__()

    def verifiers(self, row: Row) -> list[Verifier]:
        """The verifiers of a row, defaults filled in."""
        found = []
        for given in listed(row):
            name = self.names[given["task"]]
            metric = given.get("metric") or self.metrics[name]
            found.append(Verifier(name, given["doc"], float(given.get("weight", 1.0)), metric))
        return found

    def score(
        self, rows: Sequence[Row], texts: Sequence[str], ended: Sequence[bool] | None = None
    ) -> Rewarded:
        """The reward of each response; one that ended inside its thought is no answer.

        Args:
            rows: with `verifiers`, a list or its JSON text; equal rows are one prompt.
            texts: the responses; each is cut at the task's stop strings, as in evaluation.
            ended: whether each came to its end of sequence; None: all did.

        Raises:
            OlmesError: a scorer crashed on every response of the batch, or none could be started.
        """
        by_row = [self.verifiers(row) for row in rows]
        unfinished: set[int] = set()
        results = [[RewardedResponse() for _ in verifiers] for verifiers in by_row]
        for index, verifiers in enumerate(by_row):
            done = ended is None or ended[index]
            for verifier, sink in zip(verifiers, results[index], strict=True):
                response = self.response(verifier.task, texts[index], done)
                if response.unfinished_thinking:
                    unfinished.add(index)
                    task = self.pool.tasks[verifier.task]
                    sink.values.update(unanswered_values(task, verifier.doc))
                if verifier.metric not in sink.values:
                    asked = answer_of(response)
                    self.pool.submit(verifier.task, verifier.doc, asked, self.filler(sink))
        self.pool.join()
        return replace(self.rewarded(rows, by_row, results), unfinished=len(unfinished))

    def response(self, task: str, text: str, ended: bool) -> Response:
        """A completion as evaluation would have given it to the scorer: its thought taken out."""
        formulation = self.pool.tasks[task].formulation
        whole = Response(text=text, finish="stop" if ended else "length")
        answer = split(whole, self.reader.said(formulation.reasoning))
        found, stopped = cut_at_stop(answer.text, formulation.generation.stop)
        return replace(answer, text=found, finish="stop" if stopped else answer.finish)

    def filler(self, sink: RewardedResponse) -> Callable[[str, Outcome], None]:
        """Puts what the pool's threads report into `sink`."""

        def fill(_: str, outcome: Outcome) -> None:
            with self.lock:
                if outcome.verdict is not None:
                    sink.values.update(outcome.verdict.values)
                elif outcome.timeout:
                    sink.timeouts.append(outcome.timeout)
                else:
                    sink.crashes.append(outcome.crash)

        return fill

    def rewarded(
        self,
        rows: Sequence[Row],
        by_row: list[list[Verifier]],
        results: list[list[RewardedResponse]],
    ) -> Rewarded:
        """Verdicts as rewards.

        Raises:
            OlmesError: no response of the batch could be scored.
        """
        rewards: list[float | None] = []
        by_task: dict[str, list[float]] = {}
        happened: Counter[str] = Counter()
        for verifiers, sinks in zip(by_row, results, strict=True):
            total: float | None = 0.0
            for verifier, sink in zip(verifiers, sinks, strict=True):
                value = self.value(verifier, sink, happened)
                if value is None:
                    total = None
                elif total is not None:
                    total += verifier.weight * value
                if value is not None:
                    by_task.setdefault(verifier.task, []).append(value)
            rewards.append(total)
        return Rewarded(
            rewards=without_gaps(rewards, [str(row["verifiers"]) for row in rows]),
            by_task={name: sum(values) / len(values) for name, values in by_task.items()},
            timeouts=happened["timeout"],
            crashes=happened["crash"],
            unfinished=0,
        )

    def value(
        self, verifier: Verifier, sink: RewardedResponse, happened: Counter[str]
    ) -> float | None:
        """What a verifier says of a response; None when it crashed."""
        found = sink.values.get(verifier.metric)
        if found is not None:
            return sum(found) / max(1, len(found)) if isinstance(found, list) else float(found)
        if sink.timeouts and not sink.crashes:
            happened["timeout"] += 1
            return 0.0
        happened["crash"] += 1
        if verifier.task not in self.said:
            self.said.add(verifier.task)
            why = sink.crashes[0] if sink.crashes else f"none gave '{verifier.metric}'"
            self.say(f"a scorer of {verifier.task} failed: {why}")
        return None


def honest_metric(task: Task) -> str:
    """The metric that a response is rewarded by: the task's honest one, or its primary one."""
    honest = (metric.name for metric in task.metrics if metric.honest and not metric.over_parts)
    return next(honest, task.primary)


def wanted(rows: Iterable[Row]) -> dict[str, set[str]]:
    """The metrics of each task that rows name, '' standing for none."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for verifier in listed(row):
            found.setdefault(verifier["task"], set()).add(verifier.get("metric") or "")
    return found


def listed(row: Row) -> list[VerifierJson]:
    """A row's verifiers, which a data set holds as JSON text."""
    held = row["verifiers"]
    found: list[VerifierJson] = json.loads(held) if isinstance(held, str) else list(held)
    return found


def without_gaps(rewards: Sequence[float | None], prompts: Sequence[str]) -> list[float]:
    """Rewards with each gap filled by the mean of its prompt's others, or else of the batch.

    Raises:
        OlmesError: there are gaps only.
    """
    known = [reward for reward in rewards if reward is not None]
    if not known:
        raise OlmesError(
            "the scorers crashed on every response of a batch; score some of them with "
            "'olmes score' to see why."
        )
    filled: list[float] = []
    for reward, prompt in zip(rewards, prompts, strict=True):
        if reward is None:
            pairs = zip(rewards, prompts, strict=True)
            same = [one for one, other in pairs if other == prompt and one is not None] or known
            reward = sum(same) / len(same)
        filled.append(reward)
    return filled


def distinct_ngrams(texts: Sequence[str], n: int = 3) -> float:
    """Share of different ones among all runs of n words; 1 when there are none.

    It falls when responses repeat themselves or each other, as they do when a policy has found a
    text that pleases the verifier.
    """
    runs = [
        tuple(words[start : start + n])
        for words in map(str.split, texts)
        for start in range(len(words) - n + 1)
    ]
    return len(set(runs)) / len(runs) if runs else 1.0
