"""Statistics of scores: errors, comparisons, power, and sequences of checkpoints.

docs/statistics.md says which to use when. Each loads on first use, and scipy only inside the functions
that need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names as below, for type checkers and editors
    from olmes.stats.agreement import Alpha as Alpha
    from olmes.stats.agreement import Kappa as Kappa
    from olmes.stats.agreement import cohen_kappa as cohen_kappa
    from olmes.stats.agreement import krippendorff_alpha as krippendorff_alpha
    from olmes.stats.alarm import Alarm as Alarm
    from olmes.stats.alarm import Fall as Fall
    from olmes.stats.alarm import comparisons as comparisons
    from olmes.stats.alarm import regression_alarm as regression_alarm
    from olmes.stats.alarm import unpaired_alarm as unpaired_alarm
    from olmes.stats.averages import macro as macro
    from olmes.stats.carryover import CarryOver as CarryOver
    from olmes.stats.carryover import carry_over as carry_over
    from olmes.stats.changes import Ratio as Ratio
    from olmes.stats.changes import ShareError as ShareError
    from olmes.stats.changes import carried_share as carried_share
    from olmes.stats.changes import log_odds_change as log_odds_change
    from olmes.stats.changes import negated as negated
    from olmes.stats.estimates import Z95 as Z95
    from olmes.stats.estimates import Estimate as Estimate
    from olmes.stats.estimates import mean as mean
    from olmes.stats.estimates import ratio as ratio
    from olmes.stats.estimates import t95 as t95
    from olmes.stats.estimates import wilson as wilson
    from olmes.stats.estimates import with_interval as with_interval
    from olmes.stats.exact import PValue as PValue
    from olmes.stats.exact import mcnemar_exact as mcnemar_exact
    from olmes.stats.exact import sign_flip_test as sign_flip_test
    from olmes.stats.multiplicity import holm as holm
    from olmes.stats.nested import nested_mean as nested_mean
    from olmes.stats.pairing import PairedDifference as PairedDifference
    from olmes.stats.pairing import compare as compare
    from olmes.stats.pairing import with_holm as with_holm
    from olmes.stats.pairs import all_pairs as all_pairs
    from olmes.stats.power import design_effect as design_effect
    from olmes.stats.power import difference_variance as difference_variance
    from olmes.stats.power import items_needed as items_needed
    from olmes.stats.power import minimum_detectable_effect as minimum_detectable_effect
    from olmes.stats.power import resampled_variance as resampled_variance
    from olmes.stats.ranks import RankAgreement as RankAgreement
    from olmes.stats.ranks import rank_agreement as rank_agreement
    from olmes.stats.repeats import best_of_k as best_of_k
    from olmes.stats.repeats import majority_at_k as majority_at_k
    from olmes.stats.repeats import mean_pass_at_k as mean_pass_at_k
    from olmes.stats.repeats import pass_at_k as pass_at_k
    from olmes.stats.repeats import pass_hat_k as pass_hat_k
    from olmes.stats.repeats import run_to_run as run_to_run
    from olmes.stats.repeats import worst_of_k as worst_of_k
    from olmes.stats.resampling import Bootstrapped as Bootstrapped
    from olmes.stats.resampling import bootstrap as bootstrap
    from olmes.stats.seeds import TrainingNoise as TrainingNoise
    from olmes.stats.seeds import over_seeds as over_seeds
    from olmes.stats.seeds import training_noise as training_noise
    from olmes.stats.selection import BestOf as BestOf
    from olmes.stats.selection import best_of as best_of
    from olmes.stats.strata import Grouped as Grouped
    from olmes.stats.strata import Part as Part
    from olmes.stats.strata import StratifiedMean as StratifiedMean
    from olmes.stats.strata import stratified_mean as stratified_mean
    from olmes.stats.strata import stratum_weights as stratum_weights
    from olmes.stats.subsets import SubsetDifference as SubsetDifference
    from olmes.stats.subsets import mean_subset_difference as mean_subset_difference
    from olmes.stats.subsets import subset_difference as subset_difference
    from olmes.stats.suites import Difference as Difference
    from olmes.stats.suites import SuiteDifference as SuiteDifference
    from olmes.stats.suites import generalization_gap as generalization_gap
    from olmes.stats.suites import paired_mean as paired_mean
    from olmes.stats.suites import suite_difference as suite_difference
    from olmes.stats.suites import suite_mean as suite_mean
    from olmes.stats.trends import Trend as Trend
    from olmes.stats.trends import trend as trend
    from olmes.stats.trends import trend_of_scores as trend_of_scores

PUBLIC = {
    "Alarm": "alarm",
    "Alpha": "agreement",
    "BestOf": "selection",
    "Bootstrapped": "resampling",
    "CarryOver": "carryover",
    "Difference": "suites",
    "Estimate": "estimates",
    "Fall": "alarm",
    "Kappa": "agreement",
    "PValue": "exact",
    "PairedDifference": "pairing",
    "Grouped": "strata",
    "Part": "strata",
    "RankAgreement": "ranks",
    "Ratio": "changes",
    "ShareError": "changes",
    "StratifiedMean": "strata",
    "SubsetDifference": "subsets",
    "SuiteDifference": "suites",
    "TrainingNoise": "seeds",
    "Trend": "trends",
    "Z95": "estimates",
    "all_pairs": "pairs",
    "best_of": "selection",
    "best_of_k": "repeats",
    "bootstrap": "resampling",
    "carried_share": "changes",
    "carry_over": "carryover",
    "cohen_kappa": "agreement",
    "compare": "pairing",
    "comparisons": "alarm",
    "design_effect": "power",
    "difference_variance": "power",
    "generalization_gap": "suites",
    "holm": "multiplicity",
    "items_needed": "power",
    "krippendorff_alpha": "agreement",
    "log_odds_change": "changes",
    "macro": "averages",
    "majority_at_k": "repeats",
    "mcnemar_exact": "exact",
    "mean": "estimates",
    "mean_pass_at_k": "repeats",
    "mean_subset_difference": "subsets",
    "minimum_detectable_effect": "power",
    "negated": "changes",
    "nested_mean": "nested",
    "paired_mean": "suites",
    "over_seeds": "seeds",
    "pass_at_k": "repeats",
    "pass_hat_k": "repeats",
    "rank_agreement": "ranks",
    "ratio": "estimates",
    "regression_alarm": "alarm",
    "resampled_variance": "power",
    "run_to_run": "repeats",
    "sign_flip_test": "exact",
    "stratified_mean": "strata",
    "stratum_weights": "strata",
    "subset_difference": "subsets",
    "suite_difference": "suites",
    "suite_mean": "suites",
    "t95": "estimates",
    "training_noise": "seeds",
    "trend": "trends",
    "trend_of_scores": "trends",
    "unpaired_alarm": "alarm",
    "wilson": "estimates",
    "with_holm": "pairing",
    "with_interval": "estimates",
    "worst_of_k": "repeats",
}
"""Each public name with the module that holds it."""

if not TYPE_CHECKING:  # a checker that saw these would take any name for a public one
    __all__ = [*PUBLIC]

    def __getattr__(name: str) -> Any:
        if name in PUBLIC:
            return getattr(importlib.import_module(f"olmes.stats.{PUBLIC[name]}"), name)
        raise AttributeError(f"module 'olmes.stats' has no attribute '{name}'")
