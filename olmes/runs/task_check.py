"""What `olmes check` does: hold a task against its own data before any model is asked.

Every prompt is built, and the task's oracle (`Task.perfect_response`) goes through the real scoring
processes: what must be right has to score so, and what must be wrong must not.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from olmes.benchmark.metrics import Metric
from olmes.benchmark.registry import scorer_hash
from olmes.benchmark.task import Task
from olmes.data import files
from olmes.data.dataset import Dataset
from olmes.data.places import DataFolders, find_in
from olmes.data.resolve import resolve
from olmes.requests.plan import draw_instances
from olmes.scoring.process.job import Outcome
from olmes.scoring.process.pool import ScoringPool
from olmes.tools.as_json import as_json
from olmes.tools.hashing import canonical_json, sha256
from olmes.types import Instance, Judgement, Request, Response, Similarity

Kind = Literal["task", "data", "prompt", "perfect", "corrupted"]
"""What a finding is about: the task's declarations, its data, the prompt of an item, what the oracle's
right response scored, what its wrong one did."""
NEAR = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong, or that the task's author should know."""

    kind: Kind
    message: str
    item: str = ""
    """Id of the item; empty for what concerns the whole task."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return {"kind": self.kind, "item": self.item, "message": self.message}


@dataclass(kw_only=True)
class MetricCheck:
    """How often one metric gave what it must."""

    metric: Metric
    perfect: int = 0
    """Items whose right response scored as `Task.perfect_values` say."""
    not_perfect: int = 0
    unchecked: int = 0
    """Items of which nothing is expected."""
    corrupted: int | None = None
    """Items whose wrong response scored as such; None for a metric that is not the primary one."""
    not_corrupted: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return {
            "unit": self.metric.unit,
            "higher_is_better": self.metric.higher_is_better,
            "perfect": self.perfect,
            "not_perfect": self.not_perfect,
            "unchecked": self.unchecked,
            "corrupted": self.corrupted,
            "not_corrupted": self.not_corrupted,
        }


@dataclass(kw_only=True)
class TaskCheck:
    """What a check found."""

    task: Task
    dataset: Dataset
    items: Sequence[Instance]
    """Those that were checked."""
    first: Request | None = None
    """The first prompt that could be built."""
    prompts: int = 0
    """How many could be."""
    duplicates: int = 0
    """Items whose prompt another item has already."""
    metrics: dict[str, MetricCheck] = field(default_factory=dict)
    needs: dict[str, Any] = field(default_factory=dict)
    """What a run needs: `judge`, `sandbox`, `encoders`, `log_likelihoods` of the model, `extras` of
    olmes, and the `network` hosts its official data come from."""
    hashes: dict[str, str] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)
    """Each is a reason for `olmes check` to fail."""
    notices: list[Finding] = field(default_factory=list)
    """What the author should know."""

    def to_json(self) -> dict[str, Any]:
        """What `olmes check --json` prints."""
        return {
            "task": self.task.name,
            "title": self.task.title,
            "ok": not self.problems,
            "data": as_json(self.dataset.recorded()),
            "items": len(self.items),
            "prompts": {
                "built": self.prompts,
                "duplicates": self.duplicates,
                "first": self.first.to_json() if self.first else None,
            },
            "primary": self.task.primary,
            "metrics": {name: check.to_json() for name, check in self.metrics.items()},
            "needs": self.needs,
            "hashes": self.hashes,
            "problems": [finding.to_json() for finding in self.problems],
            "notices": [finding.to_json() for finding in self.notices],
        }

    def leave_out_texts(self) -> None:
        """Take out what quotes items, for those that may not be published in plain text."""
        self.first = None
        for findings in (self.problems, self.notices):
            findings[:] = [
                replace(one, message="the item is gated; --texts says what it is")
                if one.item
                else one
                for one in findings
            ]

    def problem(self, kind: Kind, message: str, item: str = "") -> None:
        """Note something that is wrong."""
        self.problems.append(Finding(kind=kind, message=message, item=item))

    def notice(self, kind: Kind, message: str, item: str = "") -> None:
        """Note something to know."""
        self.notices.append(Finding(kind=kind, message=message, item=item))


@dataclass(frozen=True, slots=True)
class Trial:
    """One response of the oracle that is scored."""

    item: Instance
    response: Response
    corrupt: bool
    judgements: Sequence[Judgement] | None
    expected: Mapping[str, float]
    """`Task.perfect_values`."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """By scorer."""

    @property
    def kind(self) -> Kind:
        """What a finding about it is about."""
        return "corrupted" if self.corrupt else "perfect"


def check_task(
    task: Task,
    data: DataFolders = None,
    *,
    limit: int | None = None,
    say: Callable[[str], None],
    scoring_processes: int | None = None,
    dataset: Dataset | None = None,
) -> TaskCheck:
    """Hold a task against its data.

    Args:
        task: the task.
        data: folders of benchmark files, as for a run.
        limit: check this many items only.
        say: called with where the data come from, a line each.
        scoring_processes: how many; None takes every processor.
        dataset: the data, where they were read already.

    Raises:
        OlmesError: there is no data, it cannot be read, or a scoring process does not start.
    """
    dataset = dataset or resolve(task, data, say=say)
    found = TaskCheck(task=task, dataset=dataset, items=draw_instances(dataset.instances, limit))
    check_declarations(found)
    check_data(found)
    check_prompts(found)
    check_scorers(found, scoring_processes)
    found.hashes = {
        "content_hash": dataset.content_hash,
        "formulation_hash": task.formulation_hash,
        "scorer_hash": scorer_hash(task),
    }
    return found


def check_declarations(found: TaskCheck) -> None:
    """The metrics and scorers that the class names."""
    task = found.task
    names = Counter(metric.name for metric in task.metrics)
    for name in (name for name, count in names.items() if count > 1):
        found.problem("task", f"two metrics are called '{name}'; rename one")
    if task.primary not in names:
        found.problem("task", f"`primary` is '{task.primary}', which is none of its metrics")
    for scorer in task.scorers:
        if not callable(getattr(task, scorer, None)):
            found.problem("task", f"`scorers` names '{scorer}', which the class does not have")
    if task.judged and type(task).questions is Task.questions:
        found.problem("task", "the task is `judged` but has no `questions`")
    if task.executed and type(task).programs is Task.programs:
        found.problem("task", "the task is `executed` but has no `programs`")
    if all(metric.settled for metric in task.metrics):
        found.problem(
            "task", "every metric is `settled`, so that no response has a value of its own"
        )
    found.metrics = {metric.name: MetricCheck(metric=metric) for metric in task.metrics}


def check_data(found: TaskCheck) -> None:
    """What the task declares about its data, held against the data that were found."""
    source, dataset = found.task.source, found.dataset
    if found.task.items_file is not None:  # which is the set, and need not be declared
        return
    if dataset.origin in ("folder", "official"):
        declared = sum(file.rows for file in source.files)
        if declared and declared != len(dataset.instances):
            found.notice(
                "data",
                f"`rows` declares {declared} in total; the data has {len(dataset.instances)}",
            )
    if dataset.origin == "folder":
        for file in source.files:
            there = find_in(dataset.folders, file.path)
            if there is not None and file.github and not file.sha256:
                digest = sha256(files.uncompressed(there[1]))
                found.notice(
                    "data", f"no `sha256` is declared for {file.path}; this file's is {digest}"
                )
    if dataset.origin != "demo" and not source.content_hash:
        found.notice(
            "data",
            "no `content_hash` is declared, so no data counts as official; "
            f"this data's is {dataset.content_hash}",
        )
    elif dataset.origin != "demo" and not dataset.official:
        found.notice(
            "data",
            f"the data differs from the declared set, whose hash is {source.content_hash[:16]}",
        )


def check_prompts(found: TaskCheck) -> None:
    """Build the prompt of every item; name those that fail, and those that are the same."""
    task = found.task
    seen: dict[bytes, Instance] = {}
    for item in found.items:
        try:
            request = task.request(item.doc)
            json.dumps(task.gold(item.doc))
            task.cluster(item.doc)
            worst = task.wrong_values(item.doc)
        except Exception as error:  # an author's fault, which is reported with its item
            found.problem("prompt", f"{type(error).__name__}: {error}", item.id)
            continue
        for wrong in wrong_requests(request):
            found.problem("prompt", wrong, item.id)
        if task.decisive not in worst and not found.prompts:
            found.problem(
                "task",
                f"`wrong_values` has no {task.decisive}, so that a response whose scorer runs into its "
                "time limit would not count",
            )
        found.prompts += 1
        found.first = found.first or request
        other = seen.setdefault(canonical_json(request.to_json()), item)
        if other is not item:
            found.duplicates += 1
            same = other.doc_hash == item.doc_hash
            message = "is a duplicate of" if same else "has other content but the same prompt as"
            found.notice("prompt", f"{message} {other.id}", item.id)
    hosts = {"github.com": any(file.github for file in task.source.files)}
    hosts["huggingface.co"] = bool(task.source.hub)
    found.needs = {
        "judge": task.judged,
        "sandbox": task.executed,
        "encoders": [],
        "log_likelihoods": bool(found.first and found.first.continuations),
        **({"rewards": True} if found.task.for_reward_models else {}),
        "extras": list(task.extras),
        "network": [host for host, asked in hosts.items() if asked],
    }


def wrong_requests(request: Request) -> Iterator[str]:
    """What no model could answer in a request."""
    if bool(request.messages) == (request.prompt is not None):
        yield "a request needs either `messages` or a `prompt`"
    if not request.continuations and request.generation.max_tokens < 1:
        yield f"max_tokens is {request.generation.max_tokens}, so that nothing can be answered"
    if len(set(request.continuations)) < len(request.continuations):
        yield "two continuations are the same, so that neither can be the likelier"
    if "" in request.continuations:
        yield "an empty continuation has no likelihood"


def check_scorers(found: TaskCheck, scoring_processes: int | None) -> None:
    """Score the oracle's responses to every item, and compare with what they must score."""
    task = found.task
    trials = [
        trial
        for item in found.items
        for corrupt in (False, True)
        if (trial := trial_of(found, item, corrupt)) is not None
    ]
    if task.judged and not trials and found.items:
        found.notice(
            "task",
            "the scorers were not checked: a judged task needs `perfect_judgements` for that",
        )
    if not trials:
        return
    with ScoringPool({task.name: task}, scoring_processes or os.cpu_count()) as pool:
        for trial in trials:
            done = trial.outcomes.__setitem__
            pool.submit(task.name, trial.item.doc, trial.response, done, trial.judgements)
        pool.join()
    perfect: dict[str, Mapping[str, float]] = {}
    for trial in trials:
        values = values_of(found, trial)
        if values is None:
            continue
        if trial.corrupt:
            compare_corrupted(found, trial, values, perfect.get(trial.item.id, {}))
        else:
            perfect[trial.item.id] = values
            compare_perfect(found, trial, values)


