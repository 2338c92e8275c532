"""The next mix as a file of its own, with the reason of every weight: written, and never applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.comparison.mix_advice import Advice
from olmes.comparison.mix_rounds import advice_line
from olmes.tools.jsonl import write_atomically
from olmes.tools.toml_text import toml_text
from olmes.tools.visible_text import one_line
from olmes.trainers.mixing.recipe import Mix, Mixing


def proposal_file(out: Path, number: int) -> Path:
    """The file of the mix that is proposed for a round."""
    return out / f"proposed-round-{number}.toml"


def write_proposal(mix: Mix, advice: Sequence[Advice], out: Path) -> Path:
    """Write the recipe of the next round.

    Args:
        mix: of the round that is done.
        advice: of every source of it.
        out: the mix's folder.

    Returns:
        The file.
    """
    number = mix.mixing.round + 1
    named = {called: name for name, called in mix.sources.items()}
    weights = {named[one.source]: one.proposed for one in advice if one.proposed}
    data = {
        name: dataclasses.replace(mix.recipe.data[name], weight=weight)
        for name, weight in weights.items()
    }
    changed = dataclasses.replace(
        mix,
        recipe=dataclasses.replace(mix.recipe, data=data),
        mixing=dataclasses.replace(mix.mixing, round=number),
    )
    file = proposal_file(out, number)
    head = [
        f"The mix proposed after round {mix.mixing.round} of {mix.name}. Nothing trains on it until",
        f"it is run: olmes train mix {file} --out {out}",
        "",
        *(advice_line(one) for one in advice),
    ]
    write_atomically(
        file, "".join(f"# {one_line(line)}".rstrip() + "\n" for line in head) + mix_text(changed)
    )
    return file


def mix_text(mix: Mix) -> str:
    """A mix as the text of its file: what differs from the defaults, every file by its whole path."""
    table: dict[str, Any] = {"stage": mix.recipe.stage, **given(mix.recipe)}
    table["mix"] = {
        "round": mix.mixing.round,
        **given(dataclasses.replace(mix.mixing, round=Mixing().round)),
    }
    if mix.unseen is not None:
        table["unseen"] = given(mix.unseen)
    return toml_text(table)


def given(value: Any, default: Any = None) -> dict[str, Any]:
    """The fields of a dataclass that differ from its defaults, as TOML has them.

    Args:
        value: the dataclass.
        default: what a file begins from where it stands; its own defaults if not given. A stage has
            other defaults of its tables than the tables by themselves.
    """
    default = type(value)() if default is None else default
    return {
        field.name: plain(own, getattr(default, field.name))
        for field in dataclasses.fields(value)
        if (own := getattr(value, field.name)) != getattr(default, field.name)
    }


def plain(value: Any, default: Any) -> Any:
    """A field's value as TOML has it; `default` is what a file begins from."""
    if value is None:
        return "none"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Of a table that is left out by default every key is written, so that it is not.
        return dataclasses.asdict(value) if default is None else given(value, default)
    if isinstance(value, Mapping):
        return {
            name: given(one) if dataclasses.is_dataclass(one) else one
            for name, one in value.items()
        }
    return list(value) if isinstance(value, tuple) else value
