"""One update: a batch of rollouts in, K epochs of clipped steps, numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from olmes.errors import OlmesError
from olmes.trainers.on_trl.row_sampling import derived_seed
from olmes.trainers.ppo import equations as eq
from olmes.trainers.ppo import sharding
from olmes.trainers.ppo.config import PPOConfig
from olmes.trainers.ppo.models import PolicyAndValue, ValueModel, next_token_logits, without_dropout
from olmes.trainers.ppo.rollout import Rollout


@dataclass(frozen=True, slots=True)
class LearnerBatch:
    """B rollouts as tensors, prompt then response then padding on the right.

    On the right, because a causal model's tokens cannot see it there.
    """

    ids: Tensor
    """(B, T + 1) tokens."""
    attention: Tensor
    """(B, T + 1), 1 on prompt and response."""
    mask: Tensor
    """(B, T), 1 where the next token is the response's."""
    behaviour: Tensor
    """(B, T) log mu of the next token, 0 off the mask."""

    def only(self, scored: Tensor) -> LearnerBatch:
        """The batch without the response tokens of rollouts that are not among `scored`, (B,) bool."""
        kept = scored[:, None]
        return replace(
            self,
            mask=torch.where(kept, self.mask, 0.0),
            behaviour=torch.where(kept, self.behaviour, 0.0),
        )

    def rows(self, chosen: Tensor) -> LearnerBatch:
        """Some of the rollouts, cut to the longest of them."""
        width = int(self.attention[chosen].sum(-1).max())
        return LearnerBatch(
            self.ids[chosen, :width], self.attention[chosen, :width],
            self.mask[chosen, : width - 1], self.behaviour[chosen, : width - 1],
        )  # fmt: skip


def collate(rollouts: Sequence[Rollout], pad: int, device: Any = "cpu") -> LearnerBatch:
    """Rollouts as a `LearnerBatch`."""
    width = max(len(r.prompt) + len(r.response) for r in rollouts)
    ids = torch.full((len(rollouts), width), pad)
    attention = torch.zeros((len(rollouts), width), dtype=torch.long)
    mask = torch.zeros((len(rollouts), width - 1))
    behaviour = torch.zeros((len(rollouts), width - 1))
    for i, r in enumerate(rollouts):
        start, end = len(r.prompt), len(r.prompt) + len(r.response)
        ids[i, :end] = torch.tensor(r.prompt + r.response)
        attention[i, :end] = 1
        mask[i, start - 1 : end - 1] = 1
        behaviour[i, start - 1 : end - 1] = torch.tensor(r.logprobs)
    return LearnerBatch(*(x.to(device) for x in (ids, attention, mask, behaviour)))


@dataclass(frozen=True, slots=True)
class Before:
    """What the models make of a batch before an update; all (B, T), constants to the losses."""

    logprobs: Tensor
    """log pi_old."""
    reference: Tensor
    """log pi_ref."""
    values: Tensor
    entropy: Tensor


@dataclass(frozen=True, slots=True)
class Targets:
    """What the losses need besides the models' outputs; all (B, T)."""

    old_logprobs: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor
    weights: Tensor


@dataclass(frozen=True, slots=True)
class States:
    """What must be kept to resume; empty on all processes but the first where weights are cut."""

    policy: Mapping[str, Tensor] | None
    """None where the policy itself has its weights whole."""
    value: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]


