"""What a folder says of the training in it: `recipe.json`, and whether anything was learned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools import toml_tables as tables
from olmes.trainers.checkpoints.folders import last_complete
from olmes.trainers.recipes.stages import KINDS, Recipe
from olmes.trainers.stage_folder import DONE

RECIPE = "recipe.json"
INSTEAD = "give another --out, or remove the folder"
"""What one may do with a folder that holds another training."""
EARLIER_PPO = {"adam_epsilon": 1e-5}
"""What PPO took before a recipe had a key for it."""
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Started:
    """What `recipe.json` says of the training in a folder."""

    recipe: Recipe
    model: str
    """Fingerprint of the model it began from."""
    data: Json
    """`Mixture.to_json`."""
    contents: Json | None
    """`contents_of`; None in a folder of an olmes that kept none."""

    @property
    def micro_batches(self) -> int:
        """Micro-batches of an update when it began, over all devices."""
        known = (self.contents or {}).get("micro_batches")
        return known if isinstance(known, int) else micro_batches(self.recipe)


def micro_batches(recipe: Recipe) -> int:
    """Micro-batches of an update, over all devices."""
    return recipe.optimization.batch_size // recipe.optimization.micro_batch_size


def holds(out: Path) -> bool:
    """Whether a folder holds something that was learned: a complete checkpoint, or a last state."""
    return (out / DONE).is_file() or last_complete(out) is not None


def started(out: Path) -> Started | None:
    """The training that a folder holds or was to hold; None where it never had one.

    Raises:
        OlmesError: `recipe.json` cannot be read.
    """
    file = out / RECIPE
    if not file.is_file():
        return None
    try:
        stored = json.loads(file.read_text("utf-8"))
        return Started(
            recipe=recipe_of(stored["recipe"], str(file)),
            model=stored["model"],
            data=stored["data"],
            contents=stored.get("contents"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OlmesError) as error:
        if not holds(out):
            return None
        raise OlmesError(
            f"{file} cannot be read ({str(error).rstrip('.')}), so that its training cannot be "
            f"resumed: a newer olmes wrote it, or it was changed; {INSTEAD}."
        ) from None


def recipe_of(stored: Json, where: str) -> Recipe:
    """The recipe that a `recipe.json` holds; keys that it is older than have their defaults.

    Raises:
        OlmesError: it has a key or a value that recipes do not have.
    """
    table = dict(tables_of(stored))
    stage = table.pop("stage")
    if table.get("algorithm") == "ppo" and "adam_epsilon" not in table["optimization"]:
        table["ppo"] = {**EARLIER_PPO, **table.get("ppo", {})}
    return tables.build(KINDS[stage](), table, where)


def tables_of(stored: Any) -> Any:
    """JSON as TOML would have it: what is null is left as "none"."""
    if isinstance(stored, Mapping):
        return {name: tables_of(value) for name, value in stored.items()}
    return "none" if stored is None else stored
