"""Where generators compute: on GPUs that no learner uses, one each where there are enough."""

from __future__ import annotations

import os
from dataclasses import replace

from olmes.trainers.ppo.worker import GeneratorRecipe

SPREAD = "cuda"
"""A device without a number: each generator gets one of those that are free."""


def recipe_on(recipe: GeneratorRecipe, number: int) -> GeneratorRecipe:
    """The recipe of generator `number`, from 0, of this machine."""
    if recipe.device != SPREAD:
        return recipe
    import torch

    learners = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return replace(recipe, device=spread(number, torch.cuda.device_count(), learners))


def spread(number: int, devices: int, learners: int) -> str:
    """The device of generator `number`.

    Args:
        number: from 0.
        devices: GPUs of this machine.
        learners: learning processes, which have the first GPUs.
    """
    free = range(min(learners, devices - 1), devices)
    return f"cuda:{free[number % len(free)]}"
