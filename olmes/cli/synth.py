"""`olmes synth`: training data made by models."""

from __future__ import annotations

import click

from olmes.cli.groups import LazyGroup

COMMANDS = {
    "personas": "Write instructions of personas, verified answers and preference pairs.",
    "preferences": "Have a panel of judges rate answers, and write preference pairs.",
}


@click.group("synth", cls=LazyGroup, known=COMMANDS, modules="olmes.cli.synth_")
def command() -> None:
    """Make training data by models: instructions of personas, preferences of judges.

    A RECIPE says what is asked of whom. The same command again resumes, and asks nothing twice.
    """
