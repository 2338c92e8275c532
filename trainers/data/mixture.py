"""A data mixture: named sources, how much of each, drawn with seeds, and a hash of what came out."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import TYPE_CHECKING, Any, TypedDict

from olmes.tools.hashing import content_hash
from olmes.trainers.data.pieces import Making
from olmes.trainers.data.reading import READER, read_source
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe
from olmes.trainers.recipes.tables import DataSource

if TYPE_CHECKING:
    from collections import Counter

    from datasets import Dataset

Say = Callable[[str], None]
BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class MixturePart:
    """What one source gave."""

    name: str
    rows: int
    """In the mixture."""
    of: int
    """In the source, after `left_out`."""
    left_out: int
    """Rows whose verifier cannot be expressed here, or whose constraint is held out."""
    revision: str
    """Of a hub data set: what the recipe names, or else the commit that was fetched."""
    content: str = ""
    """64 hex digits over what the source holds, wherever it lies: the bytes of a file, the commit of
    a data set of the hub."""

    def to_json(self) -> dict[str, str | int]:
        """A JSON object with every field."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class DrawnRows:
    """The rows of one source that are in the mixture, each once, in the source's order."""

    part: MixturePart
    rows: Dataset
    key: str
    """64 hex digits over everything they come from."""


class MixtureJson(TypedDict):
    """What `recipe.json` keeps of a mixture."""

    hash: str
    rows: int
    parts: list[dict[str, str | int]]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """The rows of a training, shuffled, in the shape of their stage (`training_rows.py`)."""

    rows: Dataset
    parts: tuple[MixturePart, ...]
    drawn: tuple[DrawnRows, ...]
    """The same rows by part."""
    hash: str
    """64 hex digits over everything the rows and their order come from: the content of the sources,
    and how they were read, drawn and shuffled."""

    def to_json(self) -> MixtureJson:
        """What is kept with the checkpoints: everything but the rows."""
        return {
            "hash": self.hash,
            "rows": len(self.rows),
            "parts": [p.to_json() for p in self.parts],
        }


def making_of(recipe: Recipe, say: Say) -> Making:
    """By how many processes data are prepared, as a recipe says."""
    hardware = recipe.hardware
    return Making(say=say, processes=hardware.data_processes, wait_minutes=hardware.wait_minutes)


def load_mixture(recipe: Recipe, *, say: Say) -> Mixture:
    """The mixture of a recipe.

    Each source is read once and kept in the cache; the mixture itself is only an order of rows.

    Args:
        recipe: its `data`, `rows` and `seed` are read.
        say: gets a line a source.

    Raises:
        OlmesError: a source does not exist or cannot be fetched, is empty, or has a row of a wrong
            shape (the message names file and line).
    """
    import numpy as np
    from datasets import concatenate_datasets

    making = making_of(recipe, say)
    held_out = frozenset(recipe.held_out_constraints if isinstance(recipe, RLVRRecipe) else ())
    sources: list[Dataset] = []
    parts: list[MixturePart] = []
    order_in: list[Any] = []
    drawn: list[DrawnRows] = []
    offset = 0
    for name, source in recipe.data.items():
        found, content, commit = read_source(name, source, recipe.stage, held_out, making)
        left_out: Counter[str] = found.notes["left_out"]
        available = len(found.rows)
        size = rows_wanted(source, available, recipe)
        part = MixturePart(
            name=name, rows=size, of=available, left_out=left_out.total(),
            revision=source.revision or commit, content=content,
        )  # fmt: skip
        without = "".join(f" ({count} left out: {why})" for why, count in left_out.items())
        say(f"data: {name}: {size} of {available} rows{without}")
        chosen = np.asarray(draw(available, size, seed=source.seed))
        key = content_hash([found.key, available, size, source.seed])
        once = found.rows
        if size < available:
            once = once.select(np.unique(chosen), new_fingerprint=key)
        drawn.append(DrawnRows(part=part, rows=once, key=key))
        order_in.append(offset + chosen)
        sources.append(found.rows)
        parts.append(part)
        offset += available
    order = array("q", range(sum(map(len, order_in))))
    Random(recipe.seed).shuffle(order)  # noqa: S311 (nothing secret)
    key = mixture_hash(recipe, parts)
    mixed = concatenate_datasets(sources).select(
        np.concatenate(order_in)[np.asarray(order)], new_fingerprint=key
    )
    return Mixture(rows=mixed, parts=tuple(parts), drawn=tuple(drawn), hash=key)


def mixture_hash(recipe: Recipe, parts: list[MixturePart]) -> str:
    """64 hex digits over everything that rows and their order come from, without reading them."""
    seeds = [source.seed for source in recipe.data.values()]
    held_out = recipe.held_out_constraints if isinstance(recipe, RLVRRecipe) else ()
    return content_hash(
        {
            "reader": READER,
            "stage": recipe.stage,
            "held_out": sorted(held_out),
            "parts": [
                [part.content, part.rows, part.of, part.left_out, seed]
                for part, seed in zip(parts, seeds, strict=True)
            ],
            "seed": recipe.seed,
        }
    )


def column(rows: Dataset, name: str) -> Iterator[Any]:
    """The values of one column, read some rows at a time."""
    for batch in rows.select_columns(name).iter(BATCH):
        yield from batch[name]


def rows_wanted(source: DataSource, available: int, recipe: Recipe) -> int:
    """How many rows a source gives; at least one."""
    if source.count is not None:
        return source.count
    if source.fraction is not None:
        return max(1, round(source.fraction * available))
    assert source.weight is not None
    assert recipe.rows is not None
    total = sum(other.weight or 0.0 for other in recipe.data.values())
    return max(1, round(recipe.rows * source.weight / total))


def draw(available: int, wanted: int, *, seed: int) -> array[int]:
    """Indices of the rows that are taken, in the source's order.

    All rows as often as they fit, and the rest drawn without replacement: no row is used twice more
    than another.
    """
    whole, rest = divmod(wanted, available)
    extra = Random(seed).sample(range(available), rest)  # noqa: S311 (nothing secret)
    return array("q", sorted(array("q", range(available)) * whole + array("q", extra)))
