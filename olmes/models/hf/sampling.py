"""Sampling that does not depend on what else is in the batch.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from olmes.models.hf.generation_rows import GenerationRow
from olmes.types import Generation


class GumbelSampler:
    """Adds Gumbel noise to the scores of each row, from a generator of the row's own.

    The largest of log-probabilities with standard Gumbel noise is an exact sample of the
    distribution (the Gumbel-max trick), so that greedy decoding over these scores samples. Unlike
    with one generator for the batch, a row's noise is the same in every batch and at every position.

    It is the only logits processor: what shapes the distribution is applied here, by transformers'
    own but for the penalty on repetition. Greedy decoding, which has no noise, can have that alone.
    """

    def __init__(self, rows: Sequence[GenerationRow], device: torch.device) -> None:
        self.rows = rows
        generation = rows[0].generation
        self.sampled = generation.temperature > 0
        self.shape = shape_of(generation)
        self.generators = [generator_of(row, device) for row in rows]
        self.penalty = generation.repetition_penalty or 1.0
        self.seen = [Seen(row) for row in rows]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Scores `[rows, vocabulary]` in, noisy scores out; their argmax is the sampled token."""
        if self.penalty != 1.0:
            scores = self.penalized(scores)
        if not self.sampled:
            return scores
        shaped: torch.Tensor = self.shape(input_ids, scores)
        noise = torch.ones_like(shaped)
        for row, own_noise, generator in zip(self.rows, noise, self.generators, strict=True):
            if not row.finished:
                own_noise.exponential_(generator=generator)
        # -log of an exponential variate is a Gumbel variate; tokens outside the nucleus stay -inf.
        return shaped - noise.clamp_min_(torch.finfo(noise.dtype).tiny).log_()

    def penalized(self, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores with those of a row's own tokens lowered, its prompt's included.

        As transformers does it, which would take the padding of a batch for tokens of the row.
        """
        lower = torch.where(scores < 0, scores * self.penalty, scores / self.penalty)
        return torch.where(torch.stack([seen.mask(scores) for seen in self.seen]), lower, scores)


class Seen:
    """The tokens of a row, brought up to date with each new one."""

    def __init__(self, row: GenerationRow) -> None:
        self.row = row
        self.tokens: torch.Tensor | None = None
        self.read = 0

    def mask(self, scores: torch.Tensor) -> torch.Tensor:
        """True for every token of the vocabulary that was there before."""
        if self.tokens is None or self.read > len(self.row.new_ids):
            self.tokens = torch.zeros(scores.shape[-1], dtype=torch.bool, device=scores.device)
            self.tokens[torch.tensor(list(self.row.prompt_ids), device=scores.device)] = True
            self.read = 0
        new = self.row.new_ids[self.read :]
        if new:
            self.tokens[torch.tensor(new, device=scores.device)] = True
            self.read += len(new)
        return self.tokens


def changes_scores(generation: Generation) -> bool:
    """Whether the next token is another than that of the largest logit."""
    return generation.temperature > 0 or generation.repetition_penalty not in (None, 1.0)


def shape_of(generation: Generation) -> LogitsProcessorList:
    """Temperature and what is cut off, in transformers' order."""
    shape = LogitsProcessorList()
    if generation.temperature not in (0.0, 1.0):
        shape.append(TemperatureLogitsWarper(float(generation.temperature)))
    if generation.top_k is not None:
        shape.append(TopKLogitsWarper(generation.top_k))
    if generation.top_p is not None and generation.top_p < 1.0:
        shape.append(TopPLogitsWarper(generation.top_p))
    if generation.min_p:
        shape.append(MinPLogitsWarper(float(generation.min_p)))
    return shape


def generator_of(row: GenerationRow, device: torch.device) -> torch.Generator:
    """A row's own source of noise."""
    return torch.Generator(device).manual_seed(row.seed)
