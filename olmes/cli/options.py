"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from olmes.errors import OlmesError

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, help="Show the trace of a failure."
)
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of benchmark files; $OLMES_DATA names one for good.",
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TASK.FIELD=VALUE",
    help="Change a formulation; the result is marked as not standard.",
)


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """`TASK.FIELD=VALUE` pairs as a mapping.

    Raises:
        OlmesError: a pair has no `=`.
    """
    settings = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise OlmesError(f"--set {pair}: write TASK.FIELD=VALUE, such as gsm8k.shots=4.")
        settings[key.strip()] = value
    return settings
