"""Metrics: units, and what a further metric leaves as it is."""

from __future__ import annotations

import pytest

from olmes import Metric
from olmes.benchmark.registry import load_task, task_names


def test_bundled_metrics_are_shares() -> None:
    for name in task_names():
        assert {metric.unit for metric in load_task(name).metrics} == {"share"}


def test_parts_can_only_be_a_share() -> None:
    with pytest.raises(ValueError, match="unit must be 'share'"):
        Metric(name="words", help="words of each part", over_parts=True, unit="number")


def test_a_further_metric_does_not_change_the_formulation_hash() -> None:
    task = load_task("gsm8k")

    class More(type(task)):  # type: ignore[misc]
        metrics = (*task.metrics, Metric(name="words", help="words", unit="number"))

    class Other(type(task)):  # type: ignore[misc]
        primary = "exact_match_numeric"

    assert More().formulation_hash == task.formulation_hash
    assert Other().formulation_hash != task.formulation_hash
