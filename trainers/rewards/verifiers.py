"""Rewards of responses: what verifiers say, in the killable processes of evaluation.

`trainers/rewards/kinds.py` says what a row may name. The reward of a response is the weighted sum of
what its row's verifiers give it. Nothing here uses signals, so that it works in any thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from olmes.errors import OlmesError
from olmes.models.hf.generation_rows import cut_at_stop
from olmes.reasoning import ANY, Reader, split
from olmes.rows.preferences import Row
from olmes.runs.score_sheet import answer_of, unanswered_values
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import ScoringPool
from olmes.trainers.rewards.function_task import FunctionTask
from olmes.trainers.rewards.judged import RewardingJudge
from olmes.trainers.rewards.kinds import Verifier, Verifiers, honest_metric
from olmes.trainers.rewards.settings import RewardFunction, RewardJudge
from olmes.types import Judgement, Response

__all__ = ["Rewarded", "Row", "VerifierRewards", "distinct_ngrams", "honest_metric"]
PATIENCE = 10
"""Batches in a row of which nothing could be scored, after which a training ends ..."""
FEWEST = 32
"""... when they held so many responses: a process may score one at a time."""
NAMED = 10
"""Rows whose verifiers crashed that are named on the screen."""


@dataclass(slots=True)
class RewardedResponse:
    """What one verifier made of one response, filled by the pool's threads."""

    values: dict[str, float | list[bool]] = field(default_factory=dict)
    timeouts: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewarded:
    """The rewards of a batch, and what else happened."""

    rewards: list[float | None]
    """None of a response that could not be scored: nothing is to be learned from it."""
    by_task: dict[str, float]
    """Mean value of each task's verifiers, unweighted, over the responses they scored."""
    timeouts: int
    crashes: int
    unfinished: int
    """Responses that ended inside their thought."""


