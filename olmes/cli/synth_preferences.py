"""`olmes synth preferences`: answers of a pool, rated by a panel of judges, as preference pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from olmes.cli import completion, options

if TYPE_CHECKING:
    from olmes.synthesis.preferences.recipe import PreferencesRecipe


@click.command("preferences")
@click.argument("recipe", shell_complete=completion.synthesis_recipes)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the rows.  [default: synthetic/NAME]",
)  # fmt: skip
@click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the ledger that counts of held-out tasks are written into.",
)  # fmt: skip
@click.option(
    "--gold", type=click.Path(path_type=Path, dir_okay=False),
    help="JSON lines of texts that people have compared: each judge's agreement with them.",
)  # fmt: skip
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE",
    help="Change a key of the recipe: --set data.limit=20.",
)  # fmt: skip
@click.option("--show", is_flag=True, help="Print the recipe as resolved, and ask nobody.")
@click.option("--no-cache", is_flag=True, help="Neither use nor fill the response cache.")
@options.json_option
@options.verbose_option
def command(
    recipe: str,
    out: Path | None,
    store: Path,
    gold: Path | None,
    settings: tuple[str, ...],
    show: bool,
    no_cache: bool,
    as_json: bool,
) -> int:
    """Have a pool answer prompts, a panel rate the answers, and write preference pairs.

    RECIPE is a .toml file, or the name of a bundled one. Judges rate every answer from 1 to 5 on four
    aspects; how far they agree, and whether the place or the length of an answer moves them, stands
    beside the pairs. The same command again resumes, and asks nothing twice.

    Exit status 1: something could not be asked, for a failure or the budget. What is finished is
    written.
    """
    from olmes.synthesis.preferences.recipe import read_preferences_recipe
    from olmes.tools.as_json import as_json as to_json
    from olmes.tools.jsonl import dumps
    from olmes.tools.places import OUT, writing

    pairs = options.parse_settings(settings, "KEY=VALUE, such as data.limit=20")
    one = read_preferences_recipe(recipe, pairs)
    if show:
        click.echo(dumps({"hash": one.hash, **to_json(one)}))
        return 0
    folder = out or Path("synthetic") / one.name
    with writing(folder, OUT):
        return synthesize(one, folder, store, gold, use_cache=not no_cache, as_json=as_json)


def synthesize(
    recipe: PreferencesRecipe,
    folder: Path,
    store: Path,
    gold: Path | None,
    *,
    use_cache: bool,
    as_json: bool,
) -> int:
    """Make the pairs, write them and print what is to be known."""
    from olmes.cli.progress import StageBars
    from olmes.cli.synth_card import print_card
    from olmes.cli.tables import console
    from olmes.synthesis.card import write_card
    from olmes.synthesis.preferences.rows import write_pairs, write_ratings
    from olmes.synthesis.preferences.synthesis import make_preferences
    from olmes.synthesis.preferences.told import preferences_card
    from olmes.synthesis.prompts import Prompts
    from olmes.synthesis.session import Session
    from olmes.tools import jsonl

    screen = console(stderr=as_json)
    prompts = Prompts(recipe.prompts)

    def say(line: str) -> None:
        screen.print(line, soft_wrap=True)

    with Session(
        folder, recipe.budget, say=say, progress=StageBars(), use_cache=use_cache
    ) as session:
        made = make_preferences(recipe, session, prompts, store, gold)
        session.progress.ended()
        troubles = session.troubles()
        written = [
            write_pairs(folder, made.pairs, made.models, made.judges, recipe.seed),
            write_ratings(folder, made.judged),
        ]
        overlap = made.cleaning.found(written[0])
        card = preferences_card(recipe, made, made.measures(recipe), prompts, overlap)
    jsonl.write_atomically(folder / "preferences.json", jsonl.dumps(card.data) + "\n")
    written += [folder / "preferences.json", *write_card(folder, card)]
    if as_json:
        files = [str(path) for path in written]
        click.echo(jsonl.dumps(card.data | {"files": files, "troubles": troubles}))
    else:
        print_card(screen, card)
        for path in written:
            say(f"wrote   {path}")
    for trouble in troubles:
        click.echo(f"! {trouble}", err=True)
    return 1 if made.counts["unfinished"] or made.gold_unfinished else 0