def trial_of(found: TaskCheck, item: Instance, corrupt: bool) -> Trial | None:
    """The oracle's response to an item, judged where the task is; None where that is impossible."""
    task = found.task
    kind: Kind = "corrupted" if corrupt else "perfect"
    try:
        response = task.perfect_response(item.doc, corrupt=corrupt)
        continuations = task.request(item.doc).continuations
        if len(response.logprobs) != len(continuations):
            found.problem(
                kind,
                f"perfect_response has {len(response.logprobs)} `logprobs` for "
                f"{len(continuations)} continuations",
                item.id,
            )
            return None
        expected = {} if corrupt else task.perfect_values(item.doc)
        if not task.judged:
            return Trial(item, response, corrupt, None, expected)
        questions = task.questions(item.doc, response)
        names = {one.encoder for one in questions if isinstance(one, Similarity)}
        found.needs["encoders"] = sorted({*found.needs["encoders"], *names})
        judgements = task.perfect_judgements(item.doc, questions, corrupt=corrupt)
        return None if judgements is None else Trial(item, response, corrupt, judgements, expected)
    except Exception as error:  # an author's fault, which is reported with its item
        found.problem(kind, f"{type(error).__name__}: {error}", item.id)
        return None


def values_of(found: TaskCheck, trial: Trial) -> dict[str, float] | None:
    """The values that the scorers gave together; None when one of them gave none."""
    values: dict[str, float] = {}
    for scorer in found.task.scorers:
        outcome = trial.outcomes[scorer]
        if outcome.verdict is None:
            found.problem(trial.kind, outcome.crash or outcome.timeout, trial.item.id)
            return None
        for name, value in outcome.verdict.values.items():
            if name not in found.metrics:
                found.problem(trial.kind, f"'{name}' is none of the metrics", trial.item.id)
                continue
            values[name] = mean_of(value)
            if found.metrics[name].metric.unit == "share" and not 0 <= values[name] <= 1:
                found.problem(
                    trial.kind,
                    f"{name} is {values[name]:g}, which is not a share; give it unit='number'",
                    trial.item.id,
                )
    return values


