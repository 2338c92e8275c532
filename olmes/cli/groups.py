"""Groups of commands: quick help, examples in it, and what a mistyped command may have meant."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from olmes.cli.examples import as_epilog, examples_of

ROOT = "olmes"


class Group(click.Group):
    """Gives each of its commands the examples of its help, and answers a mistyped one."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, with its examples."""
        found = super().get_command(ctx, cmd_name)
        return None if found is None else self.with_examples(found, cmd_name)

    def with_examples(self, command: click.Command, name: str) -> click.Command:
        """A command whose help ends with its examples."""
        if not command.epilog:
            command.epilog = as_epilog(examples_of(self.path_of(name)))
        return command

    def path_of(self, name: str) -> str:
        """The command's words behind `olmes`."""
        return name if self.name == ROOT else f"{self.name} {name}"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for.

        Raises:
            UsageError: there is none of that name; with what may have been meant.
        """
        name = args[0]
        known = self.list_commands(ctx)
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from olmes.cli.habits import command_meant

        meant = command_meant(name, known, root=self.name == ROOT)
        hint = f"Did you mean '{ctx.command_path} {meant}'?" if meant else ""
        return ctx.fail(f"No such command '{name}'. {hint}".rstrip())


class LazyGroup(Group):
    """Knows its commands by name; their modules are imported on use, so that help is instant."""

    def __init__(
        self, *arguments: Any, known: Mapping[str, str], modules: str, **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.known = known
        """Each command with its line of help, in the order a newcomer meets them."""
        self.modules = modules
        """Where the module of a command is, up to its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command."""
        return list(self.known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, from the module of its name."""
        if cmd_name not in self.known:
            return None
        found: click.Command = importlib.import_module(f"{self.modules}{cmd_name}").command
        return self.with_examples(found, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.known.items()))
