"""Draws by row: the right distribution, and the same row whoever is beside it."""

from __future__ import annotations

import torch

from olmes.trainers.on_trl.row_sampling import RowDraws, RowSampler, derived_seed


def test_tokens_come_as_often_as_they_are_likely() -> None:
    logprobs = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    rows = 4000
    chosen = RowDraws(range(rows)).choose(logprobs.expand(rows, 4))[:, 0]
    shares = torch.bincount(chosen, minlength=4) / rows
    errors = (logprobs.exp() * (1 - logprobs.exp()) / rows).sqrt()
    assert ((shares - logprobs.exp()).abs() < 4 * errors).all(), shares


def test_a_row_is_drawn_the_same_in_any_batch() -> None:
    torch.manual_seed(0)
    scores = torch.randn(3, 6, 50)  # steps, rows, tokens
    whole = RowSampler([derived_seed(1, row) for row in range(6)], 0.7)
    part = RowSampler([derived_seed(1, row) for row in (4, 1)], 0.7)
    for step in scores:
        together = whole(torch.zeros(6, 1), step).argmax(-1)
        apart = part(torch.zeros(2, 1), step[[4, 1]]).argmax(-1)
        assert together[[4, 1]].equal(apart)


def test_what_has_no_probability_is_never_drawn() -> None:
    logprobs = torch.tensor([-torch.inf, 0.0, -torch.inf]).expand(500, 3)
    assert (RowDraws(range(500)).choose(logprobs) == 1).all()
