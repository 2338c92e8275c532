"""RLVR by PPO, the algorithm of the published Tülu 3 models, synchronous and asynchronous.

Read in this order, beside the paper: `config` (Table 21), `equations`, `rollout`, `learner`,
`train`; then `asynchronous`. docs/ppo.md says what each number in the log means.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olmes.trainers.ppo.config import PPOConfig
    from olmes.trainers.ppo.train import Trained, train_ppo

PUBLIC = {"PPOConfig": "config", "Trained": "train", "train_ppo": "train"}

__all__ = ["PPOConfig", "Trained", "train_ppo"]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(f"olmes.trainers.ppo.{PUBLIC[name]}"), name)
    raise AttributeError(f"module 'olmes.trainers.ppo' has no attribute '{name}'")
