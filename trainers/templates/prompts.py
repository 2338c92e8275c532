"""Prompts of reinforcement learning, as a model's template takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from olmes.tools.hashing import content_hash
from olmes.trainers.templates.rendering import Renderer

if TYPE_CHECKING:
    from datasets import Dataset


def fitted_prompts(rows: Dataset, tokenizer: Any, template: str) -> Dataset:
    """Rows whose `prompt` the template takes.

    What a system turn says stands before what the user says first, where the template has no system
    turn, as in supervised training and in evaluation.
    """
    renderer = Renderer(tokenizer, template)
    if renderer.takes_system:
        return rows
    return rows.map(
        lambda row: {"prompt": renderer.fitted(row["prompt"])},
        keep_in_memory=True,
        load_from_cache_file=False,
        new_fingerprint=content_hash([rows._fingerprint, "no system turn"]),
    )
