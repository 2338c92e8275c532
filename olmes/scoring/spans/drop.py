"""The scorer of DROP (Dua et al. 2019, section 5): exact match, and F1 over bags of words.

The protocol's, whose prediction is always one span, and the aligned one for predictions of several.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

ARTICLE = re.compile(r"\b(?:a|an|the)\b")
TOKEN_END = re.compile("[ -]")
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def is_number(word: str) -> bool:
    """Whether Python reads a word as a float, as the benchmark's scorer asks."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def normalized(span: str) -> str:
    """A span as it is compared: words in lower case, without articles and punctuation.

    Words end at a blank or a hyphen. Numbers become floats: `1,234` is `1234.0`.
    """
    words = []
    for token in filter(None, TOKEN_END.split(span)):
        word = token.lower()
        if not is_number(word):
            word = word.translate(WITHOUT_PUNCTUATION)
        word = str(float(word)) if is_number(word) else word
        words += ARTICLE.sub(" ", word).split()
    return " ".join(words)


def exact(span: str, gold: Sequence[str]) -> bool:
    """Whether one span is the whole of a gold answer; never where that has several spans."""
    return len(gold) == 1 and normalized(span) == normalized(gold[0])


def f1(span: str, gold: Sequence[str]) -> float:
    """F1 of one span against a gold answer of one or more, rounded to two digits.

    Of several gold spans it can match one alone, so that it is at most 1 / their number.
    """
    words = bag(span)
    return round(max(bag_f1(words, bag(each)) for each in gold) / len(gold), 2)


def aligned_f1(spans: Sequence[str], gold: Sequence[str]) -> float:
    """Mean F1 of spans and gold spans, paired one to one as is best; what has no partner counts 0."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    found, wanted = [bag(each) for each in spans], [bag(each) for each in gold]
    scores = np.array([[bag_f1(one, other) for other in wanted] for one in found])
    pairs = linear_sum_assignment(scores, maximize=True)
    return float(scores[pairs].sum()) / max(len(found), len(wanted))


def bag(span: str) -> frozenset[str]:
    """The words of a span, each once."""
    return frozenset(normalized(span).split())


def bag_f1(predicted: frozenset[str], gold: frozenset[str]) -> float:
    """F1 of two bags; 0 where the gold one has numbers and the predicted one none of them."""
    numbers = frozenset(filter(is_number, gold))
    if numbers and not numbers & predicted:
        return 0.0
    common = len(predicted & gold)
    # An empty bag is precise, or complete, by the benchmark's convention.
    precision = common / len(predicted) if predicted else 1.0
    recall = common / len(gold) if gold else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
