"""The prompts that are answered, and who answers which: drawn by seed from a data set and a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.errors import OlmesError
from olmes.rows.asked import asked
from olmes.rows.sources import HubRows, find_source
from olmes.synthesis.draws import draw
from olmes.synthesis.preferences.recipe import PreferencesRecipe, PromptData
from olmes.tools.hashing import content_hash
from olmes.types import Message

ON_POLICY = "on_policy"
"""What the model that is to be trained is called, beside the names of the pool."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A chat that is to be answered."""

    id: str
    """16 hex digits over its turns."""
    turns: tuple[Message, ...]
    row: int
    """Number of its row in the data set, from 1."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes one answer."""

    model: str
    """A name of the pool, or `on_policy`."""
    repeat: int
    """Which of the model's own answers to the prompt it is."""


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of a recipe."""

    prompts: tuple[Prompt, ...]
    """In the order of the data set."""
    counts: Counter[str]
    """Rows read (`rows`), without a question (`not asked`), asking what one before asks
    (`duplicates`), left after that (`prompts`)."""
    content: str
    """Hex digits over the data set."""


def read_prompts(data: PromptData, seed: int) -> PromptSet:
    """The prompts of a data set, each once, or as many of them as the recipe wants.

    Which ones depends on the prompts and the seed, not on where they stand.

    Raises:
        OlmesError: the data set is not there or cannot be read, or asks nothing.
    """
    source = find_source(data.source, HubRows(
        split=data.split, config=data.config, revision=data.revision
    ))  # fmt: skip
    counts: Counter[str] = Counter()
    found: dict[str, Prompt] = {}
    for piece in source.pieces():
        for given, row, _ in source.read(piece):
            counts["rows"] += 1
            turns = asked(row) if isinstance(row, dict) else ()
            if not turns:
                counts["not asked"] += 1
                continue
            name = content_hash(turns)[:16]
            if name in found:
                counts["duplicates"] += 1
                continue
            found[name] = Prompt(name, turns, source.number(piece, given))
    if not found:
        raise OlmesError(
            f"no row of {source.name} asks anything; rows have 'messages', 'prompt', 'instruction' or "
            "'question'."
        )
    counts["prompts"] = len(found)
    chosen = list(found.values())
    if data.limit is not None and data.limit < len(chosen):
        kept = set(first_by_draw(list(found), data.limit, f"{seed}/prompt"))
        chosen = [prompt for prompt in chosen if prompt.id in kept]
    return PromptSet(tuple(chosen), counts, source.content())


def first_by_draw(names: Sequence[str], count: int, salt: str) -> list[str]:
    """So many of some names, the same ones in whatever order they are given."""
    return sorted(names, key=lambda name: content_hash([salt, name]))[:count]


def writers(recipe: PreferencesRecipe, prompts: Sequence[Prompt]) -> dict[str, list[Writer]]:
    """Who answers each prompt, by its id.

    In the on-policy share of the prompts, rounded to whole ones, the model that is to be trained
    writes one answer. The others are of models of the pool, drawn without repetition while it lasts;
    a pool smaller than that writes several each, and without a pool the model to be trained does.
    """
    count = round(recipe.share * len(prompts))
    own = set(first_by_draw([p.id for p in prompts], count, f"{recipe.seed}/on policy"))
    found: dict[str, list[Writer]] = {}
    for prompt in prompts:
        drawn = [ON_POLICY] if prompt.id in own else []
        chance = draw(recipe.seed, "writers", prompt.id)
        while len(drawn) < recipe.responses:
            round_of = sorted(recipe.pool) or [ON_POLICY]
            chance.shuffle(round_of)
            drawn += round_of[: recipe.responses - len(drawn)]
        times: Counter[str] = Counter()
        for name in drawn:
            found.setdefault(prompt.id, []).append(Writer(name, times[name]))
            times[name] += 1
    return found
