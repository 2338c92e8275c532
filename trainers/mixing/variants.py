"""The full mixture and its ablations as recipes of the same number of rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from olmes.comparison.ablations import Variant
from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.trainers.recipes.stages import Recipe

ABLATIONS = ("leave_one_out", "double_one")


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """A variant, and what is trained for it."""

    variant: Variant
    recipe: Recipe
    """With the first seed; data by count."""

    @property
    def folder(self) -> str:
        """The beginning of its folders' names."""
        kind = {"full": "full", "leave_one_out": "without", "double_one": "double"}
        if not self.variant.source:
            return kind[self.variant.kind]
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.variant.source).strip("-.")
        # Sources whose names differ in other letters alone.
        told = (
            plain
            if plain == self.variant.source
            else f"{plain}-{content_hash(self.variant.source)[:6]}"
        )
        return f"{kind[self.variant.kind]}-{told}"

    def seeded(self, number: int) -> Recipe:
        """The recipe of one of its trainings, counted from 0, with an order and a draw of its own."""
        data = {
            name: dataclasses.replace(source, seed=source.seed + number)
            for name, source in self.recipe.data.items()
        }
        return dataclasses.replace(self.recipe, data=data, seed=self.recipe.seed + number)


def variants_of(
    recipe: Recipe, sources: Mapping[str, str], ablations: Sequence[str], where: str
) -> list[Mixed]:
    """The full mixture, then each source left out, then each doubled, as far as they are asked for.

    Every one has the recipe's `rows`, and so as many updates: what is left out is filled up by the
    others, and what is doubled makes room, each in proportion to the weights.

    Args:
        recipe: of the full mixture; all data by weight.
        sources: what each is called, by its name in the data.
        ablations: of `ABLATIONS`.
        where: the file, for messages.

    Raises:
        OlmesError: there are so few rows that a source has none in some variant.
    """
    weights = {name: source.weight or 0.0 for name, source in recipe.data.items()}
    made = [("full", "", "full mix", weights)]
    if "leave_one_out" in ablations:
        made += [
            (
                "leave_one_out",
                called,
                f"without {called}",
                {k: v for k, v in weights.items() if k != name},
            )
            for name, called in sources.items()
        ]
    if "double_one" in ablations:
        made += [
            ("double_one", called, f"{called} doubled", {**weights, name: 2 * weights[name]})
            for name, called in sources.items()
        ]
    found = []
    for kind, source, name, own in made:
        rows = apportioned(own, recipe.rows or 0)
        if empty := [sources[key] for key, count in rows.items() if not count]:
            raise OlmesError(
                f"{where}: with {recipe.rows} rows {', '.join(empty)} would have none in the mixture "
                f"'{name}'; give more `rows`, or more weight."
            )
        data = {
            key: dataclasses.replace(recipe.data[key], weight=None, count=count)
            for key, count in rows.items()
        }
        shown = {sources[key]: count for key, count in rows.items()}
        found.append(
            Mixed(
                variant=Variant(name=name, kind=kind, source=source, rows=shown),  # type: ignore[arg-type]
                recipe=dataclasses.replace(recipe, data=data, rows=None),
            )
        )
    return found


def apportioned(weights: Mapping[str, float], rows: int) -> dict[str, int]:
    """Whole rows in proportion to weights that add up to exactly `rows` (largest remainders)."""
    total = sum(weights.values())
    exact = {name: rows * weight / total for name, weight in weights.items()}
    found = {name: int(share) for name, share in exact.items()}
    left = rows - sum(found.values())
    for name in sorted(exact, key=lambda name: found[name] - exact[name])[:left]:
        found[name] += 1
    return found
