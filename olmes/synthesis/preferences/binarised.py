"""From ratings to a pair: the best text is chosen, a worse one rejected (Tülu 3, section 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from olmes.synthesis.draws import draw
from olmes.synthesis.preferences.panel import Judged

NoPair = Literal["unrated", "tied"]
"""Why a prompt has no pair: fewer than two texts have a rating, or all have the same mean."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to a prompt by their numbers, and their mean ratings."""

    judged: Judged
    chosen: int
    rejected: int
    chosen_score: Fraction
    rejected_score: Fraction


def binarised(judged: Judged, seed: int) -> Pair | NoPair:
    """The pair of a prompt.

    Chosen is a text with the highest mean over aspects and judges, drawn by seed among equals;
    rejected is drawn by seed among those with a lower mean, not the worst.

    Args:
        judged: the prompt, rated.
        seed: the recipe's.
    """
    scores = {at: score for at, score in enumerate(judged.scores()) if score is not None}
    if len(scores) < 2:
        return "unrated"
    highest = max(scores.values())
    lower = [at for at, score in scores.items() if score < highest]
    if not lower:
        return "tied"
    drawn = draw(seed, "pair", judged.id)
    chosen = drawn.choice([at for at, score in scores.items() if score == highest])
    rejected = drawn.choice(lower)
    return Pair(judged, chosen, rejected, highest, scores[rejected])
