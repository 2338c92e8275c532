"""`olmes serve`: the results server."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from olmes.cli import options
from olmes.tools import jsonl

STORE_HELP = (
    "Folder of the store, or postgresql+psycopg://USER@HOST/NAME; $OLMES_STORE names it. A password "
    "belongs into $PGPASSWORD or ~/.pgpass, where no list of processes shows it."
)
store_option = click.option(
    "--store", default="olmes-store", envvar="OLMES_STORE", show_default=True, help=STORE_HELP
)


artifacts_option = click.option(
    "--artifacts", default="", help="Folder or fsspec URL of the samples.  [default: in the store]"
)


@contextlib.contextmanager
def needs_server() -> Iterator[None]:
    """Say how to install the server where one of its packages is missing.

    Raises:
        OlmesError: one is.
    """
    from olmes.errors import OlmesError

    try:
        yield
    except ModuleNotFoundError as error:
        raise OlmesError(
            f"the server needs {error.name}; install it with pip install 'olmes[server]'."
        ) from None


def announcer(
    store: str, folder: str, *, on_terminal: bool, as_json: bool
) -> Callable[[str], None]:
    """What prints the address of a server that is ready, and then what else must be known.

    Args:
        store: as it was named; a password in it is not printed.
        folder: of the runs that are indexed; '' for none.
        on_terminal: whether a person reads it, who is told how to end it.
        as_json: whether the address is a row on standard output, and nothing else is.
    """
    place = re.sub(r"//[^@/]*@", "//", store)
    addresses: list[str] = []

    def say(line: str) -> None:
        if addresses:
            click.echo(line, err=as_json)
            return
        addresses.append(line)
        if as_json:
            click.echo(jsonl.dumps({"address": line, "store": place, "runs": folder or None}))
            return
        click.echo(line)
        if on_terminal:
            click.echo(f"store  {place}")
            click.echo(f"runs   {folder or 'those that are pushed'}")
            click.echo("Ctrl-C stops it; --log shows requests.")

    return say


@click.command("serve")
@store_option
@artifacts_option
@click.option(
    "--work", default="",
    help="Local folder for uploads and pages.  [default: the store, or ./olmes-store]",
)  # fmt: skip
@click.option(
    "--runs", type=click.Path(path_type=Path, file_okay=False),
    help="Folder of runs to index and watch.  [default: runs]",
)  # fmt: skip
@click.option("--no-runs", is_flag=True, help="Index no folder.")
@click.option(
    "--host", default="127.0.0.1", show_default=True,
    help="Address to listen at; one that others reach needs a token.",
)  # fmt: skip
@click.option(
    "--proxy", "proxies", multiple=True, metavar="ADDRESS",
    help="Proxy, or network of proxies, whose X-Forwarded-For and Forwarded are believed; may be given "
    "more than once.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=0), default=100.0, show_default=True,
    help="Requests a second of a token or address, five times as many at once; 0 for any.",
)  # fmt: skip
@click.option(
    "--log/--quiet", "log", default=None,
    help="Log every request, as JSON lines on standard error, or warnings alone.  [default: requests, "
    "but not on a terminal]",
)  # fmt: skip
@options.json_option
@options.verbose_option
def command(
    store: str,
    artifacts: str,
    work: str,
    runs: Path | None,
    no_runs: bool,
    host: str,
    proxies: tuple[str, ...],
    port: int,
    rate: float,
    log: bool | None,
    as_json: bool,
) -> None:
    """Serve runs: leaderboard, samples, comparison, live. Without options: the runs in ./runs.

    Until there is a token (`olmes token create`) this machine alone can look, and the account that
    started the server alone can push; from then on everybody needs one. Stop it with Ctrl-C: uploads
    in progress are finished, or resumed at the next start.
    """
    from olmes.errors import OlmesError

    with needs_server():
        from olmes.server.access.guard import Rates
        from olmes.server.serving import serve
        from olmes.server.settings import Settings
    if runs is not None and not runs.is_dir():
        raise OlmesError(f"{runs} is not a folder; check the path, or create it first.")
    # Watched also before the first run makes it.
    folder = "" if no_runs else str(runs or "runs")
    on_terminal = sys.stderr.isatty()
    serve(
        Settings(store=store, artifacts=artifacts, work=work),
        host=host,
        port=port,
        proxies=proxies,
        rates=Rates(rate=rate, burst=5 * rate),
        folder=folder,
        quiet=on_terminal if log is None else not log,
        say=announcer(store, folder, on_terminal=on_terminal and not log, as_json=as_json),
    )
