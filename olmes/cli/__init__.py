"""The command line. Each command is a module of this package, imported when it is called."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import click

from olmes import __version__
from olmes.cli.examples import as_epilog
from olmes.cli.groups import ROOT, LazyGroup
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


@click.group(
    ROOT, cls=LazyGroup, known=COMMANDS, modules="olmes.cli.",
    epilog=as_epilog(["olmes run --suite dev", "olmes list", "olmes serve"]),
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
@click.version_option(__version__, prog_name="olmes")
def olmes() -> None:
    """Standardized evaluation of language models in post-training."""


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
        if isinstance(error, click.NoSuchOption):
            from olmes.cli.habits import said_of

            if answer := said_of(error):
                fail(answer, 2, verbose=verbose)
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
