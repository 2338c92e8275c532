"""Sampling in which each response has random numbers of its own, whoever samples beside it.

`generate` draws the tokens of a batch from one stream of random numbers, so that a response depends
on which others are in its batch, and with that on how many processes share the work. Here the
token is looked up in the distribution's cumulated probabilities by a number that follows from the
row's seed and the position alone (inverse transform sampling: Devroye 1986, chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from olmes.tools.hashing import content_hash


class RowDraws:
    """Uniform numbers of B rows, and the tokens they choose.

    Args:
        seeds: one a row.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def choose(self, logprobs: Tensor) -> Tensor:
        """The next token of each row (B, 1), of log-probabilities (B, V)."""
        numbers = [torch.rand(1, generator=g, dtype=torch.float64) for g in self.generators]
        # In double precision: sums of 100,000 small numbers lose the rare tokens in single.
        cumulated = logprobs.double().exp().cumsum(-1)
        wanted = torch.stack(numbers).to(cumulated.device) * cumulated[:, -1:]
        return torch.searchsorted(cumulated, wanted, right=True).clamp(max=logprobs.shape[-1] - 1)

    def only_chosen(self, logprobs: Tensor) -> Tensor:
        """Logits (B, V) by which `generate` can draw nothing else."""
        left = torch.full_like(logprobs, -torch.inf)
        return left.scatter_(-1, self.choose(logprobs), 0.0)


class RowSampler(RowDraws):
    """A logits processor of `generate` that draws by row at a temperature."""

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        super().__init__(seeds)
        self.temperature = temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002
        """See `RowDraws.only_chosen`."""
        return self.only_chosen((scores.float() / self.temperature).log_softmax(-1))


class RowSampling:
    """What makes of TRL's `GRPOTrainer` one whose completions do not depend on the processes.

    Put before it among a class's bases. With vLLM, or where the distribution is cut (`top_p`,
    `top_k`, `min_p`) or bent otherwise, it samples as TRL does: from streams of each process.
    """

    last_draw = (-1, 0)
    """The update that the last completions were for, and how often it drew before."""

    def _generate_single_turn(self, prompt_ids: Any, *rest: Any, **more: Any) -> Any:
        trainer: Any = self
        parent: Any = super()
        if not trainer.model.training or not is_plain(trainer):
            return parent._generate_single_turn(prompt_ids, *rest, **more)
        update = trainer.state.global_step
        again = self.last_draw[1] + 1 if self.last_draw[0] == update else 0
        self.last_draw = (update, again)
        first = trainer.accelerator.process_index * len(prompt_ids)
        seeds = [
            derived_seed(trainer.args.seed, update, again, first + i)
            for i in range(len(prompt_ids))
        ]
        model = trainer.accelerator.unwrap_model(trainer.model)
        whole, own = model.generate, "generate" in vars(model)  # FSDP puts one of its own there
        sampler = RowSampler(seeds, trainer.temperature)
        model.generate = partial(whole, logits_processor=[sampler])
        try:
            return parent._generate_single_turn(prompt_ids, *rest, **more)
        finally:
            if own:
                model.generate = whole
            else:
                del model.generate


def is_plain(trainer: Any) -> bool:
    """Whether a trainer samples with transformers from the policy's own distribution."""
    args = trainer.args
    return (
        not trainer.use_vllm
        and not trainer.use_transformers_continuous_batching
        and args.top_p in (None, 1.0)
        and args.top_k in (None, 0)
        and args.min_p in (None, 0.0)
        and args.repetition_penalty in (None, 1.0)
        and not args.generation_kwargs
    )


def derived_seed(*parts: int) -> int:
    """A seed of 63 bits from some numbers; nearby numbers give unrelated seeds."""
    return int(content_hash(list(parts))[:16], 16) >> 1
