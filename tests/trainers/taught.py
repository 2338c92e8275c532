"""What labels teach, decoded: read by the tests as a person would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from olmes.trainers.templates.labels import IGNORED


def trained_texts(tokenizer: Any, labels: Sequence[int]) -> list[str]:
    """What the labels teach: the text of each run of tokens that are learned from."""
    runs: list[list[int]] = [[]]
    for label in labels:
        if label != IGNORED:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    return [tokenizer.decode(run, skip_special_tokens=False) for run in runs if run]
