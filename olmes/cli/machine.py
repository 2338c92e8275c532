"""What the machine refused a command, with the option that names the place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from olmes.tools.places import trouble_of


def explained(error: OSError, group: click.Group, arguments: Sequence[str]) -> str | None:
    """One sentence for an error of the machine; None where it may be a fault of the program."""
    return trouble_of(error, places(group, arguments))


def places(group: click.Group, arguments: Sequence[str]) -> dict[Path, str]:
    """What to do by place: what the options of a command name, given or by default."""
    found: dict[Path, str] = {}
    with click.Context(group) as above:
        try:
            name, command, rest = group.resolve_command(above, list(arguments))
            while isinstance(command, click.Group) and rest:
                name, command, rest = command.resolve_command(click.Context(command), rest)
            if command is None:
                return found
            context = command.make_context(name, rest, parent=above, resilient_parsing=True)
        except (click.ClickException, click.exceptions.Exit):
            return found
    for parameter in command.params:
        value = context.params.get(parameter.name or "")
        if isinstance(parameter, click.Option) and isinstance(value, (str, Path)) and str(value):
            option = max(parameter.opts, key=len)
            found.setdefault(Path(value).expanduser(), f"name another with {option}")
    return found
