"""Best-of-k and the regression alarm, by simulation with a known truth.

`docs/statistics.md` has the numbers these tests print (`pytest -s`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from olmes import stats
from tests.known import known


def right_or_wrong(draw: np.random.Generator, chances: np.ndarray, items: int) -> np.ndarray:
    """0/1 values, items by checkpoints: an item's luck is partly the same at all checkpoints."""
    shared = draw.random((items, 1))
    own = draw.random((items, len(chances)))
    luck = np.where(draw.random((items, len(chances))) < 0.5, shared, own)
    return (luck < chances).astype(float)


CHANCES = {
    "all alike": np.full(10, 0.5),
    "two alike": np.full(2, 0.5),
    "rising and level": 0.5 - 0.12 * np.exp(-np.arange(10) / 2),
    "rising": np.linspace(0.40, 0.50, 10),
    "one ahead by 3.3 SE": np.array([0.4] * 9 + [0.5]),
}


def choosing(name: str, draws: int) -> tuple[float, float, float]:
    """Bias of the best score as measured, of the corrected one (points), and the coverage."""
    draw, chances = np.random.default_rng(21), CHANCES[name]
    naive, corrected, held = [], [], []
    for seed in range(draws):
        matrix = right_or_wrong(draw, chances, 200)
        best = stats.best_of(matrix.tolist(), n_resamples=400, seed=seed)
        truth = chances[best.index]
        naive.append(best.score - truth)
        corrected.append(best.corrected - truth)
        held.append(best.ci_low <= truth <= best.ci_high)
    found = 100 * np.mean(naive), 100 * np.mean(corrected), float(np.mean(held))
    print(f"{name}: measured {found[0]:+.2f}, corrected {found[1]:+.2f} points;", end=" ")
    print(f"covers {100 * found[2]:.1f} %")
    return found


def test_the_best_of_ten_alike_is_overrated_and_corrected() -> None:
    naive, corrected, held = choosing("all alike", 300)
    # The standard error of these means is 0.13 points.
    assert naive > 3
    assert abs(corrected) < 0.6
    assert held > 0.94


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANCES)
def test_choosing(name: str) -> None:
    naive, corrected, held = choosing(name, 2_000)
    left = {"one ahead by 3.3 SE": 1.9, "rising and level": 0.75}.get(name, 0.5)
    assert abs(corrected) < left
    assert naive > 0
    assert held > 0.94


@pytest.mark.slow
def test_an_alarm_seldom_rings_for_nothing() -> None:
    """How many trainings of 10 checkpoints without any change raise it at some look."""
    draw, runs = np.random.default_rng(22), 400
    raised = {"corrected": 0, "Holm alone": 0, "uncorrected": 0}
    for _ in range(runs):
        values = right_or_wrong(draw, np.full(10, 0.5), 300)
        rung = dict.fromkeys(raised, False)
        for k in range(2, 11):
            names = [str(i) for i in range(k)]
            alarm = known(stats.regression_alarm(values[:, :k].tolist(), names))
            best = alarm.against_best
            rung["corrected"] |= alarm.raised
            once = replace(best, p_adjusted=best.p_adjusted / alarm.looks)
            rung["Holm alone"] |= once.verdict == "worse"
            rung["uncorrected"] |= replace(best, p_adjusted=best.p_value).verdict == "worse"
        for name in raised:
            raised[name] += rung[name]
    print("alarms for nothing:", {name: f"{100 * n / runs:.1f} %" for name, n in raised.items()})
    # 400 trainings: two standard errors are 2.2 points.
    assert raised["corrected"] / runs < 0.07
    assert raised["corrected"] < raised["Holm alone"] < raised["uncorrected"]


def test_an_alarm_rings_for_a_fall() -> None:
    draw = np.random.default_rng(23)
    chances = np.array([0.5, 0.6, 0.6, 0.6, 0.35])
    values = right_or_wrong(draw, chances, 500).tolist()
    alarm = known(stats.regression_alarm(values, ["100", "200", "300", "400", "500"]))
    assert alarm.raised
    assert alarm.latest == "500"
    assert alarm.best in {"200", "300", "400"}
    assert alarm.sentence.startswith(
        f"500 has fallen below the best earlier checkpoint ({alarm.best}"
    )
    assert alarm.against_best.p_adjusted >= alarm.looks * alarm.against_best.p_value
    assert alarm.to_json()["raised"] is True


def test_an_alarm_is_corrected_by_holm_and_by_the_looks() -> None:
    draw = np.random.default_rng(26)
    values = right_or_wrong(draw, np.array([0.5, 0.56, 0.5, 0.42]), 200)
    names = ["a", "b", "c", "d"]
    once = known(stats.regression_alarm(values.tolist(), names, looks=1))
    alarm = known(stats.regression_alarm(values.tolist(), names))
    columns = values.T.tolist()
    plain = [stats.compare(column, columns[-1]).p_value for column in columns[:-1]]
    corrected = stats.holm(plain)
    assert alarm.best == "b"
    assert 0 < 3 * corrected[1] < 1
    assert once.against_best.p_adjusted == pytest.approx(corrected[1])
    assert alarm.against_best.p_adjusted == pytest.approx(3 * corrected[1])
    assert known(alarm.against_previous).p_adjusted == pytest.approx(min(1, 3 * corrected[2]))
    with pytest.raises(ValueError, match="2 names for 4 checkpoints"):
        stats.regression_alarm(values.tolist(), ["a", "b"])


def test_an_alarm_knows_which_way_is_better() -> None:
    losses = [[0.2, 0.9 + 0.001 * i] for i in range(30)]
    assert known(stats.regression_alarm(losses, ["a", "b"], higher_is_better=False)).raised
    three = [[0.5, 0.2 + 0.001 * i, 0.9] for i in range(30)]
    names = ["a", "b", "c"]
    assert known(stats.regression_alarm(three, names, higher_is_better=False)).best == "b"
    assert known(stats.regression_alarm(three, names)).best == "a"
    assert not known(stats.regression_alarm(losses, ["a", "b"])).raised


def test_no_alarm_from_one_checkpoint_or_one_that_gains() -> None:
    assert stats.regression_alarm([[1.0], [0.0]], ["a"]) is None
    draw = np.random.default_rng(24)
    values = right_or_wrong(draw, np.array([0.3, 0.5]), 200).tolist()
    alarm = known(stats.regression_alarm(values, ["a", "b"]))
    assert not alarm.raised
    assert "no fall is shown" in alarm.sentence
