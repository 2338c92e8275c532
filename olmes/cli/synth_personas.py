"""`olmes synth personas`: instructions of personas, answers that are verified, preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import completion, options

if TYPE_CHECKING:
    from olmes.synthesis.synthesize import Made


@click.command("personas")
@click.argument("recipe", shell_complete=completion.synthesis_recipes)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the rows.  [default: synthetic/NAME]",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change a key of the recipe: --set if.instructions=10.",
)  # fmt: skip
@click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the ledger that counts of held-out tasks are written into.",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Neither use nor fill the response cache.")
@click.option("--show", is_flag=True, help="Print the recipe as resolved, and ask nothing.")
@options.json_option
@options.verbose_option
def command(
    recipe: str,
    out: Path | None,
    settings: tuple[str, ...],
    store: Path,
    no_cache: bool,
    show: bool,
    as_json: bool,
) -> int:
    """Make rows from a RECIPE: a .toml file, or the name of a bundled one.

    A model writes instructions of personas and answers them; kept is what is verified. The rows are
    read by `olmes train`. The same command again resumes, and asks nothing twice.
    """
    # Imported here: `olmes --help` imports no model.
    from olmes.cli.progress import StageBars
    from olmes.synthesis.persona_recipe import PersonaRecipe
    from olmes.synthesis.recipe import read_recipe
    from olmes.synthesis.synthesize import synthesize
    from olmes.tools.as_json import as_json as to_json
    from olmes.tools.jsonl import dumps
    from olmes.tools.places import OUT, writing

    pairs = options.parse_settings(settings, "KEY=VALUE, such as if.instructions=10")
    read = read_recipe(recipe, "personas", PersonaRecipe(), pairs)
    if show:
        click.echo(dumps({"hash": read.hash, **to_json(read)}))
        return 0
    folder = out or Path("synthetic") / read.name
    with writing(folder, OUT):
        made = synthesize(
            read,
            folder,
            store=store,
            say=lambda line: click.echo(f"olmes: {line}", err=True),
            progress=StageBars(),
            use_cache=not no_cache,
        )
    if as_json:
        click.echo(dumps(summary(made)))
    else:
        show_made(made)
    return 1 if made.troubles else 0


def summary(made: Made) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "folder": str(made.folder),
        "rows": len(made.rows),
        "pairs": len(made.pairs),
        "steps": made.steps.to_json(),
        "models": made.models,
        "money": made.money,
        "troubles": made.troubles,
        "notes": made.notes,
    }


def show_made(made: Made) -> None:
    """Print what was kept at each step, what it cost, and where everything lies."""
    from rich.table import Table

    from olmes.cli.cost import cost_words
    from olmes.cli.tables import console
    from olmes.synthesis.card import share

    screen = console()
    table = Table(box=None, pad_edge=False)
    for name in ("kind", "step"):
        table.add_column(name)
    for name in ("came", "kept", "%"):
        table.add_column(name, justify="right")
    for one in made.steps.to_json():
        kept = share(one["kept"], one["came"]).removesuffix(" %")
        table.add_row(one["kind"], one["step"], str(one["came"]), str(one["kept"]), kept)
    screen.print(table)
    for note in made.notes:
        screen.print(f"! {note}", style="yellow", soft_wrap=True)
    for trouble in made.troubles:
        screen.print(f"! {trouble}", style="yellow", soft_wrap=True)
    if made.cost:
        money = f"; {made.money:.4g} in money" if made.money is not None else ""
        screen.print(f"cost    {cost_words(made.cost)}{money}", soft_wrap=True, style="dim")
    screen.print(f"rows    {len(made.rows):,} in {made.folder / 'rows.jsonl'}", soft_wrap=True)
    if made.pairs:
        place = made.folder / "preferences.jsonl"
        screen.print(f"pairs   {len(made.pairs):,} in {place}", soft_wrap=True)
    screen.print(f"card    {made.folder / 'card.html'}", soft_wrap=True)
