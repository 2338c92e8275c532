"""`olmes train`: SFT, DPO, reward models and RLVR from recipes, several in a row, and mixes of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from olmes.cli import completion, options
from olmes.errors import OlmesError
from olmes.tools import jsonl

if TYPE_CHECKING:
    from olmes.trainers.recipes.stages import Recipe, Stage


@click.command("train")
@click.argument("stage", type=click.Choice(["sft", "dpo", "reward", "rlvr", "chain", "mix"]))
@click.argument("recipe", shell_complete=completion.recipes)
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
@options.json_option
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
    as_json: bool,
) -> int:
    """Train a RECIPE: a .toml file, or the name of a bundled one.

    Every checkpoint is scored automatically when the recipe names a suite. The same command again
    resumes a training that was stopped. With a [gate] the exit status is that of `olmes gate`.
    `mix` trains a mixture of data and its ablations (each source left out, each doubled) in the same
    number of rows, and proposes the next mixture.
    """
    pairs = options.parse_settings(settings, "KEY=VALUE, such as optimization.max_steps=10")
    if only and stage != "chain":
        raise OlmesError("--only names a stage of a chain; leave it out here.")
    if accept and stage != "mix":
        raise OlmesError("--accept takes the proposal of a mix; leave it out here.")
    printed = Printed(show=show, launch_line=launch_line, as_json=as_json)
    if stage == "mix":
        from olmes.cli.train_mix import mix

        mix(recipe, out, pairs, accept=accept, printed=printed)
        return 0
    if stage == "chain":
        return chain_of(recipe, out, settings, pairs, only, printed)
    return stage_of(stage, recipe, out, settings, pairs, printed)


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What is printed, and how."""

    show: bool
    """The recipe as resolved, in the place of a training."""
    launch_line: bool
    """The line that launches it, likewise."""
    as_json: bool

    @property
    def instead(self) -> bool:
        """Whether nothing is trained."""
        return self.show or self.launch_line

    def recipe(self, recipe: Recipe, again: Sequence[str]) -> None:
        """Print what is asked for in the place of a training."""
        if not self.launch_line:
            click.echo(resolved(recipe))
            return
        line = launch_text(recipe, again)
        click.echo(jsonl.dumps({"launch_line": line}) if self.as_json else line)

    def trained(self, folder: Path, last: Path | None, status: int = 0) -> int:
        """Print where the last state is, once, and return the exit status.

        Args:
            folder: of the training.
            last: the last state, or the training's page; None where it is not known.
            status: of the gate, if there is one.
        """
        from olmes.trainers.together.processes import is_first
        from olmes.trainers.training_page import PAGE

        if self.as_json and is_first():
            page = folder / PAGE
            row = {
                "folder": str(folder),
                "final": str(last) if last else None,
                "report": str(page) if page.is_file() else None,
                "status": status,
            }
            click.echo(jsonl.dumps(row))
        return status


def chain_of(
    recipe: str,
    out: Path | None,
    settings: tuple[str, ...],
    pairs: dict[str, str],
    only: Stage | None,
    printed: Printed,
) -> int:
    """Train a chain, or the one stage of it; the exit status."""
    from olmes.trainers.chain import gate_chain, last_state, policies, read_chain, run_chain
    from olmes.trainers.chain import run_stage as run_one
    from olmes.trainers.together.processes import is_first

    chain = read_chain(recipe, pairs)
    out = out or Path("trained") / chain.name
    again = same_command("chain", recipe, out, settings)
    if printed.instead:
        for one in chain.stages:
            if only in (None, one.stage):
                printed.recipe(one, [*again, "--only", one.stage])
        return 0
    if only:
        return printed.trained(out, run_one(chain, only, out, arguments=again))
    run_chain(chain, out, arguments=again)
    status = gate_chain(chain, out) if is_first() else 0
    return printed.trained(out, last_state(chain, policies(chain)[-1], out), status)


def stage_of(
    stage: Stage,
    recipe: str,
    out: Path | None,
    settings: tuple[str, ...],
    pairs: dict[str, str],
    printed: Printed,
) -> int:
    """Train one stage; the exit status."""
    # Imported here: `olmes --help` imports no trainer.
    from olmes.trainers.gating import check_gate, gate_last
    from olmes.trainers.on_trl.table import check_table
    from olmes.trainers.recipes.files import read_recipe
    from olmes.trainers.stage import finished, say_aloud
    from olmes.trainers.stage_folder import store_of
    from olmes.trainers.together.launch import launch
    from olmes.trainers.together.processes import launched
    from olmes.trainers.train import send_late_scores, train

    one = read_recipe(recipe, stage, pairs)
    out = out or Path("trained") / one.name
    again = same_command(stage, recipe, out, settings)
    if printed.instead:
        printed.recipe(one, again)
        return 0
    check_gate(one, None)
    check_table(one)
    if one.hardware.processes > 1 and not launched():
        launch(one, again, say=lambda line: click.echo(f"olmes: {line}", err=True))
        send_late_scores(one, out, say_aloud)
        last = finished(one, out)
    else:
        last = train(one, out)
        if launched():
            return 0  # the process that launched this one asks the gate
    return printed.trained(out, last, gate_last(one, out, store_of(one, out), None, say_aloud))


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
