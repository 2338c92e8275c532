"""The kinds of verifiers that rows and recipes name, each as the task that does the scoring.

| a row's verifier | what scores |
|---|---|
| `{"task": "gsm8k", "doc": {...}}` | a benchmark's scorer, or a task file's; `doc` is its item |
| `{"function": "mine.py:score", "doc": {...}}` | a Python function; `doc` is what it gets as `row` |
| `{"judge": "a rubric", "doc": {...}}` | the recipe's judge; `doc` may have a `reference` |
| `{"code": {"tests": "assert ..."}}` | these tests, in a sandbox after the answer's code |

Each may have a `weight` (1.0), the first a `metric`. A recipe's [reward_functions] and the rubric of
its [judge] are verifiers of every row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from olmes.benchmark.registry import bundled_tasks, load_task, task_from_reference
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.rows.preferences import Row
from olmes.sandbox.choice import chosen
from olmes.trainers.data.held_out_rows import refuse_held_out_items, refuse_held_out_task
from olmes.trainers.data.training_rows import VerifierJson, kind_of
from olmes.trainers.rewards import code_task, function_task, rubric_task
from olmes.trainers.rewards.settings import RewardFunction, RewardJudge
from olmes.types import Doc

RUBRIC = "rubric"


@dataclass(frozen=True, slots=True)
class Verifier:
    """One scorer of a row."""

    task: str
    doc: Doc
    weight: float
    metric: str


class Verifiers:
    """The tasks that rows and a recipe name, loaded, and each row's verifiers among them."""

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        metrics: Mapping[str, str] | None = None,
        functions: Mapping[str, RewardFunction] | None = None,
        judge: RewardJudge | None = None,
    ) -> None:
        """Load every task.

        Args:
            rows: every row there will be, read for its verifiers alone.
            metrics: by task, the metric of verifiers that name none.
            functions: by `FILE.py:NAME`, how they are called.
            judge: who judges.

        Raises:
            OlmesError: a task or a function's file does not exist; a task has no such metric; two
                have one name; something is to be judged and there is no judge; a task, or an item of
                a row, is held out.
        """
        self.metrics = dict(metrics or {})
        self.functions = dict(functions or {})
        self.judge = judge or RewardJudge()
        self.tasks: dict[str, Task] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.everywhere = list(self.of_the_recipe())
        named = wanted(rows)
        for verifier in self.everywhere:
            named.setdefault((kind_of(verifier), reference_of(verifier)), set()).add("")
        for (kind, reference), asked in named.items():
            task = self.load(kind, reference)
            self.add(task, asked)
            self.names[kind, reference] = task.name
        if strange := sorted(self.metrics.keys() - self.tasks.keys() - bundled_tasks().keys()):
            raise OlmesError(
                f"reward_metrics names '{strange[0]}', but there is no such task; correct the name."
            )

    def of_the_recipe(self) -> Iterable[VerifierJson]:
        """What a recipe has every row rewarded by."""
        for name, how in self.functions.items():
            if how.every_row:
                yield {"function": name, "doc": {}, "weight": how.weight}
        if self.judge.rubric:
            yield {"judge": self.judge.rubric, "doc": {}, "weight": self.judge.weight}

    def load(self, kind: str, reference: str) -> Task:
        """The task that scores what a verifier names.

        Raises:
            OlmesError: there is none.
        """
        if kind == "function":
            return self.function(reference)
        if kind == "code":
            return task_from_reference(code_task.__name__)
        task = (
            task_from_reference(rubric_task.__name__).with_settings(
                {"max_tokens": self.judge.max_tokens}
            )
            if kind == "judge"
            else load_task(reference)
        )
        if task.weighs:
            raise OlmesError(
                f"{task.name} weighs given answers, so that no response of a model is worth anything "
                "to it; choose a task that generates text."
            )
        if task.judged and not self.judge.model:
            raise OlmesError(
                f"{task.name} needs a judge, so it cannot verify by itself; name one in the recipe "
                "([judge] model = ...), or choose another."
            )
        if kind == "task":
            refuse_held_out_task(reference)
        if task.executed:
            chosen()
        return task

    def function(self, reference: str) -> Task:
        """The task that calls a function.

        Raises:
            OlmesError: the reference is no file and name, or there is no such file.
        """
        file, _, member = reference.rpartition(":")
        if not file.endswith(".py") or not member.isidentifier():
            raise OlmesError(f"'{reference}' names no function; write FILE.py:NAME.")
        if not Path(file).is_file():
            raise OlmesError(f"there is no file {file} with a function '{member}'; check the path.")
        how = self.functions.get(reference, RewardFunction())
        settings = {"function": reference, "seconds": how.seconds, "memory_gb": how.memory_gb}
        task = task_from_reference(function_task.__name__).with_settings(settings)
        task.name = member
        return task

    def add(self, task: Task, asked: set[str]) -> None:
        """Take a task in, with the metrics that its verifiers ask for; '' stands for none.

        Raises:
            OlmesError: it has no such metric, or another of its name is there.
        """
        known = {metric.name for metric in task.metrics}
        asked = (asked - {""}) | {self.metrics.setdefault(task.name, honest_metric(task))}
        if unknown := sorted(asked - known):
            raise OlmesError(
                f"{task.name} has no metric '{unknown[0]}'; choose one of {sorted(known)}."
            )
        before = self.tasks.setdefault(task.name, task)
        if (before.reference, before.settings) != (task.reference, task.settings):
            raise OlmesError(f"two verifiers are called {task.name}; rename one.")

    def of(self, row: Row) -> list[Verifier]:
        """The verifiers of a row, defaults filled in, and those of every row behind them."""
        found = []
        own = listed(row)
        named = {given["function"] for given in own if "function" in given}
        shared = [given for given in self.everywhere if given.get("function") not in named]
        for given in [*own, *shared]:
            kind, reference = kind_of(given), reference_of(given)
            name = self.names[kind, reference]
            usual = self.functions[reference].weight if reference in self.functions else 1.0
            found.append(
                Verifier(
                    name,
                    document(kind, given, row, self.everywhere),
                    float(given.get("weight", usual)),
                    given.get("metric") or self.metrics[name],
                )
            )
        return found

    def best(self, row: Row) -> float:
        """What a row's verifiers give a response that all find right."""
        return sum(max(0.0, verifier.weight) for verifier in self.of(row))


