"""Panels made up for tests: what judges of known habits would say of known texts."""

from __future__ import annotations

import random
from collections.abc import Callable

from olmes.synthesis.preferences.aspects import ASPECTS
from olmes.synthesis.preferences.orders import drawn_order, rotated
from olmes.synthesis.preferences.panel import Answer, Judged, Sheet

Habit = Callable[[random.Random, float, int, str], float]
"""From a draw, a text's worth (1 to 5), its place from 0 and the text: a rating, before rounding."""


def judged_by(
    habits: dict[str, Habit], *, prompts: int = 20, texts: int = 4, seed: int = 0
) -> list[Judged]:
    """Prompts with texts of random worth and length, rated by judges of these habits."""
    rng = random.Random(f"panel {seed}")
    found = []
    for number in range(prompts):
        answers = tuple(
            Answer(f"{at} " + "x" * rng.randint(20, 400), (f"m{at}",)) for at in range(texts)
        )
        worths = [rng.uniform(1.5, 4.5) for _ in answers]
        sheets = []
        for judge, habit in habits.items():
            drawn = drawn_order(seed, str(number), judge, texts)
            for rotation, aspect in enumerate(ASPECTS):
                order = rotated(drawn, rotation)
                ratings = tuple(
                    min(5, max(1, round(habit(rng, worths[text], place, answers[text].text))))
                    for place, text in enumerate(order)
                )
                sheets.append(Sheet(judge, aspect, tuple(order), rotation, ratings))
        prompt = ({"role": "user", "content": f"Question {number}?"},)
        found.append(Judged(str(number), prompt, answers, tuple(sheets)))  # type: ignore[arg-type]
    return found


def fair(rng: random.Random, worth: float, place: int, text: str) -> float:
    """By the worth alone, with noise."""
    return worth + rng.gauss(0, 0.7)


def fond_of_the_first(rng: random.Random, worth: float, place: int, text: str) -> float:
    """As a fair one, and a point more for whatever stands first."""
    return fair(rng, worth, place, text) + (place == 0)


def fond_of_length(rng: random.Random, worth: float, place: int, text: str) -> float:
    """As a fair one, and more for longer texts."""
    return fair(rng, worth, place, text) + (len(text) - 200) / 150
