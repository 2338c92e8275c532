"""What a model descends from, by its files: whose earlier looks count against it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from olmes.models.base import Model
from olmes.models.checkpoint.names import of_a_training
from olmes.models.checkpoint.places import AdaptedCheckpoint, HubCheckpoint
from olmes.tools.visible_text import encodable
from olmes.types import JsonObject

STEP = re.compile(
    r"(?:^|[-_./])(?:checkpoint|global_step|steps?|epoch|ckpt|iter)[-_]?(?P<step>\d+)(?![\d.])",
    re.IGNORECASE,
)
"""Where a branch of the hub names the step of its checkpoint."""
LINEAGE_FILE = "lineage.json"
"""Written into a checkpoint's folder by our trainers: what it was trained from, oldest first."""


def family(model: Model) -> str:
    """The name under which looks are counted.

    All checkpoints of one training are one family, named by the folder they are in (and what their
    names say besides the step), or by the repository whose branches they are; anything else is a
    family of its own. Bytes of a path that are not UTF-8 are escaped in it.
    """
    recorded = model.recorded.family if model.recorded else None
    return encodable(recorded or named_by_files(model))


def named_by_files(model: Model) -> str:
    """`family`, as the files' names are."""
    folder = checkpoint_folder(model)
    if folder is not None:
        path = folder.resolve()
        named = of_a_training(path.name)
        if named is None:
            return path.name
        return f"{path.parent.name}-{named.of}" if named.of else path.parent.name
    backend, _, name = re.sub(r"@https?://.*", "", model.name).partition(":")
    if (stored := hub_checkpoint(model)) is not None and stored.revision:
        return (name or model.name).replace(f"@{stored.revision}", "", 1)
    return Path(name).name if backend == "replay" else name or model.name


def lineage(model: Model) -> list[JsonObject]:
    """What a checkpoint comes from by its files, oldest first; empty where they do not say it."""
    if model.recorded:
        return list(model.recorded.lineage or ())
    folder = checkpoint_folder(model)
    return [] if folder is None else lineage_of(folder)


def lineage_of(folder: Path) -> list[JsonObject]:
    """As `lineage`, of a checkpoint's folder."""
    if isinstance(written := read_json(folder / LINEAGE_FILE), list):
        return [step for step in written if isinstance(step, dict)]
    steps: list[JsonObject] = []
    adapter = read_json(folder / "adapter_config.json")
    config = read_json(folder / "config.json")
    base = adapter.get("base_model_name_or_path") if isinstance(adapter, dict) else None
    if base is None and isinstance(config, dict):
        base = config.get("_name_or_path")
    if base:
        steps.append({"base": str(base)})
    state = read_json(folder / "trainer_state.json")
    if isinstance(state, dict) and "global_step" in state:
        steps.append({"training": folder.resolve().parent.name, "step": state["global_step"]})
    return steps


def training_step(model: Model) -> float | int | None:
    """The training step a checkpoint was written at, by its files, or its folder's or branch's name."""
    if model.recorded:
        return model.recorded.step
    if (stored := hub_checkpoint(model)) is not None:
        return step_of_revision(stored.revision)
    folder = checkpoint_folder(model)
    return None if folder is None else step_of(folder)


def step_of_revision(revision: str) -> int | None:
    """The training step that a branch of the hub is named after (`step_60`, `step1000-tokens5B`)."""
    named = STEP.search(revision)
    return int(named["step"]) if named else None


def step_of(folder: Path) -> int | None:
    """As `training_step`, of a checkpoint's folder."""
    for entry in reversed(lineage_of(folder)):
        if isinstance(step := entry.get("step"), int):
            return step
    named = of_a_training(folder.resolve().name)
    if named is None:
        return None
    return named.step if named.step is not None else named.epoch


def checkpoint_folder(model: Model) -> Path | None:
    """The local folder a model is read from; None for the hub, a server or a recording."""
    path = getattr(getattr(model, "checkpoint", None), "path", None)
    return path if isinstance(path, Path) else None


def hub_checkpoint(model: Model) -> HubCheckpoint | None:
    """The repository a model is read from, or its adapter is; None for what is here."""
    stored = getattr(model, "checkpoint", None)
    stored = stored.adapter if isinstance(stored, AdaptedCheckpoint) else stored
    return stored if isinstance(stored, HubCheckpoint) else None


def read_json(path: Path) -> Any:
    """A JSON file's content; None where there is none that can be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