def document(kind: str, given: VerifierJson, row: Row, everywhere: list[VerifierJson]) -> Doc:
    """The item that a verifier's task scores by."""
    if kind == "task":
        return given["doc"]
    prompt = row.get("prompt", [])
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if kind == "code":
        return {"prompt": turns, "code": code_task.checked(given["code"])}
    if kind == "judge":
        return {"reference": "", **given["doc"], "prompt": turns, "rubric": given["judge"]}
    if any(given is one for one in everywhere):  # it reads what the row's own verifiers know
        return {"prompt": turns, "row": {"verifiers": listed(row)}}
    return {"prompt": turns, "row": given["doc"]}


def honest_metric(task: Task) -> str:
    """The metric that a response is rewarded by: the task's honest one, or the one that decides."""
    honest = (
        metric.name
        for metric in task.metrics
        if metric.honest and not (metric.over_parts or metric.settled)
    )
    return next(honest, task.decisive)


def reference_of(verifier: VerifierJson) -> str:
    """What a verifier names; all rubrics are one task, and so are all tests."""
    kind = kind_of(verifier)
    return RUBRIC if kind == "judge" else kind if kind == "code" else str(verifier.get(kind, ""))


def wanted(rows: Iterable[Row]) -> dict[tuple[str, str], set[str]]:
    """The metrics of each verifier, by kind and reference, that rows name, '' standing for none.

    Raises:
        OlmesError: a row holds an item of a held-out task, or tests that cannot be executed.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        own = listed(row)
        refuse_held_out_items(own, [row.get("prompt")])
        for verifier in own:
            if "code" in verifier:
                code_task.checked(verifier["code"])
            key = kind_of(verifier), reference_of(verifier)
            found.setdefault(key, set()).add(verifier.get("metric") or "")
    return found


def listed(row: Row) -> list[VerifierJson]:
    """A row's verifiers, which a data set holds as JSON text."""
    held = row["verifiers"]
    found: list[VerifierJson] = json.loads(held) if isinstance(held, str) else list(held)
    return found
