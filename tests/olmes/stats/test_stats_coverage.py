"""How often the 95 % intervals hold the truth: exactly for shares, else over 10,000 draws.

`docs/statistics.md` has the numbers these tests print (`pytest -s`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from olmes import stats
from olmes.stats.moments import Evidence, Moments, moments_of
from tests.known import known

DRAWS = 10_000
# 10,000 draws place a coverage of 95 % within ±0.4 points (2 standard errors); 94 to 96 is the aim.
LOW, HIGH = 0.94, 0.96
Ends = tuple[float | None, float | None]


def holds(name: str, found: Sequence[Ends], truth: float | np.ndarray) -> float:
    """The share of intervals that hold the truth, printed."""
    ends = np.array(found)
    covered = float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
    print(f"{name}: {100 * covered:.2f} %")
    return covered


def ends(found: stats.Estimate) -> tuple[float, float]:
    assert found.ci_low is not None
    assert found.ci_high is not None
    return found.ci_low, found.ci_high


def exact_coverage(share: float, n: int) -> float:
    """Σ of the binomial chances of the counts whose interval holds the share."""
    covered = 0.0
    for right in range(n + 1):
        chance = binom.pmf(right, n, share)
        if chance > 1e-12:
            low, high = ends(stats.mean([1.0] * right + [0.0] * (n - right)))
            covered += chance * (low <= share <= high)
    return covered


# A share moves in steps of 1/n, so the coverage at one share jumps about 95 %; these are exact.
@pytest.mark.parametrize(
    ("share", "n", "expected"),
    [
        (0.1, 50, 0.9703),
        (0.02, 50, 0.9216),
        (0.5, 100, 0.9431),
        (0.1, 100, 0.9364),
        (0.02, 100, 0.9492),
        (0.5, 300, 0.9434),
        (0.1, 300, 0.9575),
        (0.02, 300, 0.9424),
        (0.5, 1000, 0.9463),
        (0.1, 1000, 0.9491),
        (0.02, 1000, 0.9467),
    ],
)
def test_coverage_of_a_share_exactly(share: float, n: int, expected: float) -> None:
    assert exact_coverage(share, n) == pytest.approx(expected, abs=5e-5)


def test_coverage_of_a_share_averaged_over_shares() -> None:
    for n in (100, 300):
        shares = np.linspace(0.02, 0.98, 193)
        counts = np.arange(n + 1)
        found = np.array([ends(stats.mean([1.0] * c + [0.0] * (n - c))) for c in counts])
        covered = [
            binom.pmf(counts, n, share)[(found[:, 0] <= share) & (share <= found[:, 1])].sum()
            for share in shares
        ]
        print(f"share, n = {n}, mean over shares .02 to .98: {100 * np.mean(covered):.2f} %")
        assert LOW <= np.mean(covered) <= HIGH


@pytest.mark.parametrize(
    ("clusters", "size", "share", "alike"),
    [
        (10, 6, 0.5, 0.2),
        (10, 6, 0.1, 0.2),
        (20, 6, 0.5, 0.2),
        (40, 6, 0.5, 0.2),
        (40, 6, 0.1, 0.2),
        pytest.param(*(100, 4, 0.5, 0.3), marks=pytest.mark.slow),
        pytest.param(*(200, 8, 0.9, 0.3), marks=pytest.mark.slow),
    ],
)
def test_coverage_of_a_clustered_share(
    clusters: int, size: int, share: float, alike: float
) -> None:
    draw = np.random.default_rng(1)
    # Beta-binomial: `alike` is the correlation of two items of a cluster.
    chances = draw.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), (DRAWS, clusters))
    totals = draw.binomial(size, chances).astype(float)
    sizes = [float(size)] * clusters
    found = [ends(stats.ratio(row, sizes, is_share=True)) for row in totals.tolist()]
    name = f"clustered share {share}, {clusters} clusters of {size}, ICC {alike}"
    # Ten clusters say little of their own spread: wide rather than narrow.
    high = 0.985 if clusters == 10 else HIGH
    assert LOW <= holds(name, found, share) <= high


@pytest.mark.parametrize("n", [20, 100])
def test_coverage_of_a_mean_that_is_no_share(n: int) -> None:
    values = np.random.default_rng(2).normal(3, 2, (DRAWS, n))
    found = [ends(stats.mean(row)) for row in values.tolist()]
    assert LOW <= holds(f"normal mean, n = {n}", found, 3) <= HIGH


@pytest.mark.parametrize(
    ("sizes", "shares"),
    [
        ([60, 100, 40, 160, 80], [0.2, 0.5, 0.8, 0.4, 0.9]),
        ([10] * 10, [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]),
    ],
    ids=["5 of 40 to 160", "10 of 10"],
)
def test_coverage_of_a_macro_average(sizes: list[int], shares: list[float]) -> None:
    draw = np.random.default_rng(3)
    rights = [draw.binomial(n, p, DRAWS) for n, p in zip(sizes, shares, strict=True)]
    # The estimate of each possible count, made once.
    tables = [
        [stats.mean([1.0] * right + [0.0] * (n - right)) for right in range(n + 1)] for n in sizes
    ]
    found = []
    for counts in zip(*rights, strict=True):
        groups = {str(i): tables[i][right] for i, right in enumerate(counts)}
        # Only its n is used: every group has several items.
        found.append(ends(stats.macro(groups, tables[0][5], is_share=True)))
    assert (
        LOW
        <= holds(f"macro average of {len(sizes)} sub-tasks", found, float(np.mean(shares)))
        <= HIGH
    )


def pair_coverage(n: int, win: float, loss: float) -> float:
    """Exact: over all (wins, losses) with their multinomial chance."""
    covered = 0.0
    most = int(n * (win + loss) + 8 * (n * (win + loss)) ** 0.5 + 8)
    for wins in range(min(n, most) + 1):
        for losses in range(min(n - wins, most) + 1):
            chance = multinomial.pmf(
                [wins, losses, n - wins - losses], n, [win, loss, 1 - win - loss]
            )
            if chance < 1e-9:
                continue
            d = (wins - losses) / n
            stderr = ((wins + losses - n * d * d) / (n * (n - 1))) ** 0.5
            low, high = Moments(d, stderr, n - 1, True, n).interval()
            covered += chance * (known(low) <= win - loss <= known(high))
    return covered


@pytest.mark.parametrize(
    ("n", "win", "loss"), [(100, 0.15, 0.10), (300, 0.05, 0.05), (300, 0.10, 0.06)]
)
def test_coverage_of_a_paired_difference_of_shares(n: int, win: float, loss: float) -> None:
    covered = pair_coverage(n, win, loss)
    print(f"paired difference, n = {n}, wins {win}, losses {loss}: {100 * covered:.2f} % (exact)")
    assert LOW <= covered <= HIGH


@pytest.mark.parametrize(
    ("n", "win", "loss", "expected"), [(20, 0.2, 0.1, 0.9785), (100, 0.02, 0.02, 0.9950)]
)
def test_few_discordant_pairs_make_a_wide_interval(
    n: int, win: float, loss: float, expected: float
) -> None:
    assert pair_coverage(n, win, loss) == pytest.approx(expected, abs=5e-5)


def paired_intervals(differences: np.ndarray, binary: bool, **labels: list[int]) -> list[Ends]:
    found: list[Ends] = []
    for row in differences.tolist():
        mean = stats.stratified_mean(row, **labels)
        evidence = Evidence(len(row), mean.effective_clusters, mean.spare_clusters)
        if "clusters" not in labels:
            evidence = replace(evidence, items=mean.effective_clusters)
        moments = moments_of(mean.value, mean.error, mean.error, evidence, binary=binary, scale=1)
        found.append(moments.interval())
    return found


def test_coverage_of_a_clustered_paired_difference() -> None:
    draw = np.random.default_rng(5)
    shift = draw.normal(0, 0.2, (DRAWS, 30)).repeat(3, axis=1)
    differences = 0.05 + shift + draw.normal(0, 0.4, (DRAWS, 90))
    labels = [i // 3 for i in range(90)]
    found = paired_intervals(differences, False, clusters=labels)
    assert LOW <= holds("clustered paired difference, 30 of 3", found, 0.05) <= HIGH


@pytest.mark.parametrize(
    ("sizes", "high"),
    [
        # One win and one loss more weigh something in 100 items: a little wide.
        ([10, 40, 25, 25], 0.965),
        pytest.param([60, 160, 80, 100], HIGH, marks=pytest.mark.slow),
    ],
    ids=["100 items", "400 items"],
)
def test_coverage_of_a_paired_difference_of_macro_averages(sizes: list[int], high: float) -> None:
    draw = np.random.default_rng(6)
    wins, losses = [0.2, 0.1, 0.3, 0.15], [0.1, 0.1, 0.1, 0.2]
    parts = []
    for n, win, loss in zip(sizes, wins, losses, strict=True):
        u = draw.random((DRAWS, n))
        parts.append((u < win).astype(float) - (u > 1 - loss))
    strata = [g for g, n in enumerate(sizes) for _ in range(n)]
    found = paired_intervals(np.concatenate(parts, axis=1), True, strata=strata)
    truth = float(np.mean(wins) - np.mean(losses))
    name = f"paired difference of macro averages, {sum(sizes)} items"
    assert LOW <= holds(name, found, truth) <= high


@pytest.mark.slow
def test_coverage_of_a_slope() -> None:
    """Items differ in level and in slope; checkpoints are 0/1 draws of their chance."""
    draw = np.random.default_rng(7)
    n, steps = 80, [0, 100, 200, 400]
    level = draw.uniform(0.1, 0.6, (DRAWS, n, 1))
    slope = draw.uniform(-0.0002, 0.0008, (DRAWS, n, 1))
    right = draw.random((DRAWS, n, 4)) < level + slope * np.array(steps)
    found = []
    for matrix in right.astype(float).tolist():
        line = stats.trend(steps, matrix)
        found.append((line.ci_low, line.ci_high))
    assert LOW <= holds("slope over 4 checkpoints, 80 items", found, 0.0003) <= HIGH


def test_coverage_of_a_slope_of_scores() -> None:
    draw = np.random.default_rng(8)
    steps = [0.0, 1.0, 2.0, 3.0, 4.0]
    scores = 0.3 + 0.02 * np.array(steps) + draw.normal(0, 0.01, (DRAWS, 5))
    lines = [stats.trend_of_scores(steps, row) for row in scores.tolist()]
    found = [(line.ci_low, line.ci_high) for line in lines]
    assert LOW <= holds("slope of 5 scores about a line", found, 0.02) <= HIGH


def share_of(right: int, n: int) -> stats.Estimate:
    """The estimate of a count, without a list of its items."""
    p = right / n
    stderr = (p * (1 - p) / (n - 1)) ** 0.5
    return stats.with_interval(p, stderr, n, is_share=True, effective=n)


@pytest.mark.parametrize(("dev", "unseen"), [(0.6, 0.5), (0.95, 0.9), (0.3, 0.05)])
def test_coverage_of_the_gap(dev: float, unseen: float) -> None:
    draw = np.random.default_rng(9)
    found = []
    pairs = zip(draw.binomial(400, dev, DRAWS), draw.binomial(250, unseen, DRAWS), strict=True)
    for a, b in pairs:
        gap = stats.generalization_gap(share_of(int(a), 400), share_of(int(b), 250))
        found.append((gap.ci_low, gap.ci_high))
    assert LOW <= holds(f"gap {dev} - {unseen}, n = 400 and 250", found, dev - unseen) <= HIGH


def test_coverage_of_a_suite_mean() -> None:
    draw = np.random.default_rng(10)
    sizes, shares = [1000, 300, 200, 500], [0.7, 0.45, 0.9, 0.2]
    rights = [draw.binomial(n, p, DRAWS) for n, p in zip(sizes, shares, strict=True)]
    found = []
    for counts in zip(*rights, strict=True):
        tasks = {str(n): share_of(int(c), n) for c, n in zip(counts, sizes, strict=True)}
        found.append(ends(known(stats.suite_mean(tasks))))
    assert LOW <= holds("suite mean of 4 tasks", found, float(np.mean(shares))) <= HIGH


def test_coverage_of_pass_at_k() -> None:
    draw = np.random.default_rng(11)
    chances = draw.beta(1, 3, (DRAWS, 80))
    rights = draw.binomial(10, chances)
    table = [stats.pass_at_k(10, c, 5) for c in range(11)]
    found = [ends(stats.mean([table[c] for c in row])) for row in rights.tolist()]
    # E[1 - (1 - p)^5] for p from Beta(1, 3) is 1 - 3/8.
    assert LOW <= holds("pass@5 of 10, 80 items", found, 1 - 3 / 8) <= HIGH
    assert stats.mean_pass_at_k([(10, int(c)) for c in rights[0]], 5) == stats.mean(
        [table[c] for c in rights[0]]
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_coverage_of_the_bootstrap(method: Literal["percentile", "bca"]) -> None:
    """The ratio of two totals over items (a corpus-level metric), 100 items."""
    draw = np.random.default_rng(12)
    found = []
    for _ in range(1_000):
        sizes = draw.integers(1, 20, 100)
        hits = draw.binomial(sizes, draw.beta(4, 6, 100))
        items = list(zip(hits.tolist(), sizes.tolist(), strict=True))

        def share(rows: Sequence[tuple[int, int]]) -> float:
            return sum(hit for hit, _ in rows) / sum(size for _, size in rows)

        got = stats.bootstrap(share, items, n_resamples=499, method=method)
        found.append((got.ci_low, got.ci_high))
    # 1,000 draws: two standard errors are 1.4 points, and the interval is a little narrow.
    assert 0.925 <= holds(f"bootstrap {method}, 100 items", found, 0.4) <= 0.965
