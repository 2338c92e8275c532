"""Whether the pairs that a reward model is scored on are others than those it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from olmes.benchmark.registry import load_task
from olmes.data.resolve import quiet, resolve
from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.trainers.data.mixture import column
from olmes.trainers.recipes.tables import Scoring

Turns = Sequence[Mapping[str, Any]]


def check_held_out(scoring: Scoring, rows: Any, say: Callable[[str], None]) -> None:
    """Say how many of the pairs that are scored have a prompt that is trained on.

    Args:
        scoring: of a recipe for a reward model.
        rows: what it trains on, with the column `prompt`.
        say: gets a line for each task that has such pairs.

    Raises:
        OlmesError: all pairs of a task have, so that none is held out.
    """
    asked: dict[str, list[str]] = {}
    for name in scoring.tasks:
        task = load_task(name)
        if task.for_reward_models:
            instances = resolve(task, scoring.data, say=quiet).instances
            asked[task.name] = [said(task.request(one.doc).messages) for one in instances]
    if not asked:
        return
    wanted = {key for keys in asked.values() for key in keys}
    trained = wanted & prompts(column(rows, "prompt"))
    for name, keys in asked.items():
        both = sum(key in trained for key in keys)
        if both == len(keys):
            raise OlmesError(
                f"scoring.tasks: every pair of {name} has a prompt that is trained on, so that its "
                "score would say nothing of new ones; name pairs that are not in [data]."
            )
        if both:
            say(
                f"scoring: {both} of the {len(keys)} pairs of {name} have a prompt that is trained on, "
                "which makes its score look better; leave them out of one of the two"
            )


def prompts(chats: Iterable[Turns]) -> set[str]:
    """What some chats say, 32 hex digits each."""
    return {said(chat) for chat in chats}


def said(chat: Turns) -> str:
    """32 hex digits of who says what in a chat."""
    return content_hash([[turn["role"], turn["content"]] for turn in chat])[:32]