class Learner:
    """Policy, value model, reference and optimizer, on the devices accelerate gives.

    With several processes each computes its share of every pass; all hold the whole batch, so that
    advantages are whitened over all of it.

    Raises:
        OlmesError: the batch cannot be shared evenly among the processes.
    """

    def __init__(
        self, config: PPOConfig, policy: Any, reference: Any, value: ValueModel, pad: int,
        accelerator: Any,
    ) -> None:  # fmt: skip
        if config.batch_size % (config.minibatches * accelerator.num_processes):
            raise OlmesError(
                f"batch_size {config.batch_size} is not a multiple of minibatches "
                f"{config.minibatches} x {accelerator.num_processes} processes; change one."
            )
        self.config = config
        self.pad = pad
        self.accelerator = accelerator
        if config.gradient_checkpointing:
            policy.gradient_checkpointing_enable()
            value.backbone.gradient_checkpointing_enable()
        self.policy_class = type(policy)
        both = PolicyAndValue(without_dropout(policy), value)
        self.sharded = config.shard and accelerator.num_processes > 1
        if self.sharded:
            for part, layers in (
                (policy, policy), (value, value.backbone), (reference, reference),
            ):  # fmt: skip
                sharding.shard(part, accelerator, layers)
        optimizer = torch.optim.AdamW(
            [p for p in both.parameters() if p.requires_grad],
            lr=config.learning_rate, eps=config.adam_epsilon, weight_decay=config.weight_decay,
        )  # fmt: skip
        if self.sharded:
            self.model, self.optimizer = both, optimizer
        else:
            self.model, self.optimizer = accelerator.prepare(both, optimizer)
        self.reference = reference.to(accelerator.device)

    @property
    def policy(self) -> Any:
        """The policy alone, to sample from and to save."""
        return self.accelerator.unwrap_model(self.model).policy

    @property
    def value(self) -> ValueModel:
        """The value model alone."""
        model: ValueModel = self.accelerator.unwrap_model(self.model).value
        return model

    def policy_weights(self) -> Mapping[str, Tensor]:
        """The policy's weights, whole, on the first process; all processes must call it."""
        weights: Mapping[str, Tensor] = sharding.whole_weights(self.policy)
        return weights

    def states(self) -> States:
        """What a checkpoint holds, on the first process; all processes must call it."""
        return States(
            self.policy_weights() if self.sharded else None,
            sharding.whole_weights(self.value),
            sharding.whole_optimizer(self.model, self.optimizer, sharded=self.sharded),
        )

    def restore(self, value: Mapping[str, Tensor], optimizer: Mapping[str, Any]) -> None:
        """Restore what `states` gave, with a policy that was loaded already."""
        sharding.load_whole_weights(self.value, value)
        sharding.load_whole_optimizer(self.model, self.optimizer, optimizer, sharded=self.sharded)

    def update(
        self, number: int, rollouts: Sequence[Rollout], verified: Sequence[float | None]
    ) -> dict[str, float]:
        """Learn from one batch; the numbers of docs/ppo.md.

        Args:
            number: updates done before; the learning rate and the minibatches follow from it.
            rollouts: the batch.
            verified: the verifier's 0..1 for each. Where it is None, no token of the response takes
                part in anything: whitening, losses, means.
        """
        unscored = sum(value is None for value in verified)
        if unscored == len(verified):
            return {"unscored": float(unscored), "learning_rate": self.config.rate(number)}
        config, device = self.config, self.accelerator.device
        scored = torch.tensor([value is not None for value in verified], device=device)
        batch = collate(rollouts, self.pad, device).only(scored)
        before = self.evaluate(batch)
        verdicts = torch.tensor(
            [value or 0.0 for value in verified], dtype=torch.float32, device=device
        )
        ended = torch.tensor([r.ended for r in rollouts], device=device)
        scores = eq.sequence_scores(verdicts, ended, config.reward_scale, config.missing_end_reward)
        kl = eq.kl_k1(before.logprobs, before.reference, batch.mask)
        rewards = eq.token_rewards(scores, kl, batch.mask, config.beta)
        advantages, returns = eq.advantages_and_returns(
            rewards, before.values, batch.mask, config.gamma, config.lam
        )
        if config.whiten:
            advantages = eq.whiten(advantages, batch.mask)
        weights = eq.importance_weights(
            before.logprobs, batch.behaviour, batch.mask, config.importance_cap
        )
        targets = Targets(before.logprobs, before.values, advantages, returns, weights)
        steps = self.learn(number, batch, targets)
        ratio = torch.exp((before.logprobs - batch.behaviour)[batch.mask > 0])
        stale = [number - r.version for r in rollouts]
        return {
            "reward": float(rewards[scored].sum(-1).mean()),
            "score": float(scores[scored].mean()),
            "verified": float(verdicts[scored].mean()),
            "unscored": float(unscored),
            "no_end": 1 - float(ended.float().mean()),
            "kl": float(kl[scored].sum(-1).mean()),
            "entropy": float(eq.masked_mean(before.entropy, batch.mask)),
            "response_tokens": float(batch.mask[scored].sum(-1).mean()),
            "distinct_3grams": distinct_ngrams([r.response for r in rollouts], 3),
            "value_explained_variance": float(
                eq.explained_variance(before.values, returns, batch.mask)
            ),
            "importance_ratio_mean": float(ratio.mean()),
            "importance_ratio_max": float(ratio.max()),
            "staleness_mean": sum(stale) / len(stale),
            "staleness_max": float(max(stale)),
            "learning_rate": config.rate(number),
            **steps,
        }

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def evaluate(self, batch: LearnerBatch) -> Before:
        """Log-probabilities, values and entropy of the models as they are, for the whole batch."""
        shares = self.shares(torch.arange(len(batch.ids)))
        mine = shares[self.accelerator.process_index]
        shape = (sum(map(len, mine)), batch.mask.shape[1])
        outputs = [batch.mask.new_zeros(shape) for _ in range(4)]
        self.model.eval()
        at = slice(0)
        for rows in mine:
            at = slice(at.stop, at.stop + len(rows))
            part = batch.rows(rows)
            logits, values = self.model(part.ids, part.attention)
            with self.accelerator.autocast():
                known = next_token_logits(self.reference, part.ids, part.attention)
            warm = self.config.temperature
            results = (
                eq.token_logprobs(logits, part.ids, warm),
                eq.token_logprobs(known, part.ids, warm),
                values,
                eq.entropies(logits, warm),
            )
            for whole, result in zip(outputs, results, strict=True):
                whole[at, : result.shape[1]] = result
        # Gathered process by process: back into the batch's order.
        back = torch.cat([rows for share in shares for rows in share]).argsort()
        return Before(*(self.accelerator.gather(x)[back.to(x.device)] for x in outputs))

    def learn(self, number: int, batch: LearnerBatch, targets: Targets) -> dict[str, float]:
        """K epochs over the batch [PPO, algorithm 1]; means of the losses over all steps."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.rate(number)
        sums = {"policy_loss": 0.0, "value_loss": 0.0, "clip_fraction": 0.0, "update_kl": 0.0}
        norms = []
        self.model.train(config.gradient_checkpointing)
        for epoch in range(config.updates_per_batch):
            order = torch.Generator().manual_seed(derived_seed(config.seed, 3, number, epoch))
            shuffled = torch.randperm(len(batch.ids), generator=order)
            for chosen in shuffled.chunk(config.minibatches):
                if not batch.mask[chosen].any():
                    continue  # nothing in it could be scored
                for name, value in self.step(batch, targets, chosen).items():
                    sums[name] += value
                # Each on its own, or the value model's errors would set the policy's step.
                norm, _ = (
                    self.accelerator.clip_grad_norm_(part.parameters(), config.max_grad_norm)
                    for part in (self.policy, self.value)
                )
                norms.append(sharding.number(norm))
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.model.eval()
        names = list(sums)
        totals = torch.tensor([sums[name] for name in names], device=batch.mask.device)
        totals = self.accelerator.reduce(totals, "sum") / len(norms)
        return dict(zip(names, totals.tolist(), strict=True)) | {
            "grad_norm": sum(norms) / len(norms)
        }

    def step(self, batch: LearnerBatch, targets: Targets, chosen: Tensor) -> dict[str, float]:
        """Gradients of one minibatch; this process's part of its mean losses.

        The loss is the mean over the minibatch's response tokens, however it is cut for memory.
        """
        config = self.config
        tokens = batch.mask[chosen].sum().clamp(min=1)
        parts = self.shares(chosen)[self.accelerator.process_index]
        sums = {"policy_loss": 0.0, "value_loss": 0.0, "clip_fraction": 0.0, "update_kl": 0.0}
        for i, rows in enumerate(parts):
            part = batch.rows(rows)
            width = part.mask.shape[1]
            old, old_values, advantages, returns, weights = (
                getattr(targets, name)[rows, :width] for name in Targets.__slots__
            )
            last = i + 1 == len(parts)
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                logits, values = self.model(part.ids, part.attention)
                new = eq.token_logprobs(logits, part.ids, config.temperature)
                surrogate = eq.policy_loss(new, old, advantages, part.mask, config.clip, weights)
                errors = eq.value_loss(values, old_values, returns, part.mask, config.value_clip)
                loss = (surrogate.sum() + config.value_coef * errors.sum()) / tokens
                # Processes' gradients are averaged; their sum is wanted.
                self.accelerator.backward(loss * self.processes)
            change = torch.where(part.mask > 0, new.detach() - old, 0.0)
            outside = (change.exp() - 1).abs() > config.clip
            for name, value in (
                ("policy_loss", surrogate.detach()),
                ("value_loss", errors.detach()),
                ("clip_fraction", outside),
                ("update_kl", 0.5 * change**2),
            ):
                sums[name] += float(value.sum() / tokens)
        return sums

    @property
    def processes(self) -> int:
        """How many processes share the work."""
        count: int = self.accelerator.num_processes
        return count

    def shares(self, rows: Tensor) -> list[list[Tensor]]:
        """By process, its part of some rows, in groups that fit in memory; all have as many.

        The groups of one process alone are dealt out where that comes out even, so that each is
        computed in the company it would have there, and rounds alike.
        """
        groups = rows.split(self.config.micro_batch_size)
        if len(rows) % (self.config.micro_batch_size * self.processes) == 0:
            return [list(groups[number :: self.processes]) for number in range(self.processes)]
        parts = (rows[number :: self.processes] for number in range(self.processes))
        return [list(part.split(self.config.micro_batch_size)) for part in parts]


def distinct_ngrams(responses: Sequence[Sequence[int]], n: int) -> float:
    """Mean over responses of different n-grams / n-grams; 1 for a response shorter than n.

    Falls when a policy repeats itself, which verifiers of form alone do not mind (paper, Fig. 28).
    """
    shares = []
    for tokens in responses:
        grams = list(zip(*(tokens[i:] for i in range(n)), strict=False))
        shares.append(len(set(grams)) / len(grams) if grams else 1.0)
    return sum(shares) / len(shares)
