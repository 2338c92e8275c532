"""Generators as Ray actors, anywhere on a cluster; needs `pip install 'olmes[ray]'`.

A run joins the cluster that `RAY_ADDRESS` names, and starts one of its own on this machine where
none is named.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from olmes.errors import OlmesError
from olmes.models.ray.cluster import quiet_ray
from olmes.trainers.ppo.rollout import Order, Rollout
from olmes.trainers.ppo.waiting import Sight, Waiting
from olmes.trainers.ppo.worker import GenerationWorker, GeneratorRecipe

PAUSE = 0.2
"""Seconds between two looks at who is waited for."""
NEWS = "news"
"""The actors' thread that hears of new weights; the other one generates."""


class Actor:
    """A `GenerationWorker` that keeps the newest reference to weights it was given.

    `notice` runs in a thread of its own and is heard while `generate` is at work: an order is made
    with the weights of the moment it is begun, not of the moment it was ordered.
    """

    def __init__(self, recipe: GeneratorRecipe, version: int, boxed: list[Any]) -> None:
        self.worker = GenerationWorker(recipe)
        self.newest: tuple[int, Any] = (version, boxed[0])
        self.version = -1

    def notice(self, version: int, boxed: list[Any]) -> None:
        """Remember where a version's weights are; in a list, so that Ray does not fetch them."""
        self.newest = max(self.newest, (version, boxed[0]), key=lambda pair: pair[0])

    def alive(self) -> None:
        """Answer, in the thread that generates nothing."""

    def generate(self, order: Order) -> list[Rollout]:
        """Rollouts for an order, with the newest weights."""
        import ray
        import torch

        version, reference = self.newest
        if version != self.version:
            arrays = ray.get(reference)
            self.worker.load({name: torch.tensor(a) for name, a in arrays.items()})
            self.version = version
        rollouts: list[Rollout] = self.worker.generate(order, version)
        return rollouts


class RayWorkers:
    """The `Workers` of a cluster: weights go through Ray's object store, orders to actors.

    Raises:
        OlmesError: Ray is not installed.
    """

    def __init__(
        self,
        recipe: GeneratorRecipe,
        weights: Mapping[str, Any],
        version: int,
        count: int,
        restarts: int,
        limit: float = math.inf,
    ) -> None:
        """Args: `limit`: seconds without a sign of life after which an actor is replaced."""
        self.waiting = Waiting(limit)
        try:
            ray = self.ray = quiet_ray()
        except ImportError as error:
            raise OlmesError(
                'carrier = "ray" needs Ray: pip install \'olmes[ray]\', or use carrier = "processes".'
            ) from error
        self.recipe = recipe
        self.restarts = restarts
        self.restarted = 0
        self.deaths = 0
        self.started = not ray.is_initialized()
        if self.started:
            # Without "local" Ray would wait for whatever cluster was last started on this machine.
            address = os.environ.get("RAY_ADDRESS")
            alone = {} if address else {"include_dashboard": False}
            ray.init(address=address or "local", log_to_driver=False, **alone)
        self.actors: list[Any] = []
        self.owed: dict[Any, tuple[int, Order]] = {}
        self.reference: Any = None
        self.publish(weights, version)
        self.actors = [self.start() for _ in range(count)]
        self.sights = [self.sight(actor) for actor in self.actors]

    def start(self) -> Any:
        """An actor that knows of the newest weights."""
        on_gpu = self.recipe.device.startswith("cuda")
        remote = self.ray.remote(num_gpus=int(on_gpu), concurrency_groups={NEWS: 1})(Actor)
        # Ray gives an actor sight of its own GPU alone, whatever its number on the machine.
        recipe = replace(self.recipe, device="cuda:0") if on_gpu else self.recipe
        return remote.remote(recipe, self.version, [self.reference])

    def sight(self, actor: Any) -> Sight:
        """An actor's signs of life: how often it has answered."""
        answered = 0

        def asked() -> Any:
            return actor.alive.options(concurrency_group=NEWS).remote()

        question = asked()

        def count() -> int:
            nonlocal answered, question
            if self.ray.wait([question], timeout=0)[0]:
                answered, question = answered + 1, asked()
            return answered

        return Sight(count)

    def submit(self, order: Order) -> None:
        """To the actor that owes least."""
        loads = [0] * len(self.actors)
        for index, _ in self.owed.values():
            loads[index] += 1
        self.give(loads.index(min(loads)), order)

    def give(self, index: int, order: Order) -> None:
        """An order to one actor."""
        self.owed[self.actors[index].generate.remote(order)] = (index, order)

    def receive(self) -> list[Rollout]:
        """See `Workers.receive`."""
        self.waiting.begin()
        while True:
            done, _ = self.ray.wait(list(self.owed), num_returns=1, timeout=PAUSE)
            if not done:
                self.look()
                continue
            index, _ = self.owed[done[0]]
            try:
                rollouts: list[Rollout] = self.ray.get(done[0])
            except self.ray.exceptions.RayActorError as error:
                self.replace(index, error)
                continue
            del self.owed[done[0]]
            self.deaths = 0
            return rollouts

    def look(self) -> None:
        """Say what is waited for, and end an actor that gives no sign of life."""
        owing = sorted({index for index, _ in self.owed.values()})
        for index in self.waiting.look(
            [(f"generator actor {index}", self.sights[index], index) for index in owing]
        ):
            self.ray.kill(self.actors[index])
            # At once: what it owes fails only when its process has ended, which was stopped.
            self.replace(index, OlmesError("it has shown no sign of life."))

    def replace(self, index: int, error: BaseException) -> None:
        """A new actor for one that died, which gets what was owed."""
        self.deaths += 1
        if self.deaths > self.restarts:
            raise OlmesError(
                f"the generator actor died {self.deaths} times in a row; see Ray's log of it."
            ) from error
        self.restarted += 1
        self.actors[index] = self.start()
        self.sights[index] = self.sight(self.actors[index])
        orders = [order for i, order in self.owed.values() if i == index]
        self.owed = {future: owed for future, owed in self.owed.items() if owed[0] != index}
        for order in orders:
            self.give(index, order)

    def publish(self, weights: Mapping[str, Any], version: int) -> None:
        """Put the weights into the object store and say so to the actors."""
        arrays = {
            name: tensor.detach().float().cpu().numpy().copy() for name, tensor in weights.items()
        }
        self.version, self.reference = version, self.ray.put(arrays)
        for actor in self.actors:
            actor.notice.options(concurrency_group=NEWS).remote(version, [self.reference])

    def close(self) -> None:
        """End the actors, and Ray itself where this run started it."""
        for actor in self.actors:
            self.ray.kill(actor)
        if self.started:
            self.ray.shutdown()
