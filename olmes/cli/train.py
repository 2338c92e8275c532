"""`olmes train`: SFT, DPO and RLVR from recipes, and the three in a row."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import click

from olmes.cli import options
from olmes.errors import OlmesError


@click.command("train")
@click.argument("stage", type=click.Choice(["sft", "dpo", "rlvr", "chain"]))
@click.argument("recipe")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the checkpoints.  [default: trained/NAME]",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change a key of the recipe: --set optimization.max_steps=10.",
)  # fmt: skip
@click.option(
    "--only", type=click.Choice(["sft", "dpo", "rlvr"]), help="Of a chain, train this stage alone."
)
@click.option("--show", is_flag=True, help="Print the recipe as resolved, and train nothing.")
@click.option("--launch-line", is_flag=True, help="Print the `accelerate launch` line, and end.")
@options.verbose_option
def command(
    stage: str,
    recipe: str,
    out: Path | None,
    settings: tuple[str, ...],
    only: str | None,
    show: bool,
    launch_line: bool,
) -> None:
    """Train a RECIPE: a .toml file, or the name of a bundled one.

    Every checkpoint is scored by itself when the recipe says on what. The same command again goes on
    with a training that was stopped.
    """
    pairs = options.parse_settings(settings, "KEY=VALUE, such as optimization.max_steps=10")
    # By name, because the engine knows no trainer.
    recipes = importlib.import_module("olmes.trainers.recipe")
    chains = importlib.import_module("olmes.trainers.chain")
    if only and stage != "chain":
        raise OlmesError("--only names a stage of a chain; leave it out here.")
    described: Any
    if stage == "chain":
        described = chains.read_chain(recipe, pairs)
        stages = [one for one in described.stages if only in (None, one.stage)]
    else:
        described = recipes.read_recipe(recipe, stage, pairs)
        stages = [described]
    out = out or Path("trained") / described.name
    again = ["train", stage, recipe, "--out", str(out), *(f"--set={pair}" for pair in settings)]
    if show or launch_line:
        for one in stages:
            click.echo(shown(one, again, stage) if launch_line else resolved(one))
        return
    if stage == "chain":
        if only:
            chains.run_stage(described, only, out, arguments=tuple(again))
        else:
            chains.run_chain(described, out, arguments=tuple(again))
        return
    launching = importlib.import_module("olmes.trainers.launch")
    trainers = importlib.import_module("olmes.trainers.train")
    if described.hardware.processes > 1 and not launching.launched():
        launching.launch(described, again, say=lambda line: click.echo(f"olmes: {line}", err=True))
    else:
        trainers.train(described, out)


def resolved(recipe: Any) -> str:
    """A recipe with every field, as JSON."""
    import json

    recipes = importlib.import_module("olmes.trainers.recipe")
    told = {"hash": recipes.recipe_hash(recipe), **recipes.to_json(recipe)}
    return json.dumps(told, indent=1, ensure_ascii=False)


def shown(recipe: Any, again: list[str], stage: str) -> str:
    """The line that launches a recipe."""
    launching = importlib.import_module("olmes.trainers.launch")
    more = ["--only", recipe.stage] if stage == "chain" else []
    line: str = launching.shown(launching.launch_line(recipe, [*again, *more]))
    return line
