"""What lies where in a mix's folder, and whether a round in it is the one that is asked for.

round-1/recipe.toml     the round's recipe, every key that differs from the defaults
round-1/begun.json      what of it decides what is learned and scored
round-1/full-1/         a training with the first seed, as `olmes train` leaves it
round-1/round.json      written last: the round is over
proposed-round-2.toml   what it speaks for
runs/                   all records
mix.html, .md, .tex, .csv, .json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.tools.jsonl import dumps, write_atomically
from olmes.trainers.mixing.proposal import mix_text
from olmes.trainers.mixing.recipe import Mix
from olmes.trainers.recipes.identity import plain, settings, sources, template_files
from olmes.trainers.resuming import differences
from olmes.trainers.started import INSTEAD, holds

RECIPE = "recipe.toml"
BEGUN = "begun.json"
ROUND = "round.json"


def round_folder(out: Path, number: int) -> Path:
    """The folder of a round."""
    return out / f"round-{number}"


def begun_rounds(out: Path) -> list[int]:
    """The rounds that were begun, in order."""
    found = [path.parent.name.removeprefix("round-") for path in out.glob(f"round-*/{BEGUN}")]
    return sorted(int(number) for number in found if number.isdecimal())


def is_over(out: Path, number: int) -> bool:
    """Whether a round is done."""
    return (round_folder(out, number) / ROUND).is_file()


def begin(mix: Mix, out: Path) -> Path:
    """Claim the folder of a mix's round.

    Returns:
        The folder.

    Raises:
        OlmesError: it holds trainings of another recipe; the message names what differs.
    """
    folder = round_folder(out, mix.mixing.round)
    file, now = folder / BEGUN, decisive(mix)
    if file.is_file():
        then = read(file)
        if differing := differences(then, now):
            if is_over(out, mix.mixing.round) or any(map(holds, folder.iterdir())):
                more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
                raise OlmesError(
                    f"{folder} holds a round of another recipe ({differing[0]}{more}); put that back, "
                    f"{INSTEAD}."
                )
        else:
            return folder
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECIPE, mix_text(mix))
    write_atomically(file, dumps(now) + "\n")
    return folder


def read(file: Path) -> dict[str, Any]:
    """A JSON object that a round keeps.

    Raises:
        OlmesError: the file is damaged.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OlmesError(f"{file} cannot be read ({error}); {INSTEAD}.") from None
    return found


def decisive(mix: Mix) -> dict[str, Any]:
    """What of a mix decides what its variants learn, and what they are scored on."""
    recipe, scoring = mix.recipe, mix.recipe.scoring
    target = scoring.target
    named = [target] if isinstance(target, str) else list(target)
    found = {
        **settings(recipe),
        "model": Path(recipe.model).name,
        "template": template_files(recipe) or recipe.template,
        "rows": recipe.rows,
        "scoring": [Path(one).name for one in named],
        "scoring.limit": scoring.limit,
        "scoring.settings": plain(scoring.settings),
        "mix.ablations": list(mix.mixing.ablations),
        "mix.seeds": mix.mixing.seeds,
    }
    for name, one in zip(recipe.data, sources(recipe), strict=False):
        found[f"data.{mix.sources[name]}"] = one
    as_read: dict[str, Any] = json.loads(dumps(found))
    return as_read
