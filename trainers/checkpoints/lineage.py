"""`lineage.json` in a checkpoint's folder: what it was trained from, oldest first.

A list of objects: `{"base": NAME}` first, then one `{"training": NAME, "step": N, ...}` a training,
each with whatever its recipe says of itself (`method`, `recipe`, `data`), and where its data were
compared with evaluations what they have in common with them (`overlap`, `olmes.records.overlap`).
`olmes.models.checkpoint.lineage` reads it when held-out tasks are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.checkpoint.lineage import LINEAGE_FILE, lineage
from olmes.models.hf.model import HFModel
from olmes.tools.jsonl import dumps, write_atomically
from olmes.types import JsonObject

LineageValue = str | int | float | bool | list[JsonObject] | None
Steps = list[dict[str, LineageValue]]


def origin_of(base: str) -> Steps:
    """What a model that is trained from descends from, itself last.

    Args:
        base: a hub id, or a folder whose own lineage is read.
    """
    folder = Path(base).expanduser()
    if folder.is_dir():
        earlier: Steps = lineage(HFModel(base, LocalCheckpoint(folder)))
        if earlier:
            return earlier if "training" in earlier[-1] else [*earlier, {"base": base}]
    return [{"base": base}] if base else []


def steps_of(
    base: str, training: str, step: int | None, about: Mapping[str, LineageValue] | None = None
) -> Steps:
    """The lineage of a checkpoint.

    Args:
        base: what the training began from; '' when it began from nothing.
        training: its name.
        step: optimizer steps, where they are known.
        about: what else its lineage says.
    """
    return [*origin_of(base), {"training": training, "step": step, **(about or {})}]


def write_lineage(folder: Path, steps: Steps) -> None:
    """Write a checkpoint's lineage."""
    write_atomically(folder / LINEAGE_FILE, dumps(steps) + "\n")


def add_lineage(folder: Path, steps: Steps) -> None:
    """Write a checkpoint's lineage, unless its trainer did."""
    if not (folder / LINEAGE_FILE).exists():
        write_lineage(folder, steps)


def base_of(model: Any) -> str:
    """The name or folder a trainer's model was loaded from; '' where it does not say."""
    adapters = getattr(model, "peft_config", None)
    for adapter in adapters.values() if isinstance(adapters, dict) else ():
        if name := getattr(adapter, "base_model_name_or_path", None):
            return str(name)
    return str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")
