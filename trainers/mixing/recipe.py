"""The recipe of a mix: that of a stage whose sources have weights, and what is varied of them.

name = "mine"
stage = "sft"
recipe = "small-sft"              # the base, as in a chain; every key of it may be given here
rows = 4000                       # of every variant
[data]
"chats.jsonl" = { weight = 2 }
"math.jsonl" = { weight = 1 }
[scoring]
suite = "dev"
[mix]
seeds = 2
[unseen]                          # beside dev, where a look is allowed
suite = "unseen"
look = true
reason = "which sources carry over"
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools import toml_tables as tables
from olmes.tools.toml_tables import PositiveInt
from olmes.trainers.chain import Unseen, stage_recipe
from olmes.trainers.mixing.variants import ABLATIONS, Mixed, variants_of
from olmes.trainers.recipes.files import find_recipe, near, near_folders
from olmes.trainers.recipes.stages import STAGES, Recipe, Stage

TRAINED: tuple[Stage, ...] = ("sft", "dpo", "rlvr")
"""Stages whose checkpoints a suite can score."""
OWN = ("mix", "unseen", "stage")


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """What is varied: the table [mix]."""

    rounds: PositiveInt = 3
    """After so many no further one is begun by --accept."""
    round: PositiveInt = 1
    """Which of them this recipe is; a proposed one is of the next."""
    ablations: tuple[str, ...] = ABLATIONS
    """"leave_one_out" and "double_one", of every source."""
    seeds: PositiveInt = 1
    """Trainings of each variant: with the recipe's seed and those that follow. With two or more the
    intervals hold for other seeds too."""

    def __post_init__(self) -> None:
        for name in self.ablations:
            if name not in ABLATIONS:
                raise OlmesError(f"ablations has '{name}'; known are {', '.join(ABLATIONS)}.")
        if not self.ablations:
            raise OlmesError(f"ablations is empty; give {' or '.join(ABLATIONS)}.")


@dataclass(frozen=True, kw_only=True)
class MixUnseen(Unseen):
    """The held-out suite that every variant is put to, once the round is trained."""

    look: bool = False
    """Must be true: each variant and seed is a look, and every look makes the suite less unseen."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """A mix as its file describes it."""

    name: str
    recipe: Recipe
    """Of the full mixture with the first seed; all data by weight."""
    sources: Mapping[str, str]
    """What each source is called in tables, by its name in the recipe's data."""
    mixing: Mixing
    unseen: MixUnseen | None
    path: Path

    @property
    def variants(self) -> list[Mixed]:
        """The full mixture and its ablations."""
        return variants_of(self.recipe, self.sources, self.mixing.ablations, str(self.path))

    @property
    def weights(self) -> dict[str, float]:
        """By what a source is called."""
        return {
            called: self.recipe.data[name].weight or 0.0 for name, called in self.sources.items()
        }


def read_mix(name: str | Path, settings: Mapping[str, str] | None = None) -> Mix:
    """The mix of a TOML file, or of a bundled one by its name.

    Args:
        name: path or name.
        settings: `--set` pairs by dotted key: `mix.seeds=3`.

    Raises:
        OlmesError: the file is missing, a table has a fault, a source has no weight, nothing is scored,
            or held-out tasks are asked for without `look = true` and a reason.
    """
    path = find_recipe(str(name))
    table = tables.override(tables.read_toml(path), settings or {})
    if any(part in table for part in STAGES):
        raise OlmesError(f"{path} describes a chain; a mix is of one stage: give its 'stage'.")
    if "mix" not in table:
        raise OlmesError(f"{path} describes no mix; add [mix], if only with 'rounds = 3'.")
    stage = next((one for one in TRAINED if one == table.get("stage", "sft")), None)
    if stage is None:
        raise OlmesError(
            f"{path}: 'stage' must be one of {', '.join(TRAINED)}, not {table['stage']!r}."
        )
    own = {key: value for key, value in table.items() if key not in OWN}
    recipe = stage_recipe(stage, {"name": path.stem, **own}, {}, path)
    written = own.get("data")
    keys = list(written) if isinstance(written, dict) else list(recipe.data)
    if len(keys) > len(recipe.data):
        raise OlmesError(f"{path}: two names in [data] are the same file; give it once.")
    sources = dict(zip(recipe.data, called(keys), strict=True))
    mixing = tables.convert(table["mix"], Mixing, None, str(path), "mix")
    unseen = None
    if "unseen" in table:
        unseen = tables.convert(table["unseen"], MixUnseen, None, str(path), "unseen")
        unseen = dataclasses.replace(
            unseen,
            suite=near(path.parent, unseen.suite),
            data=near_folders(path.parent, unseen.data),
        )
    mix = Mix(
        name=recipe.name, recipe=recipe, sources=sources, mixing=mixing, unseen=unseen, path=path
    )
    check_mix(mix)
    return mix


def check_mix(mix: Mix) -> None:
    """Refuse what would say nothing, before anything is trained.

    Raises:
        OlmesError: as `read_mix`.
    """
    recipe, where = mix.recipe, mix.path
    for name, source in recipe.data.items():
        if source.weight is None:
            raise OlmesError(
                f"{where}: 'data.{mix.sources[name]}' has no weight; write {{ weight = 1.0 }} and how "
                "many `rows` every mixture has, so that what is left out is filled up by the others."
            )
    if len(recipe.data) < 2:
        raise OlmesError(f"{where}: there is one source; a mix needs two or more in [data].")
    if not recipe.scoring.target:
        raise OlmesError(f"{where}: nothing is scored; name a suite or tasks in [scoring].")
    if recipe.gate.baseline:
        raise OlmesError(f"{where}: variants are held against the full mix; remove [gate].")
    _ = mix.variants  # which refuses too few rows
    if mix.unseen is None:
        return
    if not mix.unseen.look:
        raise OlmesError(
            f"{where}: [unseen] puts every variant to a held-out suite, each time a look in the "
            "ledger; add 'look = true' to allow that, or remove [unseen] to decide by dev alone."
        )
    if not mix.unseen.reason.strip():
        raise OlmesError(
            f"{where}: 'unseen.reason' is missing; say why held-out tasks are looked at."
        )


def called(keys: list[str]) -> list[str]:
    """What sources are called in tables: a file by its name, with its folder's where two are alike.

    The same for a path from the recipe and for the whole path that a proposal has.
    """
    whole = [Path(key) if key.endswith(FILES) else None for key in keys]
    plain = [
        next(path.name.removesuffix(end) for end in FILES if path.name.endswith(end))
        if path
        else key
        for path, key in zip(whole, keys, strict=True)
    ]
    below = [
        "/".join(path.parts[-2:]) if path else key for path, key in zip(whole, keys, strict=True)
    ]
    return next((found for found in (plain, below) if len(set(found)) == len(found)), keys)


FILES = (".jsonl.gz", ".jsonl", ".parquet")
"""Endings of a source that is a file."""
