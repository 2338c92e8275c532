"""What a folder says of the training in it: `recipe.json`, what was learned, and in which format."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.tools import toml_tables as tables
from olmes.trainers.checkpoints.folders import last_complete
from olmes.trainers.recipes.stages import KINDS, Recipe, RLVRRecipe, Stage
from olmes.trainers.stage_folder import DONE
from olmes.trainers.together.processes import world_size

R = TypeVar("R", bound=Recipe)
RECIPE = "recipe.json"
INSTEAD = "give another --out, or remove the folder"
"""What one may do with a folder that holds another training."""
EARLIER_PPO = {"adam_epsilon": 1e-5}
"""What PPO took before a recipe had a key for it."""
EARLIER_DEFAULTS: Mapping[Stage, Mapping[str, float | None]] = {
    "sft": {"max_grad_norm": None},
    "rlvr": {"weight_decay": 0.0, "adam_epsilon": 1e-5},
}
"""Defaults of [optimization] that were others in folders without `contents`."""
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
    earlier: bool
    """Whether it began with the defaults that were valid before `contents` were kept."""

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
            earlier="contents" not in stored or bool(stored.get("earlier")),
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


def as_it_began(recipe: R, out: Path, say: Callable[[str], None] = lambda _: None) -> R:
    """The recipe with the defaults of when a folder's training began, where these have changed since.

    Args:
        recipe: what is asked for.
        out: the stage's folder.
        say: gets a line for each such default.

    Raises:
        OlmesError: `recipe.json` cannot be read.
    """
    before = started(out)
    if before is None or not before.earlier or not holds(out):
        return recipe
    default = KINDS[recipe.stage]().optimization
    then, now = before.recipe.optimization, recipe.optimization
    if isinstance(before.recipe, RLVRRecipe) and before.recipe.algorithm == "ppo":
        epsilon = before.recipe.ppo.adam_epsilon or then.adam_epsilon
        then = dataclasses.replace(then, adam_epsilon=epsilon)
    kept: dict[str, Any] = {}
    for name, value in EARLIER_DEFAULTS.get(recipe.stage, {}).items():
        drifted = getattr(then, name) == value and getattr(now, name) == getattr(default, name)
        if drifted and getattr(now, name) != value:
            kept[name] = value
            say(f"keeps {name} = {value}, the default when it began")
    return dataclasses.replace(recipe, optimization=dataclasses.replace(now, **kept))


def tables_of(stored: Any) -> Any:
    """JSON as TOML would have it: what is null is left as "none"."""
    if isinstance(stored, Mapping):
        return {name: tables_of(value) for name, value in stored.items()}
    return "none" if stored is None else stored


def check_states(recipe: Recipe, out: Path) -> None:
    """Refuse to go on from an optimizer's state that the strategy cannot read. PPO reads either.

    Raises:
        OlmesError: copies, FSDP and DeepSpeed save it in three formats, and it is of another one.
    """
    last = last_complete(out)
    if last is None or (isinstance(recipe, RLVRRecipe) and recipe.algorithm == "ppo"):
        return
    strategy = recipe.hardware.strategy if world_size() > 1 else "ddp"
    now = "zero" if strategy.startswith("zero") else strategy
    if list(last.glob("global_step*")):
        then = "zero"
    else:
        then = "fsdp" if list(last.glob("pytorch_model_fsdp*")) else "ddp"
    if then != now:
        wanted = {
            "ddp": 'hardware.strategy = "ddp", or one process,',
            "fsdp": 'hardware.strategy = "fsdp" in two processes or more',
            "zero": 'hardware.strategy = "zero2" or "zero3", whichever it was,',
        }[then]
        raise OlmesError(
            f"{last} holds an optimizer's state that this strategy cannot read; resume with {wanted} "
            "or give another --out."
        )
