"""What `olmes run --estimate` prints."""

from __future__ import annotations

from collections.abc import Sequence

import click

from olmes.cli.tables import console
from olmes.runs.cost_estimate import CostEstimate
from olmes.tools import jsonl


def show_estimates(found: Sequence[CostEstimate], *, as_json: bool, several: bool) -> None:
    """Print what each run would cost, and the sum of several."""
    if as_json:
        rows = [one.to_json() for one in found]
        click.echo(jsonl.dumps(rows if several else rows[0]))
        return
    screen = console()
    for one in found:
        for line in lines(one):
            screen.print(line, soft_wrap=True)
    if several:
        known = [one.seconds for one in found if one.seconds is not None]
        asked = sum(one.asked for one in found)
        time = f"about {duration(sum(known))}" if len(known) == len(found) else "time not known"
        screen.print(f"all       {len(found)} models, {asked:,} requests, {time}", soft_wrap=True)


def lines(one: CostEstimate) -> list[str]:
    """An estimate in words."""
    said = [f"model     {one.model}", f"run       {one.run or 'its weights are not here yet'}"]
    if one.finished:
        return [*said, "finished  its record is there; nothing would be asked"]
    had = [
        f"{count:,} {words}"
        for count, words in (
            (one.in_journal, "in the journal"),
            (one.in_cache, "in the cache"),
            (one.equal, "equal to another"),
        )
        if count
    ]
    said.append(f"requests  {one.requests:,}: {', '.join([*had, f'{one.asked:,} to ask'])}")
    if one.prompt_tokens is None:
        said.append("reads     not known: the tokenizer is not here")
    else:
        shared = f", {one.shared_tokens:,} of them shared" if one.shared_tokens else ""
        said.append(f"reads     {one.prompt_tokens:,} tokens{shared}")
    said.append(f"writes    {writes(one)}")
    if one.seconds is None:
        said.append(
            "time      not known: no earlier run of this architecture with this engine on this "
            "machine is in the store; run with a small --limit first"
        )
    else:
        most = (
            "" if one.seconds == one.seconds_limit else f", at most {duration(one.seconds_limit)}"
        )
        runs = len(one.speed_from)
        said.append(
            f"time      about {duration(one.seconds)} in the model{most} (the speed of "
            f"{one.speed_from[0]}{f' and {runs - 1} more' if runs > 1 else ''})"
        )
    if one.weights_bytes is not None:
        said.append(f"memory    {one.weights_bytes / 1e9:.2f} GB for the weights")
    return said


def writes(one: CostEstimate) -> str:
    """New tokens, and how they are known."""
    thoughts = (
        f", thoughts {one.thought_tokens_limit:,} of them (--thinking-budget)"
        if one.thought_tokens_limit
        else ""
    )
    known = {name: run for name, run in one.lengths_from.items() if run}
    unknown = [name for name, run in one.lengths_from.items() if not run]
    if not known:
        most = f"at most {one.new_tokens_limit:,} tokens{thoughts}"
        return f"{most} (no earlier record tells how many it will be)"
    runs = dict.fromkeys(known.values())
    how = "; ".join(
        f"{', '.join(name for name, said in known.items() if said == run)} as in {run}"
        for run in runs
    )
    rest = f"; {', '.join(unknown)} at its limit" if unknown else ""
    return (
        f"about {one.new_tokens:,} tokens, at most {one.new_tokens_limit:,}{thoughts} ({how}{rest})"
    )


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds is None:
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