def mean_of(value: float | list[bool]) -> float:
    """A value as one number: the share of true flags where it has parts."""
    if isinstance(value, list):
        return sum(value) / len(value) if value else 1.0
    return float(value)


def compare_perfect(found: TaskCheck, trial: Trial, values: Mapping[str, float]) -> None:
    """Hold what a right response scored against what it must score."""
    expected = trial.expected
    for name, check in found.metrics.items():
        if name not in expected:
            check.unchecked += 1
        elif name in values and math.isclose(values[name], expected[name], abs_tol=NEAR):
            check.perfect += 1
        else:
            check.not_perfect += 1
            message = f"{name} is {number(values.get(name))}, expected {number(expected[name])}"
            found.problem("perfect", message + said(trial), trial.item.id)


def compare_corrupted(
    found: TaskCheck, trial: Trial, values: Mapping[str, float], perfect: Mapping[str, float]
) -> None:
    """Hold what a wrong response scored on the primary metric against what it must."""
    name = found.task.decisive
    if name not in found.metrics:
        return
    check = found.metrics[name]
    check.corrupted, check.not_corrupted = check.corrupted or 0, check.not_corrupted or 0
    value, best = values.get(name), perfect.get(name)
    if check.metric.best == 1.0:
        right, expected = value == 0.0, "0"
    else:
        sign = 1 if check.metric.higher_is_better else -1
        right = value is not None and best is not None and sign * value < sign * best
        expected = f"worse than {number(best)}"
    if right:
        check.corrupted += 1
    else:
        check.not_corrupted += 1
        message = f"{name} is {number(value)}, expected {expected}"
        found.problem("corrupted", message + said(trial), trial.item.id)


def number(value: float | None) -> str:
    """A value in a sentence."""
    return "missing" if value is None else f"{value:.6g}"


def said(trial: Trial) -> str:
    """What the scorers saw, to find the reason by."""
    verdicts = [one.verdict for one in trial.outcomes.values() if one.verdict is not None]
    extracted = [repr(one.extracted)[:80] for one in verdicts if one.extracted is not None]
    notes = [one.note for one in verdicts if one.note]
    shown = [f"response {trial.response.text[:80]!r}"] if trial.response.text else []
    shown += [f"logprobs {trial.response.logprobs}"] if trial.response.logprobs else []
    shown += [f"extracted {one}" for one in extracted]
    return f" ({'; '.join([*shown, *notes])})" if shown or notes else ""
