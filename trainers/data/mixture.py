"""A data mixture: named sources, how much of each, drawn with seeds, and a hash of what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypedDict

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.tools.hashing import canonical_json, sha256
from olmes.trainers.data.hub_commit import commit_of
from olmes.trainers.data.published_rlvr import NotExpressibleError
from olmes.trainers.data.training_rows import READERS, TrainingRow, rewarded_constraints
from olmes.trainers.recipes.stages import Recipe, RLVRRecipe
from olmes.trainers.recipes.tables import DataSource

if TYPE_CHECKING:
    from datasets import Dataset

Say = Callable[[str], None]


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

    def to_json(self) -> dict[str, str | int]:
        """A JSON object with every field."""
        return asdict(self)


class MixtureJson(TypedDict):
    """What `recipe.json` keeps of a mixture."""

    hash: str
    rows: int
    parts: list[dict[str, str | int]]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """The rows of a training, shuffled, in the shape of their stage (`trainers/training_rows.py`)."""

    rows: Dataset
    parts: tuple[MixturePart, ...]
    hash: str
    """64 hex digits over the rows in their order."""

    def to_json(self) -> MixtureJson:
        """What is kept with the checkpoints: everything but the rows."""
        return {
            "hash": self.hash,
            "rows": len(self.rows),
            "parts": [p.to_json() for p in self.parts],
        }


def load_mixture(recipe: Recipe, *, say: Say) -> Mixture:
    """The mixture of a recipe.

    Args:
        recipe: its `data`, `rows` and `seed` are read.
        say: gets a line a source.

    Raises:
        OlmesError: a source does not exist or cannot be fetched, is empty, or has a row of a wrong
            shape (the message names file and line).
    """
    from datasets import concatenate_datasets

    drawn: list[Dataset] = []
    parts: list[MixturePart] = []
    for name, source in recipe.data.items():
        found, left_out, commit = load_source(name, source, recipe)
        size = rows_wanted(source, len(found), recipe)
        chosen = found.select(draw(len(found), size, seed=source.seed))
        part = MixturePart(
            name=name, rows=size, of=len(found), left_out=left_out.total(),
            revision=source.revision or commit,
        )  # fmt: skip
        without = "".join(f" ({count} left out: {why})" for why, count in left_out.items())
        say(f"data: {name}: {size} of {len(found)} rows{without}")
        drawn.append(chosen)
        parts.append(part)
    mixed = concatenate_datasets(drawn)
    order = list(range(len(mixed)))
    Random(recipe.seed).shuffle(order)  # noqa: S311 (nothing secret)
    mixed = mixed.select(order)
    return Mixture(rows=mixed, parts=tuple(parts), hash=rows_hash(mixed))


def rows_hash(rows: Dataset) -> str:
    """64 hex digits over rows in their order."""
    import hashlib

    digest = hashlib.sha256()
    for row in rows:
        digest.update(sha256(canonical_json(row)).encode())
    return digest.hexdigest()


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


def draw(available: int, wanted: int, *, seed: int) -> list[int]:
    """Indices of the rows that are taken, in the source's order.

    All rows as often as they fit, and the rest drawn without replacement: no row is used twice more
    than another.
    """
    whole, rest = divmod(wanted, available)
    extra = Random(seed).sample(range(available), rest)  # noqa: S311 (nothing secret)
    return sorted([*(list(range(available)) * whole), *extra])


def load_source(name: str, source: DataSource, recipe: Recipe) -> tuple[Dataset, Counter[str], str]:
    """All rows of a source in the stage's shape, why how many were left out, and a hub's commit.

    Raises:
        OlmesError: as `load_mixture`.
    """
    from datasets import Dataset

    file = local_file(name)
    commit = ""
    if file is None:
        fetched = hub_rows(name, source)
        commit = commit_of(fetched)
        numbered: Any = enumerate(fetched, start=1)
        where = name
    else:
        numbered, where = jsonl.read_numbered(file), str(file)
    read = READERS[recipe.stage]
    held_out = set(recipe.held_out_constraints) if isinstance(recipe, RLVRRecipe) else set()
    rows: list[TrainingRow] = []
    left_out: Counter[str] = Counter()
    for number, row in numbered:
        try:
            if not isinstance(row, Mapping):
                raise OlmesError("a row is a JSON object")
            made = read(row, file.parent if file else None)
        except NotExpressibleError:
            left_out["their verifier is not here"] += 1
        except OlmesError as error:
            problem = str(error).rstrip(".")
            raise OlmesError(f"{where}, row {number}: {problem}; fix the row.") from None
        else:
            kept_out = sorted(held_out & rewarded_constraints(made)) if held_out else []
            if kept_out:
                left_out[f"they reward {kept_out[0]}, which is held out"] += 1
            else:
                rows.append(made)
    if not rows:
        raise OlmesError(f"{where} has no row for {recipe.stage}; check the file.")
    return Dataset.from_list(rows), left_out, commit


def local_file(name: str) -> Path | None:
    """The file of a source, or None for a hub data set.

    Raises:
        OlmesError: it is written as a file that does not exist, or as a bundled name there is none
            of.
    """
    path = Path(name).expanduser()
    if name.endswith((".jsonl", ".jsonl.gz")):
        if not path.is_file():
            raise OlmesError(f"there is no file {path}; check the path in [data].")
        return path
    bundled = bundled_data()
    if name in bundled:
        return bundled[name]
    if "/" not in name:
        raise OlmesError(
            f"there is no data set '{name}'; give a .jsonl file, OWNER/NAME of the hub, or one of "
            f"{', '.join(sorted(bundled))}."
        )
    return None


def bundled_data() -> dict[str, Path]:
    """The files of trainers/data by name."""
    return {path.stem: path for path in Path(__file__).parent.glob("*.jsonl")}


def hub_rows(name: str, source: DataSource) -> Sequence[Any]:
    """The rows of a hub data set, fetched into the hub's own cache.

    Raises:
        OlmesError: it cannot be fetched.
    """
    import datasets

    try:
        found: Sequence[Any] = datasets.load_dataset(
            name, source.config or None, split=source.split, revision=source.revision or None
        )
    # The hub's library raises errors of many kinds for "not there" and "not reachable".
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise OlmesError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name, split "
            "and revision, or give a .jsonl file."
        ) from None
    return found
