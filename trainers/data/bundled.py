"""The data sets that come with the trainers."""

from __future__ import annotations

from pathlib import Path

from olmes.rows.sources import Source, find_source
from olmes.trainers.recipes.tables import DataSource


def bundled_data() -> dict[str, Path]:
    """The files of trainers/data by name."""
    return {path.stem: path for path in Path(__file__).parent.glob("*.jsonl")}


def recipe_source(name: str, wanted: DataSource) -> Source:
    """The source that a recipe names.

    Raises:
        OlmesError: there is none.
    """
    return find_source(name, wanted, bundled_data())
