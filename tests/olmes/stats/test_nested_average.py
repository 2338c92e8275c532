"""Sub-tasks that are averaged with others of their group first: weights and error, everywhere alike."""

from __future__ import annotations

import math

import pytest

from olmes import stats
from olmes.records.items import stratum_of
from olmes.stats import Grouped, Part
from olmes.stats.alarm import places_of_wholes

LABELS = ["plain", Grouped("jail", "jail:harmful"), Grouped("jail", "jail:benign"), "other"]
COLUMNS = {
    "plain": [1.0, 0.0, 1.0, 1.0],
    "jail:harmful": [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
    "jail:benign": [0.0, 1.0, 0.0],
    "other": [1.0, 0.0, 0.0, 1.0, 0.0],
}


def test_a_group_weighs_as_much_as_a_sub_task_of_none() -> None:
    assert stats.stratum_weights(LABELS) == [1 / 3, 1 / 6, 1 / 6, 1 / 3]
    # In the mean of a suite the tasks weigh the same, however deep each is.
    suite = [Part("safety", label) for label in LABELS]
    suite += [Part("math", "algebra"), Part("math", "geometry"), Part("gsm8k", "")]
    expected = [1 / 9, 1 / 18, 1 / 18, 1 / 9, 1 / 6, 1 / 6, 1 / 3]
    assert stats.stratum_weights(suite) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("aggregate", "label"),
    [("micro", ""), ("macro", "jail:benign"), ("nested", Grouped("jail", "jail:benign"))],
)
def test_what_a_sub_task_is_averaged_within(aggregate: str, label: object) -> None:
    assert stratum_of("jail:benign", aggregate) == label
    assert type(stratum_of("jail:benign", aggregate)) is type(label)
    assert stratum_of("plain", aggregate) == ("" if aggregate == "micro" else "plain")


def test_value_and_error_by_hand() -> None:
    groups = {name: stats.mean(column) for name, column in COLUMNS.items()}
    pooled = stats.mean([value for column in COLUMNS.values() for value in column])
    weights = stats.stratum_weights(LABELS)
    found = stats.macro(groups, pooled, is_share=True, weights=weights)
    assert found.value == pytest.approx((3 / 4 + (6 / 8 + 1 / 3) / 2 + 2 / 5) / 3)
    errors = [group.stderr or 0.0 for group in groups.values()]
    expected = math.sqrt(sum((w * e) ** 2 for w, e in zip(weights, errors, strict=True)))
    assert found.stderr == pytest.approx(expected)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert 0 < found.ci_low < found.value < found.ci_high < 1
    # The halves averaged first and then the rest: the same number.
    halves = {name: groups[name] for name in ("jail:harmful", "jail:benign")}
    jail = stats.macro(halves, pooled, is_share=True)
    whole = {"plain": groups["plain"], "jail": jail, "other": groups["other"]}
    in_steps = stats.macro(whole, pooled, is_share=True)
    assert (in_steps.value, in_steps.stderr) == pytest.approx((found.value, found.stderr))


def test_equal_weights_change_no_digit() -> None:
    groups = {name: stats.mean(column) for name, column in COLUMNS.items()}
    pooled = stats.mean([value for column in COLUMNS.values() for value in column])
    plain = stats.macro(groups, pooled, is_share=True)
    assert stats.macro(groups, pooled, is_share=True, weights=[1 / 4] * 4) == plain


def test_small_groups_are_weighed_too() -> None:
    groups = {"a": stats.mean([1.0]), "b": stats.mean([0.0, 1.0]), "c": stats.mean([0.0] * 9)}
    pooled = stats.mean([1.0, 0.0, 1.0, *[0.0] * 9])
    found = stats.macro(groups, pooled, is_share=True, weights=[0.25, 0.25, 0.5])
    assert found.value == pytest.approx(0.25 + 0.125)
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < found.value < found.ci_high


def test_items_give_what_the_sub_tasks_give() -> None:
    values = [value for column in COLUMNS.values() for value in column]
    of_items = [
        label for label, column in zip(LABELS, COLUMNS.values(), strict=True) for _ in column
    ]
    groups = {name: stats.mean(column) for name, column in COLUMNS.items()}
    weights = stats.stratum_weights(LABELS)
    of_tasks = stats.macro(groups, stats.mean(values), is_share=True, weights=weights)
    assert stats.nested_mean(values, strata=of_items, is_share=True) == of_tasks
    mean = stats.stratified_mean(values, strata=of_items)
    assert (mean.value, mean.stderr) == pytest.approx((of_tasks.value, of_tasks.stderr))
    # Alone it is one average, and no suite of its groups.
    assert list(places_of_wholes(len(values), of_items)) == [None]
    suite = [Part("safety", label) for label in of_items]
    assert list(places_of_wholes(len(values), suite)) == ["safety"]
    assert stats.nested_mean(values, strata=suite, is_share=True).value == pytest.approx(
        of_tasks.value
    )
