"""Which row of which source a row of a mixture is: looked up for a message alone."""

from __future__ import annotations

from olmes.errors import OlmesError
from olmes.rows.preferences import Row
from olmes.trainers.data.bundled import recipe_source
from olmes.trainers.data.published_rlvr import NotExpressibleError
from olmes.trainers.data.training_rows import rlvr_row
from olmes.trainers.recipes.stages import Recipe


def where_is(recipe: Recipe, row: Row) -> str:
    """`FILE, row N` (or `DATA SET, row N`), counted from 1, of an RLVR row; '' when it is not found."""
    wanted = (list(row.get("prompt", ())), row["verifiers"])
    for name, wanted_of in recipe.data.items():
        source = recipe_source(name, wanted_of)
        for piece in source.pieces():
            for number, given, _ in source.read(piece):
                try:
                    made = rlvr_row(given, source.folder)
                except (OlmesError, NotExpressibleError):
                    continue
                if (made["prompt"], made["verifiers"]) == wanted:
                    return f"{source.name}, row {number}"
    return ""
