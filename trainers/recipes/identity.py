"""What a recipe is, as JSON and as a hash."""

from __future__ import annotations

import dataclasses
from typing import Any

from olmes.tools.hashing import content_hash
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Every field, resolved, and the stage; of [ppo] what the recipe gives."""
    fields = {"stage": recipe.stage, **dataclasses.asdict(recipe)}
    if isinstance(recipe, RLVRRecipe):
        fields["ppo"] = recipe.ppo.to_json()
    return fields


def recipe_hash(recipe: Recipe) -> str:
    """16 hex digits over what the trained weights depend on.

    Left out are the name, the path of the model (its content is compared apart), how checkpoints
    are kept, scored and gated, and how often is logged.
    """
    kept = to_json(recipe)
    for name in ("name", "model", "checkpoints", "scoring", "gate", "log_every"):
        del kept[name]
    return content_hash(kept)[:16]
