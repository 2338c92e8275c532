"""Sampling: the right distribution, the same sample for the same request in any batch."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes.models.hf.generation_rows import GenerationRow, seed_of
from olmes.types import Generation

if TYPE_CHECKING:
    from olmes.models.hf.model import HFModel
    from olmes.types import Request, Response

LOGITS = [2.0, 1.0, 0.5, 0.0, -1.0, -3.0]
DRAWS = 6000


def rows_of(generation: Generation, seeds: list[int]) -> list[GenerationRow]:
    return [
        GenerationRow(
            index=seed,
            prompt_ids=array("i", [1]),
            truncated=0,
            generation=generation,
            max_tokens=4,
            seed=seed,
        )
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, None), (0.7, None), (1.5, 1.0), (1.0, 0.8), (0.6, 0.9)]
)
def test_draws_follow_the_distribution(temperature: float, top_p: float | None) -> None:
    import torch
    from scipy.stats import chisquare

    from olmes.models.hf.sampling import GumbelSampler

    generation = Generation(max_tokens=4, temperature=temperature, top_p=top_p)
    sampler = GumbelSampler(rows_of(generation, list(range(DRAWS))), torch.device("cpu"))
    scores = torch.tensor([LOGITS]).repeat(DRAWS, 1)
    drawn = Counter(sampler(torch.zeros((DRAWS, 1), dtype=torch.long), scores).argmax(-1).tolist())

    # The distribution by hand: the smallest set of likeliest tokens whose mass reaches top_p.
    weights = (torch.tensor(LOGITS, dtype=torch.float64) / temperature).softmax(-1)
    kept, mass = [], 0.0
    for token, weight in enumerate(weights.tolist()):  # LOGITS fall, so this is by likelihood
        if mass < (top_p or 1.0):
            kept.append(token)
        mass += weight
    expected = [float(weights[token] / weights[kept].sum()) * DRAWS for token in kept]
    assert set(drawn) <= set(kept)
    assert chisquare([drawn[token] for token in kept], expected).pvalue > 1e-3


def test_a_row_has_the_same_noise_in_every_batch() -> None:
    import torch

    from olmes.models.hf.sampling import GumbelSampler

    generation = Generation(max_tokens=4, temperature=1.0)
    ids = torch.zeros((3, 1), dtype=torch.long)
    scores = torch.zeros((3, 50))
    together = GumbelSampler(rows_of(generation, [7, 8, 9]), torch.device("cpu"))
    turned = GumbelSampler(rows_of(generation, [9, 7, 8]), torch.device("cpu"))
    alone = GumbelSampler(rows_of(generation, [8]), torch.device("cpu"))
    for _ in range(3):
        noisy = together(ids, scores)
        assert torch.equal(noisy[[2, 0, 1]], turned(ids, scores))
        assert torch.equal(noisy[1], alone(ids[:1], scores[:1])[0])
        assert len({tuple(row.tolist()) for row in noisy}) == 3


def test_samples_do_not_depend_on_order_or_batch_size(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    from olmes.models.checkpoint.folder import LocalCheckpoint
    from olmes.models.hf.model import HFModel

    def model(size: int) -> HFModel:
        return HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", batch_size=size)

    texts = ["Mary", "What is the capital of France?", "12 apples", "Seine", "a b c d e f g"]
    requests = [
        chat(text, temperature=1.0, top_p=0.95, repeat=repeat)
        for text in texts
        for repeat in (0, 1)
    ]
    first = [r.text for r in answer(model(4), requests)]
    assert [r.text for r in answer(model(4), requests)] == first
    assert [r.text for r in answer(model(1), requests)] == first
    assert [r.text for r in answer(model(7), requests[::-1])][::-1] == first
    assert len(set(first)) > 8  # repeats and items differ
    greedy = [r.text for r in answer(model(4), [chat(text) for text in texts])]
    assert greedy != first[::2]


def test_the_seed_is_the_formulations_plus_the_repeat_mixed_with_the_prompt(
    tiny: HFModel, chat: Callable[..., Request]
) -> None:
    def seed(text: str = "a", **settings: int) -> int:
        request = chat(text, temperature=1.0, **settings)
        return seed_of(request, tiny.encode(request))

    assert seed() == seed()
    assert seed(seed=1) == seed(repeat=1) != seed()
    assert seed("b") != seed("a")
