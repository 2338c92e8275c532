"""The command line. Each command is a module of this package, imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from olmes import __version__
from olmes.errors import OlmesError
from olmes.tools.plain_streams import degrade, outlive_reader
from olmes.tools.visible_text import visible

COMMANDS = {
    "demo": "See every page filled: recorded answers, then a live model.",
    "run": "Run a suite or tasks on a model and write the record and its report.",
    "show": "Print the exact requests of a task.",
    "list": "List tasks and suites.",
    "check": "Check a task against its data, without a model.",
    "score": "Score recorded responses without a model.",
    "report": "Write the HTML page of a run.",
    "compare": "Say why two runs differ, and by how much.",
    "gate": "Pass or fail a run against a baseline, for CI.",
    "generalization": "Hold held-out scores against development scores.",
    "reproduce": "Hold a model's scores against a paper's tables.",
    "unseal": "Open the samples of a run under seal.",
    "ledger": "Print and check the looks at held-out tasks.",
    "decontaminate": "Look for evaluations' items in training data.",
    "train": "Train by SFT, DPO or RLVR; every checkpoint is scored.",
    "synth": "Make training data by models, verified and decontaminated.",
    "watch": "Score the checkpoints another trainer writes.",
    "serve": "Serve runs to a team: leaderboard, runs, samples, live.",
    "push": "Send runs to a server.",
    "token": "Make, list and revoke the tokens of a server.",
    "backup": "Back up a server's store, and restore it.",
    "sandbox": "See where programs of models run, and install their libraries.",
    "data": "See where benchmark data comes from, and fetch it.",
}


class LazyGroup(click.Group):
    """Knows its commands by name; their modules are imported on use, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, from the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"olmes.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="olmes")
def olmes() -> None:
    """Standardized evaluation of language models in post-training.

    Start with: olmes run --suite dev
    """


def fail(message: str, status: int, *, verbose: bool) -> NoReturn:
    """Print one line (and the trace, when asked for) and exit."""
    if verbose:
        traceback.print_exc()
    click.echo(f"olmes: {visible(message)}", err=True)
    sys.exit(status)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point of `olmes`: every failure is one line; `-v` shows the trace.

    Exit status: 0 done, 1 something failed (requests, or olmes itself), 2 the
    input needs mending, 3 a gate could not tell, 130 stopped by Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    verbose = any(word in ("-v", "--verbose") for word in arguments)
    outlive_reader()
    degrade(data=any(word.startswith(("--json", "--format")) for word in arguments))
    try:
        sys.exit(olmes.main(arguments, prog_name="olmes", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):  # click turns Ctrl-C into the former
        fail("stopped; the same command resumes the run.", 130, verbose=verbose)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OlmesError as error:
        fail(str(error), 2, verbose=verbose)
    except BrokenPipeError:
        # The reader (`head`, say) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError):
            from olmes.cli.machine import explained

            if said := explained(error, olmes, arguments):
                fail(said, 2, verbose=verbose)
        again = "" if verbose else "; add -v to see the trace, and please report it"
        fail(f"internal error: {type(error).__name__}: {error}{again}.", 1, verbose=verbose)