class VerifierRewards:
    """Scores responses with the verifiers that rows name. A context manager: it owns processes.

    A scorer that hits its limit of time or memory gives 0, and is counted. One that crashes, or whose
    judge does not answer, is a fault of the scorer and not of the response, which then has no reward
    at all; it is counted, and the row is named once.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        metrics: Mapping[str, str] | None = None,
        functions: Mapping[str, RewardFunction] | None = None,
        judge: RewardJudge | None = None,
        scoring_processes: int | None = None,
        reader: Reader = ANY,
        where: Callable[[Row], str] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """Load everything that rows name.

        Args:
            rows: every row there will be, read for its verifiers alone.
            metrics: by task, the metric of verifiers that name none.
            functions: by `FILE.py:NAME`, how functions are called.
            judge: who judges where a row, or this, asks for it.
            scoring_processes: how many; None takes half of the processors, shared among the
                trainings on this machine.
            reader: how completions are taken apart into thought and answer.
            where: says which row of the data a row is, for messages.
            say: gets a line about faults.

        Raises:
            OlmesError: as `Verifiers`.
        """
        self.known = Verifiers(rows, metrics=metrics, functions=functions, judge=judge)
        self.judge = RewardingJudge(self.known.judge)
        self.reader = reader
        share = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self.pool = ScoringPool(
            self.known.tasks, scoring_processes or max(1, (os.cpu_count() or 2) // (2 * share))
        )
        self.lock = threading.Lock()
        self.named: set[str] = set()
        self.where = where or (lambda _: "")
        self.say = say
        self.unscored = Counter[str]()

    def __enter__(self) -> VerifierRewards:
        self.pool.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.__exit__()
        self.judge.close()

    def verifiers(self, row: Row) -> list[Verifier]:
        """The verifiers of a row, defaults filled in."""
        return self.known.of(row)

    def score(
        self, rows: Sequence[Row], texts: Sequence[str], ended: Sequence[bool] | None = None
    ) -> Rewarded:
        """The reward of each response; one that ended inside its thought is no answer.

        Args:
            rows: with `verifiers`, a list or its JSON text, and `prompt` where functions or a judge
                read it.
            texts: the responses; each is cut at the task's stop strings, as in evaluation.
            ended: whether each came to its end of sequence; None: all did.

        Raises:
            OlmesError: nothing could be scored for many batches, or no process could be started.
        """
        by_row = [self.verifiers(row) for row in rows]
        unfinished: set[int] = set()
        results = [[RewardedResponse() for _ in verifiers] for verifiers in by_row]
        waiting: list[tuple[Verifier, Response, RewardedResponse]] = []
        for index, verifiers in enumerate(by_row):
            done = ended is None or ended[index]
            for verifier, sink in zip(verifiers, results[index], strict=True):
                response = self.response(verifier.task, texts[index], done)
                task = self.pool.tasks[verifier.task]
                if response.unfinished_thinking:
                    unfinished.add(index)
                    sink.values.update(unanswered_values(task, verifier.doc))
                if verifier.metric not in sink.values:
                    if task.judged:
                        waiting.append((verifier, answer_of(response), sink))
                    else:
                        self.submit(verifier, response, sink)
        self.ask(waiting)
        self.pool.join()
        found = self.rewarded(rows, by_row, results, len(unfinished))
        self.check_patience(found.rewards)
        return found

    def submit(
        self, verifier: Verifier, response: Response, sink: RewardedResponse,
        judgements: Sequence[Judgement] | None = None,
    ) -> None:  # fmt: skip
        """Have the pool score one response; a benchmark's scorer sees its answer alone."""
        apart = isinstance(self.pool.tasks[verifier.task], FunctionTask)
        seen = response if apart else answer_of(response)
        self.pool.submit(verifier.task, verifier.doc, seen, self.filler(sink), judgements)

    def ask(self, waiting: Sequence[tuple[Verifier, Response, RewardedResponse]]) -> None:
        """Have responses judged, and what the judge said scored."""
        tasks = self.pool.tasks
        cases = [tasks[v.task].questions(v.doc, response) for v, response, _ in waiting]
        for (verifier, response, sink), judgements in zip(
            waiting, self.judge.judgements(cases), strict=True
        ):
            failed = [judgement.error for judgement in judgements if judgement.error]
            if failed:
                sink.crashes.append(failed[0])
            else:
                self.submit(verifier, response, sink, judgements)

    def response(self, task: str, text: str, ended: bool) -> Response:
        """A completion as evaluation would have given it to the scorer: its thought apart."""
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
        unfinished: int,
    ) -> Rewarded:
        """Verdicts as rewards."""
        rewards: list[float | None] = []
        by_task: dict[str, list[float]] = {}
        happened: Counter[str] = Counter()
        for row, verifiers, sinks in zip(rows, by_row, results, strict=True):
            total: float | None = 0.0
            for verifier, sink in zip(verifiers, sinks, strict=True):
                value = value_of(verifier, sink, happened)
                if value is None:
                    self.name(row, verifier, sink)
                    total = None
                    continue
                by_task.setdefault(verifier.task, []).append(value)
                if total is not None:
                    total += verifier.weight * value
            rewards.append(total)
        return Rewarded(
            rewards=rewards,
            by_task={name: sum(values) / len(values) for name, values in by_task.items()},
            timeouts=happened["timeout"],
            crashes=happened["crash"],
            unfinished=unfinished,
        )

    def name(self, row: Row, verifier: Verifier, sink: RewardedResponse) -> None:
        """Say once of a row that its scorer fails, and why."""
        key = str(row["verifiers"])
        if key in self.named or len(self.named) == NAMED:
            return
        self.named.add(key)
        place = self.where(row)
        self.say(
            f"a scorer of {verifier.task} failed{place and ' on '}{place}, so that nothing is learned "
            f"from it: {why(verifier, sink)}"
        )

    def check_patience(self, rewards: Sequence[float | None]) -> None:
        """Count batches of which nothing could be scored.

        Raises:
            OlmesError: there were too many in a row.
        """
        if not rewards or any(reward is not None for reward in rewards):
            self.unscored.clear()
            return
        self.unscored.update(batches=1, responses=len(rewards))
        if self.unscored["batches"] >= PATIENCE and self.unscored["responses"] >= FEWEST:
            raise OlmesError(
                f"none of the last {self.unscored['responses']} responses could be scored, because "
                "their scorers failed (see the lines above); correct the scorers or the rows, and "
                "give the same command again."
            )


def value_of(verifier: Verifier, sink: RewardedResponse, happened: Counter[str]) -> float | None:
    """What a verifier says of a response; None when it crashed."""
    found = sink.values.get(verifier.metric)
    if found is not None:
        return sum(found) / max(1, len(found)) if isinstance(found, list) else float(found)
    if sink.timeouts and not sink.crashes:
        happened["timeout"] += 1
        return 0.0
    happened["crash"] += 1
    return None


def why(verifier: Verifier, sink: RewardedResponse) -> str:
    """Why a verifier gave no value."""
    return sink.crashes[0] if sink.crashes else f"none gave '{verifier.metric}'"


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
