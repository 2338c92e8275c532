"""`olmes synth`: training data made by models."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "personas": "Write instructions of personas, verified answers and preference pairs.",
    "preferences": "Have a panel of judges rate answers, and write preference pairs.",
}


class SynthGroup(click.Group):
    """Knows its commands by name; each is a module `synth_NAME` beside this one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, from the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"olmes.cli.synth_{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group("synth", cls=SynthGroup)
def command() -> None:
    """Make training data by models: instructions of personas, preferences of judges.

    A RECIPE says what is asked of whom. The same command again resumes, and asks nothing twice.
    """
