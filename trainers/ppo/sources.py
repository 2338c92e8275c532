"""Where a run's batches of rollouts come from: this process, an engine beside it, or generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from olmes.trainers.ppo.asynchronous import Asynchronous, generator_recipe, start_workers
from olmes.trainers.ppo.config import PPOConfig
from olmes.trainers.ppo.learner import Learner
from olmes.trainers.ppo.processes import ProcessWorkers
from olmes.trainers.ppo.rollout import Generator, Order, Prompts, Rollout, Sampling, orders_of
from olmes.trainers.ppo.sharding import is_sharded, put_together
from olmes.trainers.ppo.worker import GeneratorRecipe, MakeGenerator


class PromptSource(Protocol):
    """Where batches of rollouts come from."""

    def batch(self, update: int) -> list[Rollout]:
        """The rollouts update `update` learns from, in order of position."""
        ...

    def publish(self, version: int) -> None:
        """Publish that the policy has changed."""
        ...

    def counters(self) -> dict[str, float]:
        """Numbers of its own for the log."""
        ...

    def close(self) -> None:
        """End whatever runs for it."""
        ...


class Synchronous:
    """Samples from the learner's own policy while learning waits: PPO as published, on-policy."""

    def __init__(
        self, config: PPOConfig, learner: Learner, prompts: Prompts, generator: Generator
    ) -> None:
        self.config = config
        self.learner = learner
        self.prompts = prompts
        self.generator = generator

    def batch(self, update: int) -> list[Rollout]:
        """Each process generates its share, then all have the whole."""
        from accelerate.utils import gather_object

        config, accelerator = self.config, self.learner.accelerator
        positions = batch_positions(config, update)
        share = -(-len(positions) // accelerator.num_processes)
        mine = positions[accelerator.process_index * share :][:share]
        orders = orders_of(
            mine, self.prompts, config.generations, config.generation_batch_size, config.seed
        )
        with put_together(self.learner.policy), accelerator.autocast():
            rollouts = self.sample(list(orders), update)
        if accelerator.num_processes > 1:
            rollouts = gather_object(rollouts)
        return rollouts

    def sample(self, orders: Sequence[Order], update: int) -> list[Rollout]:
        """The rollouts of some orders, in order; the policy has all of its weights meanwhile."""
        self.generator.version = update
        return [rollout for order in orders for rollout in self.generator.generate(order)]

    def publish(self, version: int) -> None:
        """The generator samples from the very policy."""

    def counters(self) -> dict[str, float]:
        """None."""
        return {}

    def close(self) -> None:
        """Nothing runs."""


class WithEngine(Synchronous):
    """The same with an engine in a process of its own, which samples while learning waits.

    Each learning process has one, on its own GPU. Apart, because an engine and a learner would not
    share one process's groups; a killed one is replaced, and its orders are made again.
    """

    def __init__(
        self, config: PPOConfig, learner: Learner, prompts: Prompts, recipe: GeneratorRecipe,
        version: int,
    ) -> None:  # fmt: skip
        self.config = config
        self.learner = learner
        self.prompts = prompts
        with put_together(learner.policy):
            self.workers = ProcessWorkers(
                recipe, held_weights(learner.policy), version, 1, config.restarts
            )
        self.version = version

    def sample(self, orders: Sequence[Order], update: int) -> list[Rollout]:
        """Hand the weights over where they have changed, then have everything made at once."""
        if update != self.version:
            self.workers.publish(held_weights(self.learner.policy), update)
            self.version = update
        for order in orders:
            self.workers.submit(order)
        rollouts = [rollout for _ in orders for rollout in self.workers.receive()]
        return sorted(rollouts, key=lambda rollout: rollout.position)

    def counters(self) -> dict[str, float]:
        """Generators restarted since the run (or its resumption) began."""
        return {"generators_restarted": float(self.workers.restarted)}

    def close(self) -> None:
        """End the engine."""
        self.workers.close()


def held_weights(policy: Any) -> Mapping[str, Tensor]:
    """The weights that a policy has at hand, by the names of its `state_dict`.

    Of a policy whose parts are put together, `state_dict` would take them apart again.
    """
    if not is_sharded(policy):
        weights: Mapping[str, Tensor] = policy.state_dict()
        return weights
    return {name: tensor.detach() for name, tensor in
            policy.named_parameters(remove_duplicate=False)}  # fmt: skip


def synchronous_source(
    config: PPOConfig, learner: Learner, prompts: Prompts, sampling: Sampling, start: int,
    make: MakeGenerator,
) -> PromptSource:  # fmt: skip
    """A generator over the learner's own policy, or an engine beside it."""
    if config.engine == "vllm":
        device = str(learner.accelerator.device)
        recipe = generator_recipe(config, learner, prompts, sampling, make, device)
        return WithEngine(config, learner, prompts, recipe, start)
    generator = make(learner.policy, prompts.encoded, sampling, start)
    return Synchronous(config, learner, prompts, generator)


def asynchronous_source(
    config: PPOConfig, learner: Learner, prompts: Prompts, sampling: Sampling, start: int,
    make: MakeGenerator,
) -> PromptSource:  # fmt: skip
    """Generators elsewhere; of several learning processes the main one has them."""
    workers = None
    weights = learner.policy_weights()
    if learner.accelerator.is_main_process:
        workers = start_workers(config, learner, weights, prompts, sampling, start, make)
    source: PromptSource = Asynchronous(config, learner, prompts, start, workers)
    return source


def batch_positions(config: PPOConfig, update: int) -> list[int]:
    """Positions in the run of an update's rollouts."""
    return list(range(update * config.batch_size, (update + 1) * config.batch_size))
