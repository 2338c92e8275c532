"""How often intervals hold where it is hard: few clusters, rare differences, shares near 0 and 1.

`docs/statistics.md` has the numbers these tests print (`pytest -s`).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from olmes import stats
from olmes.stats.moments import Evidence, moments_of
from olmes.stats.pairs import Layout
from tests.known import known

DRAWS = 4_000
# Two standard errors of a coverage of 95 % over so many draws are 0.7 points.


def clustered_pairs(
    draw: np.random.Generator, clusters: int, size: int, win: float, loss: float, alike: float
) -> np.ndarray:
    """Differences of 0/1 scores, (items, draws); `alike` is the correlation behind a cluster's."""
    shared = draw.normal(size=(clusters, 1, DRAWS))
    own = draw.normal(size=(clusters, size, DRAWS))
    latent = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own
    found: np.ndarray = (latent < norm.ppf(win)).astype(float) - (latent > norm.ppf(1 - loss))
    return found.reshape(clusters * size, DRAWS)


def verdicts(differences: np.ndarray, labels: list[int], truth: float) -> tuple[float, float]:
    """The share of intervals that hold the truth, and of those that leave out 0 at p < 0.05."""
    n = len(differences)
    clustered, single = Layout.of(n, labels, None, None), Layout.of(n, None, None, None)
    evidence = Evidence(n, clustered.effective_clusters, clustered.spare_clusters)
    errors, alone = clustered.errors(differences), single.errors(differences)
    held = found = 0
    for place, value in enumerate(clustered.means(differences).tolist()):
        moments = moments_of(
            value, errors.at(place), alone.at(place), evidence, binary=True, scale=1.0
        )
        low, high = moments.interval()
        held += known(low) <= truth <= known(high)
        out = known(low) > 0 or known(high) < 0
        found += out and moments.t_test().p_value < 0.05
    return held / differences.shape[1], found / differences.shape[1]


DESIGNS = [(20, 10), (20, 5), (40, 6), (10, 10), (30, 3)]


@pytest.mark.parametrize(("clusters", "size"), DESIGNS)
@pytest.mark.parametrize("alike", [0.0, 0.2, 0.6])
def test_clustered_pairs_of_shares_hold(clusters: int, size: int, alike: float) -> None:
    draw = np.random.default_rng(31)
    labels = [item // size for item in range(clusters * size)]
    for win, loss in ((0.1, 0.1), (0.25, 0.123)):
        rows = clustered_pairs(draw, clusters, size, win, loss, alike)
        held, found = verdicts(rows, labels, win - loss)
        print(f"{clusters} of {size}, alike {alike}, {win} to {loss}: {100 * held:.1f} %", end="")
        print(f", found {100 * found:.0f} %")
        # Ten clusters of ten that are much alike are seldom enough to see both kinds.
        assert 0.94 <= held <= (0.99 if alike == 0.6 else 0.973)
        if win == loss:
            assert found < 0.06


@pytest.mark.parametrize(("clusters", "size"), DESIGNS)
def test_rare_clustered_differences_are_wide_rather_than_narrow(clusters: int, size: int) -> None:
    draw = np.random.default_rng(32)
    labels = [item // size for item in range(clusters * size)]
    for win, loss in ((0.01, 0.01), (0.02, 0.001)):
        rows = clustered_pairs(draw, clusters, size, win, loss, 0.2)
        held, found = verdicts(rows, labels, win - loss)
        print(f"{clusters} of {size}, {win} to {loss}: {100 * held:.1f} %, {100 * found:.0f} %")
        assert held >= 0.94
        if win == loss:
            assert found < 0.055


def test_clusters_keep_their_power() -> None:
    """12.7 points, 20 passages of 10: plain clustered t finds them in 82 %; whole passages in 14 %."""
    rows = clustered_pairs(np.random.default_rng(33), 20, 10, 0.25, 0.123, 0.0)
    assert verdicts(rows, [item // 10 for item in range(200)], 0.127)[1] > 0.76


def best_coverage(checkpoints: int, share: float, n: int, draws: int) -> float:
    """Ten alike, half of an item's luck the same at all of them."""
    draw, held = np.random.default_rng(34), 0
    for seed in range(draws):
        shared = draw.random((n, 1))
        own = draw.random((n, checkpoints))
        luck = np.where(draw.random((n, checkpoints)) < 0.5, shared, own)
        found = stats.best_of((luck < share).astype(float).tolist(), n_resamples=200, seed=seed)
        held += known(found.ci_low) <= share <= known(found.ci_high)
    print(f"best of {checkpoints} at {share}, {n} items: {100 * held / draws:.1f} %")
    return held / draws


@pytest.mark.parametrize(("share", "n"), [(0.5, 30), (0.9, 50), (0.935, 30), (0.977, 50)])
def test_the_best_of_ten_near_the_end_holds(share: float, n: int) -> None:
    assert best_coverage(10, share, n, 150) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", [10, 30, 100])
@pytest.mark.parametrize("n", [30, 50, 100, 200])
def test_the_best_of_many_near_the_end_holds(checkpoints: int, n: int) -> None:
    for share in (0.5, 0.9, 0.935, 0.977):
        assert best_coverage(checkpoints, share, n, 300) >= 0.95
    # Two right of 30 are no sign of skill at 1 %: Wilson's steps, once for each checkpoint.
    assert best_coverage(checkpoints, 0.01, n, 300) >= 0.88


@pytest.mark.parametrize(
    ("n", "spread", "least"), [(5, 1.0, 0.88), (10, 0.7, 0.92), (30, 1.0, 0.93), (100, 1.0, 0.94)]
)
def test_means_of_lengths_hold(n: int, spread: float, least: float) -> None:
    """Log-normal: Student's t alone holds 82, 89, 88 and 92 %."""
    rows = np.random.default_rng(35).lognormal(0, spread, (3_000, n))
    truth = float(np.exp(spread**2 / 2))
    found = [stats.mean([10 * value for value in row]) for row in rows.tolist()]
    held = np.mean([known(one.ci_low) <= 10 * truth <= known(one.ci_high) for one in found])
    print(f"log-normal mean, spread {spread}, n = {n}: {100 * held:.1f} %")
    assert least <= held <= 0.97


def test_numbers_that_are_all_alike_have_no_interval() -> None:
    found = stats.mean([0.1 + 0.2, 0.3, 0.3], None)
    assert found.stderr == 0
    # As a share it is one item's word three times over, not certainty.
    assert known(found.ci_high) - known(found.ci_low) > 0.5
    lengths = stats.mean([12.0] * 20)
    assert (lengths.stderr, lengths.ci_low, lengths.ci_high) == (0.0, None, None)
