"""Recipes from TOML files: found, read, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.spec import EMBEDDED
from olmes.tools import toml_tables as tables
from olmes.tools.near_names import unknown
from olmes.trainers.recipes.checks import check_recipe
from olmes.trainers.recipes.stages import (
    KINDS,
    STAGES,
    Recipe,
    RLVRRecipe,
    Stage,
)
from olmes.trainers.recipes.tables import DataSource

START = "start"
"""As a gate's baseline: the model that a chain starts from."""
FILES = (".jsonl", ".jsonl.gz", ".parquet", ".jinja", ".py", ".toml")
"""Endings of what a recipe names from where it lies."""


def read_recipe(
    name: str | Path, stage: Stage, settings: Mapping[str, str] | None = None
) -> Recipe:
    """The recipe of a TOML file, or of a bundled one by its name.

    Args:
        name: path of a .toml file, or the name of one in trainers/recipes.
        stage: which stage it must be for.
        settings: `--set` pairs, by dotted key.

    Raises:
        OlmesError: the file is missing or not TOML; a key is unknown, a value of the wrong type, a
            size of the mixture a bare number; or the recipe is for another stage.
    """
    path = find_recipe(str(name))
    table = tables.override(tables.read_toml(path), settings or {})
    if any(part in table for part in STAGES):
        raise OlmesError(f"{path} describes a chain; run it with 'olmes train chain {name}'.")
    if "mix" in table:
        raise OlmesError(f"{path} describes a mix; run it with 'olmes train mix {name}'.")
    said = table.pop("stage", stage)
    if said != stage:
        raise OlmesError(f"{path} is a recipe for {said}; run it with 'olmes train {said} {name}'.")
    return make_recipe(stage, table, str(path))


def make_recipe(stage: Stage, table: Mapping[str, Any], where: str) -> Recipe:
    """A recipe out of the tables of a file; relative files are found from where it lies.

    Raises:
        OlmesError: as `read_recipe`.
    """
    recipe = tables.build(KINDS[stage](), table, where)
    recipe = check_recipe(recipe, where)
    folder = Path(where).parent
    if isinstance(recipe, RLVRRecipe):
        functions = {near_callback(folder, n): how for n, how in recipe.reward_functions.items()}
        recipe = dataclasses.replace(recipe, reward_functions=functions)
    if isinstance(recipe, RLVRRecipe) and recipe.ppo.value:
        value = near_folder(folder, recipe.ppo.value)
        recipe = dataclasses.replace(recipe, ppo=dataclasses.replace(recipe.ppo, value=value))
    validation = dataclasses.replace(recipe.validation, data=nearby(folder, recipe.validation.data))
    held = recipe.decontamination
    return dataclasses.replace(
        recipe,
        decontamination=dataclasses.replace(
            held,
            against=tuple(near(folder, name) for name in held.against),
            data=near_folders(folder, held.data),
        ),
        data=nearby(folder, recipe.data),
        validation=validation,
        callbacks=tuple(near_callback(folder, name) for name in recipe.callbacks),
        model=near_folder(folder, recipe.model),
        template=near(folder, recipe.template),
        scoring=dataclasses.replace(
            recipe.scoring,
            suite=near(folder, recipe.scoring.suite),
            tasks=tuple(near(folder, task) for task in recipe.scoring.tasks),
            data=near_folders(folder, recipe.scoring.data),
        ),
        gate=dataclasses.replace(
            recipe.gate,
            policy=near(folder, recipe.gate.policy),
            baseline=near_folder(folder, recipe.gate.baseline),
        ),
        name=recipe.name or Path(where).stem,
    )


def near(folder: Path, name: str) -> str:
    """A file's path from the folder of the recipe; other names stay as they are."""
    if not name.endswith(FILES) or Path(name).is_absolute():
        return name
    return str((folder / name).resolve())


def near_folder(folder: Path, name: str) -> str:
    """A folder's path from the folder of the recipe, where there is one; other names stay.

    So a name that is no folder there is found from the working folder, or on the hub.
    """
    found = folder / name
    inside = (
        name not in ("", START, EMBEDDED)
        and not Path(name).expanduser().is_absolute()
        and found.is_dir()
    )
    return str(found.resolve()) if inside else name


def near_folders(folder: Path, named: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    """Folders of benchmark files, as they are written, each as `near_folder` has it."""
    if isinstance(named, tuple):
        return tuple(near_folder(folder, one) for one in named)
    return named and near_folder(folder, named)


def nearby(folder: Path, data: Mapping[str, DataSource]) -> dict[str, DataSource]:
    """A mixture with the paths of its files from the folder of the recipe."""
    return {near(folder, name): source for name, source in data.items()}


def near_callback(folder: Path, name: str) -> str:
    """`FILE.py:NAME` with the file's path from the folder of the recipe."""
    file, colon, member = name.rpartition(":")
    return f"{near(folder, file)}{colon}{member}"


def find_recipe(name: str) -> Path:
    """The file of a recipe: the path itself, or a bundled one.

    Raises:
        OlmesError: there is neither.
    """
    if name.endswith(".toml") or Path(name).is_file():
        return Path(name)
    bundled = bundled_recipes()
    if name in bundled:
        return bundled[name]
    raise OlmesError(unknown("recipe", name, sorted(bundled), "give a .toml file"))


def bundled_recipes() -> dict[str, Path]:
    """The files of trainers/recipes by name."""
    return {path.stem: path for path in Path(__file__).parent.glob("*.toml")}
