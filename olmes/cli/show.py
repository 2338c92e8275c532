"""`olmes show`: the exact requests of a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from olmes.cli import completion, options
from olmes.errors import OlmesError

if TYPE_CHECKING:
    from rich.console import Console

    from olmes.benchmark.task import Task
    from olmes.models.base import Model
    from olmes.models.options import Asking
    from olmes.types import Instance, Request


@click.command("show")
@click.argument("task", shell_complete=completion.tasks)
@click.option(
    "--docs", metavar="ROW|ID,...", help="Only these, by row (0,1,7 or 3-9) or id (gsm8k/17)."
)
@click.option("-n", "count", type=click.IntRange(min=1), help="The first N documents.")
@click.option("--subtask", help="Only this sub-task.")
@click.option(
    "--model",
    shell_complete=completion.models,
    help="Whose template and tokens; without one the text is not rendered.",
)
@options.data_option
@options.set_option
@options.reason_option
@options.ledger_option
@options.texts_option
@options.asking_options
@options.json_option
@options.verbose_option
def command(
    task: str,
    docs: str | None,
    count: int | None,
    subtask: str | None,
    model: str | None,
    data: tuple[Path, ...],
    settings: tuple[str, ...],
    reason: str,
    out: Path,
    texts: bool,
    asking: Asking,
    as_json: bool,
) -> None:
    """Print the exact requests of TASK: messages; with --model also the text and its token count.

    With --json one row a document: doc_id, subtask, messages, prompt, prefill, continuations,
    generation and gold. To see real items of a held-out task is a look and needs --reason. Of gated
    items, which may not be published in plain text, only ids, answers and lengths are printed
    without --texts.
    """
    from olmes.benchmark.naming import one_task
    from olmes.data.resolve import resolve
    from olmes.runs.planning import fitted, with_settings
    from olmes.seal.look import Look
    from olmes.seal.sight import Sight, check_sight, take_sight
    from olmes.tools import jsonl

    [found] = with_settings([one_task(task, "show")], options.parse_settings(settings))
    dataset = resolve(found, data, say=lambda line: click.echo(line, err=True))
    instances = chosen(dataset.instances, docs, count or (None if as_json else 1), subtask)
    closed = dataset.gated and not texts
    sight = Sight(event="show", task=found, items=len(instances), dataset=dataset, data=data)
    if as_json:
        take_sight(sight, out, Look(reason=reason))
        for instance in instances:
            row = request_row(found, instance)
            click.echo(jsonl.dumps(without_texts(row) if closed else row))
        return
    check_sight(sight, out, Look(reason=reason))
    encoder = None
    if model:
        from olmes.models.spec import load_model

        encoder = load_model(model, asking=asking)
        [found], notes = fitted([found], encoder, "task")
        for note in (*notes, *encoder.notes):
            click.echo(f"! {note}", err=True)
    take_sight(sight, out, Look(reason=reason))
    for instance in instances:
        print_request(found, instance, encoder, closed=closed)
    if closed:
        click.echo(f"! {found.name} is gated: --texts prints the texts on this screen", err=True)
    elif encoder is None:
        click.echo("! --model NAME shows the text as that model reads it, and its tokens", err=True)


def chosen(
    instances: Sequence[Instance], docs: str | None, count: int | None, subtask: str | None
) -> list[Instance]:
    """The instances that the options name.

    Raises:
        OlmesError: there is no such document or sub-task.
    """
    from olmes.requests import choosing

    kept = [one for one in instances if subtask is None or one.subtask == subtask]
    if not kept:
        names = sorted({one.subtask for one in instances if one.subtask})
        raise OlmesError(f"there is no sub-task '{subtask}'; choose one of {', '.join(names)}.")
    if docs is None:
        return kept[:count]
    return choosing.chosen(kept, choosing.parse_items(docs, "--docs"), "--docs")


def request_row(task: Task, instance: Instance) -> dict[str, Any]:
    """What others script against: one document's request as JSON."""
    request = task.request(instance.doc)
    generation = request.generation
    return {
        "doc_id": instance.doc_id,
        "subtask": instance.subtask,
        "messages": list(request.messages),
        "prompt": request.prompt,
        "prefill": request.prefill,
        "continuations": list(request.continuations) or None,
        **({"answers": list(request.answers)} if request.answers else {}),
        "generation": {
            "max_tokens": generation.max_tokens,
            "temperature": generation.temperature,
            "top_p": generation.top_p,
            "stop": list(generation.stop),
            "n": generation.n,
        },
        "gold": task.gold(instance.doc),
    }


def without_texts(row: dict[str, Any]) -> dict[str, Any]:
    """The same of a gated item: no text of it, but what tells two prompts apart."""
    from olmes.tools.hashing import content_hash

    asked = {name: row[name] for name in ("messages", "prompt", "prefill", "continuations")}
    gold = row["gold"] if is_letter(row["gold"]) else None
    return row | dict.fromkeys(asked) | {"gold": gold, "prompt_hash": content_hash(asked)[:16]}


def is_letter(gold: Any) -> bool:
    """Whether an item's answer is the letter of an option, which tells nothing of the item."""
    return isinstance(gold, str) and len(gold) == 1


def print_messages(screen: Console, request: Request) -> None:
    """What a request asks, before any template."""
    for message in request.messages:
        screen.print(f"[{message['role']}]", style="bold cyan")
        screen.print(message["content"], soft_wrap=True)
    if request.prompt is not None:
        screen.print("[plain prompt]", style="bold cyan")
        screen.print(request.prompt, soft_wrap=True)
    if request.prefill:
        screen.print("[assistant, prefilled]", style="bold cyan")
        screen.print(request.prefill, soft_wrap=True)
    for continuation in request.continuations:
        screen.print(f"[continuation] {continuation!r}", soft_wrap=True)
    for answer in request.answers:
        screen.print("[answer to reward]", style="bold cyan")
        screen.print(answer, soft_wrap=True)


def print_request(task: Task, instance: Instance, encoder: Model | None, *, closed: bool) -> None:
    """One document's request for a person to read; without its texts where it is `closed`."""
    from olmes.cli.tables import console

    screen = console()
    request = task.request(instance.doc).with_system(task.formulation.system)
    standard = "" if task.standard else " (not the standard formulation)"
    screen.rule(f"{instance.id}{standard}", align="left")
    gold = task.gold(instance.doc)
    if closed:
        said = [len(message["content"]) for message in request.messages]
        said += [len(request.prompt or "")] if request.prompt else []
        screen.print(f"gated: {sum(said):,} characters in {len(said)} turns", soft_wrap=True)
        gold = gold if is_letter(gold) else "…"
    else:
        print_messages(screen, request)
    if encoder and closed:
        tokens = len(encoder.encode(request).token_ids)
        screen.rule(f"{tokens} prompt tokens", align="left")
    elif encoder:
        encoded = encoder.encode(request)
        screen.rule(f"text, as {encoder.name} reads it", align="left")
        screen.print(encoded.text, soft_wrap=True)
        screen.rule(f"{len(encoded.token_ids)} prompt tokens", align="left")
    else:
        screen.rule("settings", align="left")
    generation = request.generation
    screen.print(
        f"max_tokens {generation.max_tokens} · temperature {generation.temperature:g} · "
        f"top_p {generation.top_p or 'unset'} · stop {list(generation.stop)} · n {generation.n}",
        soft_wrap=True,
    )
    screen.print(f"gold {gold!r} · formulation {task.formulation_hash}")
