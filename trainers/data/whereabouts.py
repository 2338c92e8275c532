"""Which row of which source a row of a mixture is: looked up for a message alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from olmes.errors import OlmesError
from olmes.tools import jsonl
from olmes.trainers.data.mixture import hub_rows, local_file
from olmes.trainers.data.published_rlvr import NotExpressibleError
from olmes.trainers.data.training_rows import Row, rlvr_row
from olmes.trainers.recipes.stages import Recipe


def where_is(recipe: Recipe, row: Row) -> str:
    """`FILE, row N` (or `DATA SET, row N`), counted from 1, of an RLVR row; '' when it is not found."""
    wanted = (list(row.get("prompt", ())), row["verifiers"])
    for name, source in recipe.data.items():
        file = local_file(name)
        numbered: Iterable[tuple[int, Any]] = (
            enumerate(hub_rows(name, source), start=1)
            if file is None
            else jsonl.read_numbered(file)
        )
        for number, given in numbered:
            try:
                made = rlvr_row(given, file.parent if file else None)
            except (OlmesError, NotExpressibleError):
                continue
            if (made["prompt"], made["verifiers"]) == wanted:
                return f"{file or name}, row {number}"
    return ""
