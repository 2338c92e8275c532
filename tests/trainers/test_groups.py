"""Groups of completions: which can teach anything, and why the others cannot."""

from __future__ import annotations

import math

import pytest

from olmes.trainers.rewards.groups import Groups

NONE = math.nan


def test_every_group_is_of_one_kind() -> None:
    rewards = [
        *(0.0, 10.0, 0.0),  # teaches
        *(10.0, 10.0, 10.0),  # too easy
        *(0.0, 0.0, 0.0),  # too hard
        *(5.0, 5.0, 5.0),  # neither: all met half of it
        *(NONE, NONE, NONE),
        *(NONE, 10.0, 10.0),  # too easy, as far as it is known
        *(NONE, 10.0, 0.0),
        *(-10.0, -10.0, -10.0),
    ]
    found = Groups.of(rewards, [10.0] * len(rewards), 3)
    assert found.useful == {0, 6}
    assert found.all_right == {1, 5}
    assert found.all_wrong == {2, 7}
    assert found.unscored == {4}
    assert found.count == 8
    assert found.numbers() == pytest.approx(
        {
            "groups/zero_variance": 5 / 8,
            "groups/all_right": 2 / 8,
            "groups/all_wrong": 2 / 8,
            "groups/unscored": 1 / 8,
        }
    )


def test_the_best_is_each_rows_own() -> None:
    found = Groups.of([2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 3.0, 3.0], 2)
    assert found.all_right == {0}
    assert not found.useful | found.all_wrong
