"""`olmes train`: SFT, DPO, reward models and RLVR from recipes, several in a row, and mixes of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from olmes.cli import options
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from olmes.trainers.recipes.stages import Recipe, Stage


@click.command("train")
@click.argument("stage", type=click.Choice(["sft", "dpo", "reward", "rlvr", "chain", "mix"]))
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
    "--only",
    type=click.Choice(["sft", "dpo", "reward", "rlvr"]),
    help="Of a chain, train this stage alone.",
)
@click.option(
    "--accept", is_flag=True, help="Of a mix, take the mix proposed last as the next round."
)
@click.option("--show", is_flag=True, help="Print the recipe as resolved, and train nothing.")
@click.option(
    "--launch-line",
    is_flag=True,
    help="Print the `torchrun` line, the same on every machine, and end.",
)
@options.verbose_option
def command(
    stage: Stage | Literal["chain", "mix"],
    recipe: str,
    out: Path | None,
    settings: tuple[str, ...],
    only: Stage | None,
    accept: bool,
    show: bool,
    launch_line: bool,
) -> int:
    """Train a RECIPE: a .toml file, or the name of a bundled one.

    Every checkpoint is scored automatically when the recipe names a suite. The same command again
    resumes a training that was stopped. With a [gate] the exit status is that of `olmes gate`.
    `mix` trains a mixture of data and its ablations (each source left out, each doubled) in the same
    number of rows, and proposes the next mixture.
    """
    # Imported here: `olmes --help` imports no trainer.
    from olmes.trainers.chain import gate_chain, read_chain, run_chain, run_stage
    from olmes.trainers.gating import check_gate, gate_last
    from olmes.trainers.on_trl.table import check_table
    from olmes.trainers.recipes.files import read_recipe
    from olmes.trainers.stage import say_aloud
    from olmes.trainers.stage_folder import store_of
    from olmes.trainers.together.launch import launch
    from olmes.trainers.together.processes import is_first, launched
    from olmes.trainers.train import send_late_scores, train

    pairs = options.parse_settings(settings, "KEY=VALUE, such as optimization.max_steps=10")
    if only and stage != "chain":
        raise OlmesError("--only names a stage of a chain; leave it out here.")
    if accept and stage != "mix":
        raise OlmesError("--accept takes the proposal of a mix; leave it out here.")
    if stage == "mix":
        from olmes.cli.train_mix import mix

        mix(recipe, out, pairs, accept=accept, show=show, launch_line=launch_line)
        return 0
    if stage == "chain":
        chain = read_chain(recipe, pairs)
        out = out or Path("trained") / chain.name
        again = same_command(stage, recipe, out, settings)
        if show or launch_line:
            for one in chain.stages:
                if only in (None, one.stage):
                    click.echo(launch_text(one, [*again, "--only", one.stage]) if launch_line
                               else resolved(one))  # fmt: skip
        elif only:
            run_stage(chain, only, out, arguments=again)
        else:
            run_chain(chain, out, arguments=again)
            return gate_chain(chain, out) if is_first() else 0
        return 0
    one = read_recipe(recipe, stage, pairs)
    out = out or Path("trained") / one.name
    again = same_command(stage, recipe, out, settings)
    if show or launch_line:
        click.echo(launch_text(one, again) if launch_line else resolved(one))
        return 0
    check_gate(one, None)
    check_table(one)
    if one.hardware.processes > 1 and not launched():
        launch(one, again, say=lambda line: click.echo(f"olmes: {line}", err=True))
        send_late_scores(one, out, say_aloud)
    else:
        train(one, out)
        if launched():
            return 0  # the process that launched this one asks the gate
    return gate_last(one, out, store_of(one, out), None, say_aloud)


def same_command(stage: str, recipe: str, out: Path, settings: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of `olmes` that run this command again, in another process."""
    return ("train", stage, recipe, "--out", str(out), *(f"--set={pair}" for pair in settings))


def resolved(recipe: Recipe) -> str:
    """A recipe with every field, as JSON."""
    import json

    from olmes.trainers.recipes.identity import recipe_hash, to_json

    shown = {"hash": recipe_hash(recipe), **to_json(recipe)}
    return json.dumps(shown, indent=1, ensure_ascii=False)


def launch_text(recipe: Recipe, arguments: Sequence[str]) -> str:
    """The line that launches a recipe."""
    from olmes.trainers.together.launch import launch_line, shown

    return shown(launch_line(recipe, arguments))
