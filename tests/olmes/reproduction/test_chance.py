"""The mark keeps its level: two models that are equally good are seldom told apart."""

from __future__ import annotations

import math
from random import Random

import pytest

from olmes import stats
from olmes.reproduction.chance import difference_of, leaves_out_0, mean_difference
from olmes.reproduction.paper import Column
from olmes.stats import Difference

DRAWS = 400


def marked_share(column: Column, *, together: float, items: int, share: float) -> float:
    """How often one of two equally good models is marked against the other's printed number.

    An item's answers are the same in both with the probability `together`, else drawn alone, so that
    the two go together by that much.
    """
    rng, marked = Random(7), 0
    for _ in range(DRAWS):
        ours, theirs = [], []
        for _ in range(items):
            first = float(rng.random() < share)
            same = rng.random() < together
            ours.append(first)
            theirs.append(first if same else float(rng.random() < share))
        printed = round(sum(theirs) / items, 3)
        marked += leaves_out_0(difference_of(stats.mean(ours), printed, column))
    return marked / DRAWS


@pytest.mark.parametrize(("items", "share"), [(164, 0.85), (600, 0.3)])
def test_a_fixed_number_on_the_same_items_is_marked_one_time_in_twenty(
    items: int, share: float
) -> None:
    found = marked_share(Column(items=items), together=0.5, items=items, share=share)
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)


def test_sampled_numbers_need_not_go_together() -> None:
    column = Column(items=164, sampled=True)
    found = marked_share(column, together=0.0, items=164, share=0.85)
    assert found <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)
    # Taken as fixed, it would be marked three times as often.
    fixed = marked_share(Column(items=164), together=0.0, items=164, share=0.85)
    assert fixed > 0.1


def test_a_large_difference_is_found() -> None:
    ours = stats.mean([1.0] * 650 + [0.0] * 350)
    assert leaves_out_0(difference_of(ours, 0.70, Column(items=1000)))
    assert leaves_out_0(difference_of(ours, 0.55, Column(items=1000, sampled=True)))


def test_a_mean_needs_every_interval() -> None:
    known = Difference(0.1, 0.01, 0.08, 0.12)
    found = mean_difference([known, known])
    assert found.value == pytest.approx(0.1)
    assert found.ci_low == pytest.approx(0.1 - math.sqrt(2 * 0.02**2) / 2)
    assert mean_difference([known, Difference(0.0, None, None, None)]).ci_low is None
