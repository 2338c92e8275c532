"""RLVR by PPO, the algorithm of the published Tülu 3 models, synchronous and asynchronous.

Read in this order, with the paper at hand: `config` (Table 21), `equations`, `rollout`, `learner`,
`train`; then `asynchronous`. docs/ppo.md says what each number in the log means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olmes.trainers.ppo.config import PPOConfig
    from olmes.trainers.ppo.train import Trained, train_ppo

__all__ = ["PPOConfig", "Trained", "train_ppo"]


def __getattr__(name: str) -> Any:
    # On use, because `train` imports torch.
    if name == "PPOConfig":
        from olmes.trainers.ppo.config import PPOConfig

        return PPOConfig
    if name in ("Trained", "train_ppo"):
        from olmes.trainers.ppo import train

        return train.Trained if name == "Trained" else train.train_ppo
    raise AttributeError(f"module 'olmes.trainers.ppo' has no attribute '{name}'")
