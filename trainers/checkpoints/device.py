"""On which device a checkpoint is scored while the training runs."""

from __future__ import annotations

import os
import sys


def free_device(kind: str, local_index: int) -> str | None:
    """A device for scoring during a training: its CPU, or a GPU no process trains on; None if none.

    Args:
        kind: what the training runs on (`cpu`, `cuda`, `mps`).
        local_index: which of this machine's training processes this is.
    """
    if kind == "cpu":
        return "cpu"
    if kind != "cuda":
        return None
    import torch

    trainers = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    # A single process with several GPUs in sight trains on all of them (DataParallel).
    alone = trainers == 1 and "LOCAL_RANK" not in os.environ
    used = torch.cuda.device_count() if alone else max(trainers, local_index + 1)
    return f"cuda:{used}" if used < torch.cuda.device_count() else None


def free_memory() -> None:
    """Give back what torch keeps of the GPU's memory without using it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
