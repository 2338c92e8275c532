"""`lineage.json` in a checkpoint's folder: what it was trained from, oldest first.

A list of objects: `{"base": NAME}` first, then one `{"training": NAME, "step": N, ...}` a training,
each with whatever its recipe says of itself (`method`, `recipe`, `data`), and where its data were
compared with evaluations what they have in common with them (`overlap`, `olmes.records.overlap`).
`olmes.models.checkpoint.lineage` reads it when held-out tasks are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from olmes.errors import OlmesError
from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.checkpoint.lineage import LINEAGE_FILE, lineage, lineage_of, step_of
from olmes.models.hf.model import HFModel
from olmes.records.overlap import KEY, Overlap
from olmes.tools.jsonl import dumps, write_atomically
from olmes.tools.places import writing
from olmes.trainers.checkpoints.folders import FINAL, checkpoints_in, holds_model
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


def add_overlap(folder: Path, found: Sequence[Overlap]) -> list[Path]:
    """Add to the lineage of a training's checkpoints what its data have in common with evaluations.

    What is said there of the same data set and the same items is replaced, all else is kept. Records
    of earlier runs stay as they are; later ones have it.

    Args:
        folder: of a training, with its checkpoints in it, or one checkpoint.
        found: one a data set and task.

    Returns:
        The files that were written; each whole or not at all.

    Raises:
        OlmesError: the folder has no checkpoint, or one cannot be written.
    """
    places = checkpoints_to_tell(folder)
    written = {place / LINEAGE_FILE: with_overlap(place, found) for place in places}
    with writing(folder, "have somebody who may do it"):
        for file, steps in written.items():
            write_atomically(file, dumps(steps) + "\n")
    return list(written)


def checkpoints_to_tell(folder: Path) -> list[Path]:
    """The folders of a training's checkpoints, its last state among them.

    Raises:
        OlmesError: there is none.
    """
    places = [one.folder for one in checkpoints_in(folder) if holds_model(one.folder)]
    last = folder.resolve() / FINAL
    if holds_model(last) and last not in places:
        places.append(last)
    if not places:
        raise OlmesError(
            f"{folder} holds no checkpoint of a training; give the folder that a training wrote into."
        )
    return places


def with_overlap(checkpoint: Path, found: Sequence[Overlap]) -> Steps:
    """A checkpoint's lineage with what the data of its last training have in common."""
    steps: Steps = [dict(step) for step in lineage_of(checkpoint)]
    if not steps or "training" not in steps[-1]:
        steps.append({"training": checkpoint.resolve().parent.name, "step": step_of(checkpoint)})
    own = steps[-1].get(KEY)
    replaced = {(one.data_hash, one.task, one.task_data_hash) for one in found}
    kept = [
        entry
        for entry in (own if isinstance(own, list) else ())
        if not isinstance(entry, Mapping)
        or (entry.get("data_hash"), entry.get("task"), entry.get("task_data_hash")) not in replaced
    ]
    steps[-1][KEY] = [*kept, *msgspec.to_builtins(list(found))]
    return steps


def base_of(model: Any) -> str:
    """The name or folder a trainer's model was loaded from; '' where it does not say."""
    adapters = getattr(model, "peft_config", None)
    for adapter in adapters.values() if isinstance(adapters, dict) else ():
        if name := getattr(adapter, "base_model_name_or_path", None):
            return str(name)
    return str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")
