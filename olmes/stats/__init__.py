"""Statistics of scores: errors, comparisons, power, and sequences of checkpoints.

docs/statistics.md says which to use when. The means are plain Python and load at once; the rest
loads on first use, and scipy only inside the functions that need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from olmes.stats.estimates import Z95, Estimate, macro, mean, ratio, t95, wilson, with_interval

if TYPE_CHECKING:
    from olmes.stats.alarm import Alarm, regression_alarm
    from olmes.stats.carryover import CarryOver, RankCorrelation, carry_over, rank_correlation
    from olmes.stats.exact import PValue, mcnemar_exact, sign_flip_test
    from olmes.stats.multiplicity import holm
    from olmes.stats.pairing import PairedDifference, compare, with_holm
    from olmes.stats.power import (
        design_effect,
        difference_variance,
        items_needed,
        minimum_detectable_effect,
        resampled_variance,
    )
    from olmes.stats.repeats import mean_pass_at_k, pass_at_k
    from olmes.stats.resampling import Bootstrapped, bootstrap
    from olmes.stats.selection import BestOf, best_of, checkpoint_noise
    from olmes.stats.strata import StratifiedMean, stratified_mean
    from olmes.stats.suites import Difference, generalization_gap, suite_difference, suite_mean
    from olmes.stats.trends import Trend, trend, trend_of_scores

PUBLIC = {
    "Alarm": "alarm",
    "BestOf": "selection",
    "Bootstrapped": "resampling",
    "CarryOver": "carryover",
    "Difference": "suites",
    "PValue": "exact",
    "PairedDifference": "pairing",
    "RankCorrelation": "carryover",
    "StratifiedMean": "strata",
    "Trend": "trends",
    "best_of": "selection",
    "bootstrap": "resampling",
    "carry_over": "carryover",
    "checkpoint_noise": "selection",
    "compare": "pairing",
    "design_effect": "power",
    "difference_variance": "power",
    "generalization_gap": "suites",
    "holm": "multiplicity",
    "items_needed": "power",
    "mcnemar_exact": "exact",
    "mean_pass_at_k": "repeats",
    "minimum_detectable_effect": "power",
    "pass_at_k": "repeats",
    "rank_correlation": "carryover",
    "regression_alarm": "alarm",
    "resampled_variance": "power",
    "sign_flip_test": "exact",
    "stratified_mean": "strata",
    "suite_difference": "suites",
    "suite_mean": "suites",
    "trend": "trends",
    "trend_of_scores": "trends",
    "with_holm": "pairing",
}

__all__ = [
    "Z95",
    "Alarm",
    "BestOf",
    "Bootstrapped",
    "CarryOver",
    "Difference",
    "Estimate",
    "PValue",
    "PairedDifference",
    "RankCorrelation",
    "StratifiedMean",
    "Trend",
    "best_of",
    "bootstrap",
    "carry_over",
    "checkpoint_noise",
    "compare",
    "design_effect",
    "difference_variance",
    "generalization_gap",
    "holm",
    "items_needed",
    "macro",
    "mcnemar_exact",
    "mean",
    "mean_pass_at_k",
    "minimum_detectable_effect",
    "pass_at_k",
    "rank_correlation",
    "ratio",
    "regression_alarm",
    "resampled_variance",
    "sign_flip_test",
    "stratified_mean",
    "suite_difference",
    "suite_mean",
    "t95",
    "trend",
    "trend_of_scores",
    "wilson",
    "with_holm",
    "with_interval",
]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(f"olmes.stats.{PUBLIC[name]}"), name)
    raise AttributeError(f"module 'olmes.stats' has no attribute '{name}'")
