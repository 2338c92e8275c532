"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from olmes.errors import OlmesError
from olmes.types import EngineOptions

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

push_option = click.option(
    "--push", metavar="URL", envvar="OLMES_SERVER",
    help="Results server that shows the run live and gets its record; $OLMES_SERVER names it.",
)  # fmt: skip


ENGINE = (
    click.option("--batch-size", type=click.IntRange(min=1), help="Responses generated together."),
    click.option(
        "--max-length", type=click.IntRange(min=2), help="Window in tokens; at most the model's."
    ),
    click.option("--dtype", help="Precision; float32 on a CPU, the checkpoint's own on a GPU."),
    click.option("--device", help="cpu, cuda, cuda:1, mps; the best there is when not given."),
)


def engine_options(command: F) -> F:
    """Give a command the options of `EngineOptions`, as its argument `engine`."""

    @functools.wraps(command)
    def gathered(**arguments: Any) -> Any:
        chosen = {name: arguments.pop(name) for name in EngineOptions.__annotations__}
        return command(**arguments, engine=chosen)

    decorated: Any = gathered
    for option in reversed(ENGINE):
        decorated = option(decorated)
    result: F = decorated
    return result


def parse_settings(
    pairs: Iterable[str], form: str = "TASK.FIELD=VALUE, such as gsm8k.shots=4"
) -> dict[str, str]:
    """`KEY=VALUE` pairs as a mapping; `form` is what an error tells to write.

    Raises:
        OlmesError: a pair has no `=`.
    """
    settings = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise OlmesError(f"--set {pair}: write {form}.")
        settings[key.strip()] = value
    return settings
