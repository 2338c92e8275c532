"""The files that a synthesis of preferences writes: pairs to train on, and every rating behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from olmes.synthesis.preferences.binarised import Pair
from olmes.synthesis.preferences.panel import Judged
from olmes.synthesis.session import SynthesisModel
from olmes.tools.jsonl import dumps, write_atomically
from olmes.types import JsonObject, Message

PAIRS, RATINGS = "preferences.jsonl", "ratings.jsonl"


def write_pairs(
    folder: Path,
    pairs: Sequence[Pair],
    models: Mapping[str, SynthesisModel],
    judges: Mapping[str, SynthesisModel],
    seed: int,
) -> Path:
    """Write one row a pair, as `olmes train dpo` and `olmes train reward` read it."""
    path = folder / PAIRS
    rows = (pair_row(pair, models, judges, seed) for pair in pairs)
    write_atomically(path, "".join(dumps(row) + "\n" for row in rows))
    return path


def pair_row(
    pair: Pair,
    models: Mapping[str, SynthesisModel],
    judges: Mapping[str, SynthesisModel],
    seed: int,
) -> JsonObject:
    """One pair."""
    chosen, rejected = (pair.judged.answers[at] for at in (pair.chosen, pair.rejected))
    sides = {"chosen": chosen.on_policy, "rejected": rejected.on_policy}
    return {
        "prompt": asked_as(pair.judged.prompt),
        "chosen": chosen.text,
        "rejected": rejected.text,
        "chosen_rating": number(pair.chosen_score),
        "rejected_rating": number(pair.rejected_score),
        "chosen_models": [models[name].name for name in chosen.models],
        "rejected_models": [models[name].name for name in rejected.models],
        "on_policy": [side for side, own in sides.items() if own],
        "judges": [judge.name for judge in judges.values()],
        "id": pair.judged.id,
        "seed": seed,
    }


def write_ratings(folder: Path, judged: Sequence[Judged]) -> Path:
    """Write one row a prompt that was rated, with a pair or without: its texts and all ratings."""
    path = folder / RATINGS
    write_atomically(path, "".join(dumps(ratings_row(one)) + "\n" for one in judged))
    return path


def ratings_row(judged: Judged) -> JsonObject:
    """One prompt; models and judges by their names in the recipe, places from 1."""
    scores = judged.scores()
    return {
        "id": judged.id,
        "prompt": asked_as(judged.prompt),
        "responses": [
            {
                "text": answer.text,
                "models": list(answer.models),
                "rating": None if score is None else number(score),
                "ratings": [
                    {
                        "judge": sheet.judge,
                        "aspect": sheet.aspect,
                        "place": sheet.order.index(text) + 1,
                        "rating": sheet.by_text[text],
                    }
                    for sheet in judged.sheets
                ],
            }
            for text, (answer, score) in enumerate(zip(judged.answers, scores, strict=True))
        ],
    }


def asked_as(prompt: Sequence[Message]) -> str | list[Message]:
    """A prompt as training rows have it: a question alone as its text, a chat as its turns."""
    return prompt[0]["content"] if len(prompt) == 1 else list(prompt)


def number(score: Fraction) -> float:
    """A mean rating with six decimals."""
    return round(float(score), 6)
