"""Trainers whose every checkpoint is scored automatically: SFT, DPO, RLVR, and the hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from olmes.trainers.checkpoints.hook import ScoreCheckpoints

__all__ = ["ScoreCheckpoints"]


def __getattr__(name: str) -> Any:
    # On use, because the hook imports transformers.
    if name == "ScoreCheckpoints":
        from olmes.trainers.checkpoints.hook import ScoreCheckpoints

        return ScoreCheckpoints
    raise AttributeError(f"module 'olmes.trainers' has no attribute '{name}'")
