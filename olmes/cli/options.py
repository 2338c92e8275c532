"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from olmes.cli import completion
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from olmes.judging.judges import Written
    from olmes.models.options import Asking
    from olmes.requests.choosing import Limit

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, help="Show the trace of a failure."
)
data_option = click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of benchmark files; repeat it for several. $OLMES_DATA names them for good (A:B).",
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TASK.FIELD=VALUE",
    help="Change a formulation; the result is marked as not standard.",
)


def parse_judge(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> Written:
    """Who judges, of what `--judge` says."""
    from olmes.judging.judges import parse_judges

    return parse_judges(values)


def parse_k(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> tuple[int, ...]:
    """`1,5,10` as numbers.

    Raises:
        OlmesError: one is no whole number.
    """
    words = (given or "").replace(" ", ",").split(",")
    try:
        return tuple(int(word) for word in words if word)
    except ValueError:
        raise OlmesError(f"--k {given}: write whole numbers with commas, such as 1,5,10.") from None


judge_option = click.option(
    "--judge", multiple=True, metavar="MODEL|TASK=MODEL", callback=parse_judge,
    help="Model that judges, written as for --model, for tasks that need one; or for one task alone.",
)  # fmt: skip
k_option = click.option(
    "--k", "ks", metavar="K,...", callback=parse_k,
    help="Which pass@k, pass^k and maj@k of repeats are shown; 1, 2, 4, ... when not given.",
)  # fmt: skip


def sandbox_option(command: F) -> F:
    """`--sandbox`: in what programs run, of this command and the processes that it starts."""

    @functools.wraps(command)
    def with_sandbox(*arguments: Any, sandbox: str | None, **given: Any) -> Any:
        before = os.environ.get("OLMES_SANDBOX")
        if sandbox:
            os.environ["OLMES_SANDBOX"] = sandbox
        try:
            return command(*arguments, **given)
        finally:
            if before is None:
                os.environ.pop("OLMES_SANDBOX", None)
            else:
                os.environ["OLMES_SANDBOX"] = before

    option = click.option(
        "--sandbox", type=click.Choice(["bubblewrap", "docker", "podman"]),
        help="In what programs that a model wrote are executed; $OLMES_SANDBOX names one for good.",
    )  # fmt: skip
    return cast("F", option(with_sandbox))


reason_option = click.option(
    "--reason", default="", help="Why held-out items are looked at; kept in the ledger."
)
texts_option = click.option(
    "--texts", is_flag=True, help="Show texts of gated items too, which must not be published.",
)  # fmt: skip
ledger_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"),
    show_default=True, help="Folder of the ledger in which looks at held-out items are written.",
)  # fmt: skip
push_option = click.option(
    "--push", metavar="URL", envvar="OLMES_SERVER",
    help="Results server that shows the run live and gets its record; $OLMES_SERVER names it.",
)  # fmt: skip


def parse_limit(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> Limit | None:
    """A number of items a task, or a share of each task's.

    Raises:
        OlmesError: it is neither.
    """
    from olmes.requests.choosing import check_limit

    if given is None:
        return None
    limit: Limit
    try:
        limit = int(given)
    except ValueError:
        try:
            limit = float(given)
        except ValueError:
            raise OlmesError(
                f"--limit {given}: write a number of items a task, or a share, such as 200 or 0.1."
            ) from None
    check_limit(limit)
    return limit


def parse_batch_size(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> int | None:
    """A number of responses; None for `auto`, which takes as many as fit.

    Raises:
        OlmesError: it is neither a number from 1 nor `auto`.
    """
    if given in (None, "auto"):
        return None
    if not str(given).isdecimal() or int(str(given)) < 1:
        raise OlmesError(f"--batch-size {given}: write a whole number from 1, or auto.")
    return int(str(given))


limit_option = click.option(
    "--limit", metavar="N|SHARE", callback=parse_limit,
    help="Items a task, or a share of each task's (0.1), drawn with a fixed seed.",
)  # fmt: skip
suite_option = click.option(
    "--suite", shell_complete=completion.suites,
    help="A suite's name, or the path of its TOML file.",
)  # fmt: skip
task_option = click.option(
    "--task", "tasks", multiple=True, metavar="TASK,...", shell_complete=completion.tasks,
    help="Names or files of tasks, with commas or a pattern ('mmlu*'); may be repeated.",
)  # fmt: skip


ENGINE = (
    click.option(
        "--batch-size",
        metavar="N|auto",
        callback=parse_batch_size,
        help="Responses generated together; auto, as when not given, for as many as fit.",
    ),
    click.option(
        "--max-length", type=click.IntRange(min=2), help="Window in tokens; at most the model's."
    ),
    click.option("--dtype", help="Precision; float32 on a CPU, the checkpoint's own on a GPU."),
    click.option("--device", help="cpu, cuda, cuda:1, mps; the best there is when not given."),
)
ASKING = (
    click.option(
        "--thinking", type=click.Choice(["auto", "on", "off"]), default="auto",
        help="Whether a model that can think does; auto leaves it to its template or server.",
    ),
    click.option(
        "--thinking-budget", type=click.IntRange(min=1), metavar="TOKENS",
        help="Tokens a thought may take, on top of the answer's own limit.",
    ),
    click.option(
        "--reasoning-tags", metavar="TAGS",
        help="Marks round a thought: '<think>,</think>', a family's name, or none.",
    ),
    click.option(
        "--chat-template", metavar="FILE|NAME|plain",
        help="In place of the checkpoint's own; plain is for base models.",
    ),
    click.option(
        "--template-arg", "template_args", multiple=True, metavar="K=V",
        help="A variable of the chat template; may be repeated.",
    ),
    click.option(
        "--request-body", multiple=True, metavar="K=V",
        help="A field of the requests to a server; may be repeated.",
    ),
    click.option(
        "--trust-remote-code", is_flag=True, help="Run code that lies in the model's folder."
    ),
    click.option("--adapter", metavar="MODEL", help="Folder or hub id of a LoRA adapter."),
)  # fmt: skip
SAMPLED = (
    click.option("--repeats", "n", type=click.IntRange(min=1), help="Responses an item."),
    click.option("--temperature", type=click.FloatRange(min=0), help="0 is greedy decoding."),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus mass."),
    click.option("--top-k", type=click.IntRange(min=1), help="Likeliest tokens sampled from."),
    click.option("--min-p", type=click.FloatRange(0, 1), help="Least share of the likeliest."),
    click.option(
        "--repetition-penalty", type=click.FloatRange(min=0, min_open=True), help="1 is none."
    ),
    click.option("--seed", type=click.IntRange(min=0), help="Of the sampled tokens."),
    click.option("--system", metavar="TEXT|FILE", help="A system turn before every chat."),
)
"""Settings of all tasks: `--temperature 0.6` is `--set '*.temperature=0.6'`."""


def engine_options(command: F) -> F:
    """Give a command the options of `EngineOptions`, as its argument `engine`."""

    @asking_options
    @functools.wraps(command)
    def gathered(asking: Asking, **arguments: Any) -> Any:
        from olmes.models.options import EngineOptions

        names = EngineOptions.__annotations__.keys() - {"asking"}
        chosen = {name: arguments.pop(name) for name in sorted(names)}
        return command(**arguments, engine=chosen | {"asking": asking})

    decorated: F = with_options(gathered, ENGINE)
    return decorated


def asking_options(command: F) -> F:
    """Give a command the options of `Asking`, as its argument `asking`."""

    @functools.wraps(command)
    def gathered(**arguments: Any) -> Any:
        from olmes.models.options import Asking, parse_values

        for name, option in (
            ("template_args", "--template-arg"),
            ("request_body", "--request-body"),
        ):
            arguments[name] = parse_values(arguments[name], option)
        asked = {one.name: arguments.pop(one.name) for one in dataclasses.fields(Asking)}
        return command(**arguments, asking=Asking(**asked))

    decorated: F = with_options(gathered, ASKING)
    return decorated


def sampling_options(command: F) -> F:
    """Give a command the settings of all tasks, as further pairs of its argument `settings`."""

    @functools.wraps(command)
    def gathered(settings: tuple[str, ...], **arguments: Any) -> Any:
        names = ("n", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")
        given = {name: arguments.pop(name) for name in names}
        if (system := arguments.pop("system")) is not None:
            given["system"] = text_or_file(system, "--system")
        pairs = [f"*.{name}={value}" for name, value in given.items() if value is not None]
        return command(**arguments, settings=(*pairs, *settings))

    decorated: F = with_options(gathered, SAMPLED)
    return decorated


def with_options(command: Any, found: Iterable[Callable[[Any], Any]]) -> Any:
    """A command with options, shown in their order."""
    for option in reversed(list(found)):
        command = option(command)
    return command


def text_or_file(given: str, option: str) -> str:
    """The text of a file where there is one of that name, or else the text itself.

    Raises:
        OlmesError: it is written as a file's name, and there is no such file, or it is not UTF-8.
    """
    try:
        if Path(given).is_file():
            return Path(given).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OlmesError(f"{option} {given}: the file is not UTF-8; save it as UTF-8.") from error
    except (OSError, ValueError):  # a text that is too long to be a name, or no name at all
        return given
    if re.fullmatch(r"\S*(?:/\S+|\.(?:txt|md|jinja))", given):
        raise OlmesError(
            f"{option} {given}: there is no such file; give the path of one, or the text itself."
        )
    return given


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
