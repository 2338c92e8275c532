"""Sampling that does not depend on what else is in the batch.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from olmes.models.hf.generation_rows import GenerationRow
from olmes.types import Generation


class GumbelSampler:
    """Adds Gumbel noise to the scores of each row, from a generator of the row's own.

    The largest of log-probabilities with standard Gumbel noise is an exact sample of the
    distribution (the Gumbel-max trick), so that greedy decoding over these scores samples. Unlike
    with one generator for the batch, a row's noise is the same in every batch and at every position.

    It is the only logits processor: temperature and nucleus are applied here, by transformers' own.
    """

    def __init__(self, rows: Sequence[GenerationRow], device: torch.device) -> None:
        self.rows = rows
        self.shape = shape_of(rows[0].generation)
        self.generators = [generator_of(row, device) for row in rows]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Scores `[rows, vocabulary]` in, noisy scores out; their argmax is the sampled token."""
        shaped: torch.Tensor = self.shape(input_ids, scores)
        noise = torch.ones_like(shaped)
        for row, own_noise, generator in zip(self.rows, noise, self.generators, strict=True):
            if not row.finished:
                own_noise.exponential_(generator=generator)
        # -log of an exponential variate is a Gumbel variate; tokens outside the nucleus stay -inf.
        return shaped - noise.clamp_min_(torch.finfo(noise.dtype).tiny).log_()


def shape_of(generation: Generation) -> LogitsProcessorList:
    """Temperature and nucleus, as transformers applies them."""
    shape = LogitsProcessorList()
    if generation.temperature != 1.0:
        shape.append(TemperatureLogitsWarper(float(generation.temperature)))
    if generation.top_p is not None and generation.top_p < 1.0:
        shape.append(TopPLogitsWarper(generation.top_p))
    return shape


def generator_of(row: GenerationRow, device: torch.device) -> torch.Generator:
    """A row's own source of noise."""
    return torch.Generator(device).manual_seed(row.seed)
