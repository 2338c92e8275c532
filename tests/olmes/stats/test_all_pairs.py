"""Every pair of many runs at once is what `compare` says of each pair."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from olmes import stats


def labels(draw: np.random.Generator, n: int, count: int) -> list[Hashable]:
    return [f"label {number}" for number in draw.integers(0, count, n)]


def designs() -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """Values of 60 items by 5 runs, two of them the same, and how the items hang together."""
    draw, n = np.random.default_rng(3), 60
    hard = draw.random((n, 1))
    binary = (draw.random((n, 5)) < 0.3 + 0.5 * hard).astype(float)
    binary[:, 4] = binary[:, 1]
    shares = draw.integers(0, 4, (n, 5)) / 3
    lengths = draw.lognormal(3, 1, (n, 5))
    parts = draw.integers(1, 5, n).astype(float).tolist()
    lone = [f"stratum {min(i // 15, 3)}" for i in range(n - 1)] + ["alone"]
    flat = np.tile([0.5, 0.2, 0.1, 0.5, 1000.1], (n, 1))
    return {
        "items": (binary, {}),
        "clusters": (binary, {"clusters": labels(draw, n, 12)}),
        "strata": (binary, {"strata": labels(draw, n, 3)}),
        "a lone item": (binary, {"strata": lone, "clusters": labels(draw, n, 9)}),
        "parts": (shares, {"sizes": parts, "strata": labels(draw, n, 3)}),
        "all of it": (
            binary,
            {"clusters": labels(draw, n, 8), "strata": labels(draw, n, 3), "sizes": parts},
        ),
        "one cluster": (binary, {"clusters": ["x"] * n}),
        "lengths": (lengths, {"clusters": labels(draw, n, 9), "higher_is_better": False}),
        "no spread": (flat, {"clusters": labels(draw, n, 9)}),
        "one item": (binary[:1], {}),
    }


@pytest.mark.parametrize("name", designs())
def test_each_pair_is_what_compare_says(name: str) -> None:
    values, options = designs()[name]
    found = stats.all_pairs(values.tolist(), margin=0.02, **options)
    assert list(found) == [(i, j) for i in range(5) for j in range(i + 1, 5)]
    columns = values.T.tolist()
    for (i, j), pair in found.items():
        one = stats.compare(columns[j], columns[i], margin=0.02, test="t", **options)
        for field, value in asdict(one).items():
            expected = pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
            assert getattr(pair, field) == expected, field
        assert pair.verdict == one.verdict


def test_a_board_of_a_hundred_takes_seconds() -> None:
    draw = np.random.default_rng(4)
    values = (draw.random((1319, 100)) < 0.3 + 0.5 * draw.random((1319, 1))).astype(float)
    begun = time.perf_counter()
    found = stats.all_pairs(values.tolist(), clusters=[i // 4 for i in range(1319)])
    assert time.perf_counter() - begun < 20
    assert len(found) == 4950


def test_what_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="no items or no runs"):
        stats.all_pairs([])
    with pytest.raises(ValueError, match="2 values, but 1"):
        stats.all_pairs([[1.0, 0.0], [1.0, 0.0]], sizes=[1.0])
    assert stats.all_pairs([[1.0], [0.0]]) == {}
