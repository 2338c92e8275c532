"""Human preferences beside the judges': a file of pairs that people have compared or rated.

JSON lines; each row has what is asked (any of the shapes that trainings read) and one of

- `chosen` and `rejected`,
- two texts (`response_1` and `response_2`, `response_a` and `response_b`, `output_1` and
  `output_2`) or `responses`, a list of two, with `preference`: 1 or "A" for the first, 2 or "B" for
  the second, 0 or "tie" for neither,
- `responses`, a list, with `ratings`, a number each, higher for better: every two of them are a pair.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes import stats
from olmes.errors import OlmesError
from olmes.rows.asked import asked
from olmes.stats import Estimate, Kappa
from olmes.synthesis.preferences.panel import Answer, Judged
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash
from olmes.types import Message

PAIRS = (("response_1", "response_2"), ("response_a", "response_b"), ("output_1", "output_2"))
FIRST, SECOND, NEITHER = 1, -1, 0
SAID = {
    "1": FIRST, "a": FIRST, "first": FIRST,
    "2": SECOND, "b": SECOND, "second": SECOND,
    "0": NEITHER, "tie": NEITHER, "tied": NEITHER, "c": NEITHER,
}  # fmt: skip
"""How a preference may be written."""


@dataclass(frozen=True, slots=True)
class GoldRow:
    """Texts that people have compared."""

    id: str
    prompt: tuple[Message, ...]
    texts: tuple[str, ...]
    comparisons: tuple[tuple[int, int, int], ...]
    """Numbers of two texts, and 1, -1 or 0: the first is preferred, the second, neither."""

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The texts, as judges are shown them; nobody of the recipe wrote them."""
        return tuple(Answer(text, ()) for text in self.texts)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge, or the panel, beside the humans."""

    accuracy: Estimate | None
    """Share of the pairs on which humans have a preference where the judge has the same; half where it
    has none. None without such a pair."""
    kappa: Kappa | None
    """Over first, second, neither; each pair counts in both orders, so that the file's does not
    matter."""
    ties: int
    """Pairs of those in `accuracy` on which the judge has no preference."""
    longer: Estimate | None
    """Share of the pairs with a longer text on which the judge prefers it; half where it has none."""
    human_longer: Estimate | None
    """The same of humans, on the same pairs."""
    unrated: int
    """Pairs that the judge has not rated."""


def read_gold(path: Path) -> list[GoldRow]:
    """The rows of a file.

    Raises:
        OlmesError: it is missing, a row has no such shape, or there is none.
    """
    found = []
    for number, row in enumerate(jsonl.read(path), start=1):
        try:
            found.append(gold_row(row))
        except OlmesError as error:
            raise OlmesError(f"line {number} of {path}: {error}") from None
    if not found:
        raise OlmesError(f"{path} holds no row; give human preferences as JSON lines.")
    return found


def gold_row(row: Any) -> GoldRow:
    """One row.

    Raises:
        OlmesError: it has no such shape.
    """
    if not isinstance(row, Mapping):
        raise OlmesError("a row is an object with a prompt, texts and what people prefer.")
    prompt = asked(row)
    if not prompt:
        raise OlmesError("nothing is asked; give a 'prompt' (a text, or a list of turns).")
    texts, comparisons = compared(row)
    if all(text == texts[0] for text in texts):
        raise OlmesError("its texts are all the same, so that none can be preferred; leave it out.")
    return GoldRow(content_hash([prompt, texts])[:16], prompt, texts, comparisons)


def compared(row: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """The texts of a row and how people compare them.

    Raises:
        OlmesError: it has no such shape.
    """
    if "chosen" in row and "rejected" in row:
        return (last(row["chosen"]), last(row["rejected"])), ((0, 1, FIRST),)
    if "responses" in row:
        given = row["responses"]
    else:
        names = next((names for names in PAIRS if all(name in row for name in names)), None)
        if names is None:
            raise OlmesError("give 'chosen' and 'rejected', 'responses', or two texts.")
        given = [row[name] for name in names]
    if not isinstance(given, list) or len(given) < 2:
        raise OlmesError("'responses' must be a list of two texts or more.")
    texts = tuple(last(text) for text in given)
    if "ratings" in row:
        return texts, by_ratings(row["ratings"], len(texts))
    if len(texts) != 2:
        raise OlmesError("give 'ratings', a number a text, where there are more than two.")
    said = SAID.get(str(row.get("preference")).strip().lower())
    if said is None:
        raise OlmesError('\'preference\' must be 1 or 2 (or "A", "B"), or 0 ("tie") for neither.')
    return texts, ((0, 1, said),)


def by_ratings(ratings: Any, count: int) -> tuple[tuple[int, int, int], ...]:
    """Every two texts, compared by their ratings.

    Raises:
        OlmesError: they are no list of numbers, one a text.
    """
    wrong = OlmesError("'ratings' must be a list of numbers, one for each of 'responses'.")
    if not isinstance(ratings, list) or len(ratings) != count:
        raise wrong
    if not all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one)
        for one in ratings
    ):
        raise wrong
    return tuple(
        (a, b, (ratings[a] > ratings[b]) - (ratings[a] < ratings[b]))
        for a, b in itertools.combinations(range(count), 2)
    )


def last(text: Any) -> str:
    """A text, or the last turn of a chat.

    Raises:
        OlmesError: it is neither.
    """
    if isinstance(text, list) and text and isinstance(text[-1], Mapping):
        text = text[-1].get("content", text[-1].get("value"))
    if not isinstance(text, str):
        raise OlmesError("each of the texts must be a text, or a list of turns that ends with it.")
    return text


def agreement(rows: Sequence[GoldRow], judged: Sequence[Judged], judge: str = "") -> Agreement:
    """How a judge agrees with the humans; without a name, the panel.

    Args:
        rows: the humans'.
        judged: the same rows as the panel rates them, in the same order.
        judge: its name.
    """
    agreed: list[tuple[str, float]] = []
    said: list[tuple[int, int]] = []
    longer: list[tuple[str, float, float]] = []
    ties = unrated = 0
    for row, one in zip(rows, judged, strict=True):
        scores = one.scores(judge)
        prompt = content_hash(row.prompt)
        for first, second, human in row.comparisons:
            a, b = scores[first], scores[second]
            if a is None or b is None:
                unrated += 1
                continue
            verdict = (a > b) - (a < b)
            said += [(human, verdict), (-human, -verdict)]
            if human != NEITHER:
                agreed.append((prompt, (1 + human * verdict) / 2))
                ties += verdict == NEITHER
            lengths = len(row.texts[first]), len(row.texts[second])
            if side := (lengths[0] > lengths[1]) - (lengths[0] < lengths[1]):
                longer.append((prompt, (1 + side * verdict) / 2, (1 + side * human) / 2))
    return Agreement(
        accuracy=mean_of([(prompt, value) for prompt, value in agreed]),
        kappa=stats.cohen_kappa(said) if said else None,
        ties=ties,
        longer=mean_of([(prompt, judges) for prompt, judges, _ in longer]),
        human_longer=mean_of([(prompt, humans) for prompt, _, humans in longer]),
        unrated=unrated,
    )


def mean_of(values: Sequence[tuple[str, float]]) -> Estimate | None:
    """The share, clustered by prompt; None of nothing."""
    if not values:
        return None
    return stats.mean([value for _, value in values], [prompt for prompt, _ in values])
