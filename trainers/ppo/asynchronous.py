"""Asynchronous PPO: other processes generate the next batch while this one learns from the last.

Paper, section 6.3; the scheme is that of Noukhovitch et al. 2024 (arXiv 2410.18252). Update u learns
from rollouts of policy version v <= u; u - v is their staleness. Before update u is learned from, the
orders for the `queue_size` batches after it are out, so a generator is never idle while the learner
works, and never more than `queue_size` batches ahead. Rollouts staler than `max_staleness` are made
again; for the rest the policy loss is weighted by min(cap, pi_old / mu) (`equations`).

Positions, and with them prompts, are the same as in synchronous training, whoever is late or dies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olmes.trainers.ppo.config import PPOConfig
from olmes.trainers.ppo.devices import SPREAD
from olmes.trainers.ppo.learner import Learner
from olmes.trainers.ppo.processes import ProcessWorkers, Workers
from olmes.trainers.ppo.rollout import Prompts, Rollout, Sampling, orders_of
from olmes.trainers.ppo.worker import GeneratorRecipe, MakeGenerator
from olmes.trainers.together.processes import told


class Asynchronous:
    """A `Source` that keeps generators busy."""

    def __init__(
        self, config: PPOConfig, learner: Learner, prompts: Prompts, start: int,
        workers: Workers | None,
    ) -> None:  # fmt: skip
        """Args: `start`: updates done; `workers`: None in processes that are not the main one."""
        self.config = config
        self.learner = learner
        self.prompts = prompts
        self.workers = workers
        self.ordered = start * config.batch_size
        self.ready: dict[int, Rollout] = {}
        self.dropped = 0

    def batch(self, update: int) -> list[Rollout]:
        """The batch's rollouts, none staler than `max_staleness`; waits for what is missing."""
        from accelerate.utils import broadcast_object_list

        shared: list[Any] = [None]

        def collect() -> None:
            if self.workers is not None:
                shared[0] = self.collect(self.workers, update)

        # The wait is not within a collective, which would end it after a time of its own.
        told(f"the rollouts of update {update + 1}", collect)
        if self.learner.accelerator.num_processes > 1:
            broadcast_object_list(shared)
        rollouts: list[Rollout] = shared[0]
        return rollouts

    def collect(self, workers: Workers, update: int) -> list[Rollout]:
        """Order ahead, then receive until every position of the batch has a fresh rollout."""
        config = self.config
        ahead = min(update + 1 + config.queue_size, config.updates) * config.batch_size
        self.order(workers, range(self.ordered, ahead))
        self.ordered = max(self.ordered, ahead)
        wanted = range(update * config.batch_size, (update + 1) * config.batch_size)
        while True:
            stale = [
                position
                for position in wanted
                if position in self.ready
                and update - self.ready[position].version > config.max_staleness
            ]
            for position in stale:
                del self.ready[position]
            self.dropped += len(stale)
            self.order(workers, stale)
            if all(position in self.ready for position in wanted):
                return [self.ready.pop(position) for position in wanted]
            self.ready |= {rollout.position: rollout for rollout in workers.receive()}

    def order(self, workers: Workers, positions: Any) -> None:
        """Submit orders for positions; those made again get new seeds."""
        config = self.config
        for order in orders_of(
            positions, self.prompts, config.generations, config.generation_batch_size,
            config.seed, attempt=self.dropped,
        ):  # fmt: skip
            workers.submit(order)

    def publish(self, version: int) -> None:
        """Hand the weights to the generators."""
        weights = self.learner.policy_weights()
        if self.workers is not None:
            self.workers.publish(weights, version)

    def counters(self) -> dict[str, float]:
        """Rollouts dropped and generators restarted since the run (or its resumption) began."""
        restarted = 0 if self.workers is None else self.workers.restarted
        return {"dropped": float(self.dropped), "generators_restarted": float(restarted)}

    def close(self) -> None:
        """End the generators."""
        if self.workers is not None:
            self.workers.close()


def start_workers(
    config: PPOConfig, learner: Learner, weights: Mapping[str, Any], prompts: Prompts,
    sampling: Sampling, start: int, make: MakeGenerator,
) -> Workers:  # fmt: skip
    """Start the generators that the configuration names: processes here, or actors of Ray."""
    device = config.generator_device or default_device(config)
    recipe = generator_recipe(config, learner, prompts, sampling, make, device)
    limit = config.wait_minutes * 60
    if config.carrier == "ray":
        from olmes.trainers.ppo.ray_actors import RayWorkers

        return RayWorkers(recipe, weights, start, config.generators, config.restarts, limit)
    return ProcessWorkers(recipe, weights, start, config.generators, config.restarts, limit)


def generator_recipe(
    config: PPOConfig, learner: Learner, prompts: Prompts, sampling: Sampling, make: MakeGenerator,
    device: str,
) -> GeneratorRecipe:  # fmt: skip
    """How the configuration's generators are made in other processes."""
    policy = learner.policy
    longest = max(len(prompts.encoded[row]) for row in prompts.kept)
    return GeneratorRecipe(
        learner.policy_class, policy.config, policy.dtype, prompts.encoded, sampling, make, device,
        learner.accelerator.mixed_precision == "bf16", config.engine, config.engine_memory,
        longest + sampling.max_completion_length,
    )  # fmt: skip


def default_device(config: PPOConfig) -> str:
    """GPUs, where there are several or a cluster may have them; else the CPU."""
    import torch

    count = 0 if config.device == "cpu" else torch.cuda.device_count()
    return SPREAD if count > 1 else "cpu"
