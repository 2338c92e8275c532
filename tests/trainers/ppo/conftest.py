"""A policy of some thousand parameters, sums to ask it, and a reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Sums as chat prompts of different lengths."""
    sums = [(a, b) for a in (1, 23, 456) for b in (7, 89, 12, 5)]
    return [
        {"prompt": [{"role": "user", "content": f"{a}+{b}"}], "answer": str(a + b)} for a, b in sums
    ]


@pytest.fixture
def small(build_chat: Any, tmp_path_factory: Any) -> Any:
    """Folder of a random policy of one layer; not to be changed."""
    return build_chat(
        tmp_path_factory.mktemp("small"), hidden_size=32, intermediate_size=64,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip


@pytest.fixture
def policy(small: Any) -> Any:
    """A fresh policy from `small`."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(small)


@pytest.fixture
def settings() -> Callable[..., Any]:
    """A configuration for small runs, with changes."""
    from olmes.trainers.ppo import PPOConfig

    def make(**changes: Any) -> PPOConfig:
        base: dict[str, Any] = {
            "updates": 4, "batch_size": 8, "learning_rate": 1e-3, "max_completion_length": 4,
            "generation_batch_size": 4, "micro_batch_size": 4, "updates_per_batch": 2,
        }  # fmt: skip
        return PPOConfig(**base | changes)

    return make


@pytest.fixture
def evens() -> Callable[[Sequence[Any], Sequence[str]], list[float]]:
    """A reward that a random policy gets now and then: the share of even digits."""
    return share_of_even_digits


def share_of_even_digits(rows: Sequence[Any], texts: Sequence[str]) -> list[float]:
    """The share of a text's characters that are even digits."""
    return [sum(c in "02468" for c in text) / max(1, len(text)) for text in texts]
