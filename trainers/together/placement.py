"""What a training computes on, decided where it runs."""

from __future__ import annotations

import socket

from olmes.errors import OlmesError
from olmes.trainers.recipes.stages import Recipe


def on_processor(recipe: Recipe) -> bool:
    """Whether the training runs on a CPU, decided where it runs.

    Raises:
        OlmesError: the recipe wants a GPU, and there is none.
    """
    import torch

    device = recipe.hardware.device
    if device == "cuda" and not torch.cuda.is_available():
        raise OlmesError(
            f'hardware.device is "cuda", and this machine ({socket.gethostname()}) has no GPU that '
            'torch sees; train on one that has, or set it to "auto" or "cpu".'
        )
    if device != "auto":
        return device == "cpu"
    return not (torch.cuda.is_available() or torch.backends.mps.is_available())
