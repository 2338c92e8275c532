"""A plan: every request of a run, made before the model is asked for anything."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypedDict

import msgspec

from olmes import __version__
from olmes.benchmark.registry import scorer_hash
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset
from olmes.errors import OlmesError
from olmes.records.schema import JudgeModel
from olmes.requests.choosing import Limit, Named, check_limit, check_places, chosen, count_of
from olmes.requests.items import Concatenation, Item, Items
from olmes.tools.hashing import Members, content_hash, streamed_hash
from olmes.types import Instance, JsonObject, Message

LIMIT_SEED = 1234
"""Seed of the items a limit keeps (the reference's `random_subsample_seed`)."""


class TaskDescription(TypedDict):
    """A task's part of what a run's identity is a hash of."""

    formulation: str
    scorer: str
    items: Members
    """Each item's key and the hash of its document."""
    origin: str


@dataclass(frozen=True)
class TaskPlan:
    """One task's share of a run."""

    task: Task
    dataset: Dataset
    items: Items

    @cached_property
    def shared_messages(self) -> tuple[Message, ...]:
        """The turns every request of the task begins with: its exemplars.

        None are told apart where items are gated: exemplars may be items too, and a record shows them.
        """
        if self.dataset.gated:
            return ()
        chats = [request.messages for request in self.items.requests]
        shared: list[Message] = []
        for turns in zip(*(chat[:-1] for chat in chats), strict=False):
            if any(turn != turns[0] for turn in turns):
                break
            shared.append(turns[0])
        return tuple(shared)

    @cached_property
    def scorer_hash(self) -> str:
        """The hash of the scoring code, taken once: it is loaded once, too."""
        return scorer_hash(self.task)

    @cached_property
    def items_hash(self) -> str:
        """16 hex digits over sub-task and content of the items asked, whatever their order."""
        asked = zip(self.items.instances, self.items.doc_hashes, strict=True)
        keys = sorted(f"{one.subtask}/{doc_hash:016x}" for one, doc_hash in asked)
        return content_hash(keys)[:16]

    def description(self) -> TaskDescription:
        """What the task contributes to a run's identity, to be hashed once: items are streamed."""
        return {
            "formulation": self.task.formulation_hash,
            "scorer": self.scorer_hash,
            "items": Members(self.items.keys_and_docs()),
            "origin": self.dataset.origin,
        }


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a model is asked."""

    tasks: tuple[TaskPlan, ...]
    suite: Suite | None
    limit: int | None
    """Most items of a task."""
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Requested tasks that cannot be run, each with the reason and the remedy."""
    notes: tuple[str, ...] = ()
    """What was changed for this model, a sentence each."""
    k: tuple[int, ...] = ()
    """Which of pass@k and its like are shown; without them 1, 2, 4, ... up to the responses an item."""
    named: bool = False
    """Whether the items were named one by one, and neither all asked nor drawn."""

    @property
    def items(self) -> Concatenation[Item]:
        """Every item of every task."""
        return Concatenation([task.items for task in self.tasks])

    def identity(
        self,
        fingerprint: str,
        engine: JsonObject,
        judge: JudgeModel | Mapping[str, JudgeModel] | None = None,
    ) -> str:
        """16 hex digits: equal exactly when a run would have the same record.

        Args:
            fingerprint: the model's.
            engine: the model's.
            judge: how the judge is described, where a task has one; by task, where they differ.
        """
        tasks = {plan.task.name: plan.description() for plan in self.tasks}
        suite = None if self.suite is None else dataclasses.asdict(self.suite)
        description: JsonObject = {
            "olmes": __version__,
            "model": fingerprint,
            "engine": engine,
            "suite": suite,
            "limit": self.limit,
            "tasks": tasks,
        }
        if self.named:
            description["named"] = True
        if judge:
            description["judge"] = msgspec.to_builtins(judge)
        return streamed_hash(description)[:16]


def check_asked(tasks: Sequence[Task], limit: Limit | None, not_run: Mapping[str, str]) -> None:
    """Return when there is something to ask.

    Raises:
        OlmesError: there is no task, or the limit is neither a number of items nor a share.
    """
    if not tasks:
        why = " ".join(f"{name}: {reason}" for name, reason in not_run.items())
        raise OlmesError(f"there is nothing to run; {why or 'give --suite or --task.'}")
    check_limit(limit)


def make_plan(
    tasks: Sequence[Task],
    datasets: Mapping[str, Dataset],
    *,
    suite: Suite | None = None,
    limit: Limit | None = None,
    named: Sequence[Named] = (),
    among: Container[str] | None = None,
    not_run: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    k: Sequence[int] = (),
) -> Plan:
    """Make every request of a run.

    With `among` (instance ids) a limit draws from those instances only. `named` are items of one's own
    choice. `notes` say what was changed for the model, and `k` which pass@k are shown.

    Raises:
        OlmesError: there is no task, the limit is neither a number of items nor a share, or there is
            no item of a name.
    """
    check_asked(tasks, limit, not_run or {})
    check_places(named, [one for task in tasks for one in datasets[task.name].instances])
    plans = []
    most = limit if isinstance(limit, int) else None
    for task in tasks:
        instances: Sequence[Instance] = datasets[task.name].instances
        count = None if limit is None else count_of(limit, len(instances))
        if limit is not None and among is not None:
            instances = [one for one in instances if one.id in among] or instances
        if named:
            ids = {one.id for one in chosen(instances, named)}
            asked, count = [one for one in instances if one.id in ids], len(ids)
        else:
            asked = draw_instances(instances, count)
        if count is not None and not isinstance(limit, int):
            most = max(most or 0, count)
        system = task.formulation.system
        requests = [task.request(one.doc).with_system(system).made_for(one.id) for one in asked]
        plans.append(TaskPlan(task, datasets[task.name], Items(asked, requests)))
    return Plan(
        tuple(plans), suite, most, dict(not_run or {}), tuple(notes), tuple(k), named=bool(named)
    )


def draw_instances(instances: Sequence[Instance], limit: int | None) -> list[Instance]:
    """`limit` instances, drawn with a fixed seed and spread evenly over the sub-tasks.

    A smaller limit keeps a subset of a larger one, so that raising it reuses every response.
    """
    if limit is None or limit >= len(instances):
        return list(instances)
    groups: dict[str, list[int]] = {}
    for position, instance in enumerate(instances):
        groups.setdefault(instance.subtask, []).append(position)
    for name, positions in groups.items():
        random.Random(f"{LIMIT_SEED}/{name}").shuffle(positions)  # noqa: S311 (no secret)
    order = list(groups)
    random.Random(LIMIT_SEED).shuffle(order)  # noqa: S311 (no secret)
    rounds = max(map(len, groups.values()))
    drawn = [
        groups[name][turn] for turn in range(rounds) for name in order if turn < len(groups[name])
    ]
    return [instances[position] for position in sorted(drawn[:limit])]
