"""Whether a checkpoint's folder is complete: checked by its files, before any of them is loaded."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.models.checkpoint.fingerprint import ADAPTERS, TOKENIZERS, weight_files
from olmes.models.checkpoint.trainer_formats import format_of
from olmes.models.checkpoint.weight_files import incomplete_reason
from olmes.types import JsonObject

STATE = "trainer_state.json"
"""What a Hugging Face trainer writes last into a checkpoint."""
LARGE = 1 << 20


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a folder cannot be scored."""

    reason: str
    lasting: bool = False
    """Waiting does not help: the folder is of a kind that cannot be scored."""


def state_of(folder: Path) -> JsonObject:
    """The state a Hugging Face trainer wrote; empty where there is none that can be read."""
    try:
        value = json.loads((folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def trouble_of(
    folder: Path, *, tokenizer: bool = True, in_order: bool = False, state: bool = True
) -> Trouble | None:
    """Why a folder is not a complete checkpoint; None where it is one.

    Args:
        folder: what may be a checkpoint.
        tokenizer: whether it must have its tokenizer.
        in_order: whether the trainer's state must be the youngest file, as a trainer leaves it; so
            a save over an older one that was cut short is noticed. A copy may have another order.
        state: whether a folder that is named as a Hugging Face trainer names them must have its state,
            which it writes last.
    """
    try:
        adapter = (folder / ADAPTERS[0]).is_file()
        if not adapter and not (folder / "config.json").is_file():
            return sharded(folder) or Trouble("it has no config.json")
        weights = adapter_weights(folder) if adapter else weight_files(folder)
    except (OSError, OlmesError) as error:
        return sharded(folder) or Trouble(str(error))
    if not weights:
        return Trouble("it has no adapter_model.safetensors")
    try:
        for file in weights:
            if reason := incomplete_reason(file):
                return Trouble(f"{file.name} is cut short ({reason})")
        for file in sorted(folder.glob("*.json")):
            if not complete_json(file):
                return Trouble(f"{file.name} is cut short")
        if tokenizer and not adapter and not has_tokenizer(folder):
            return Trouble(
                "it has no tokenizer; save it there (a trainer: processing_class=TOKENIZER), or "
                "name one for `olmes watch` (--tokenizer) or the hook (tokenizer=)"
            )
        return state_trouble(folder, weights, in_order=in_order) if state else None
    except OSError as error:  # a folder that is being removed
        return Trouble(str(error))


def state_trouble(folder: Path, weights: list[Path], *, in_order: bool) -> Trouble | None:
    """Whether a Hugging Face trainer finished its save."""
    if not re.fullmatch(r"checkpoint-\d+", folder.name.lower()):
        return None
    if "global_step" not in state_of(folder):
        return Trouble(
            f"it has no {STATE}, which a Hugging Face trainer writes last, so the save was cut "
            "short; where another program wrote it, name it step_N"
        )
    youngest = max(file.stat().st_mtime_ns for file in weights)
    if in_order and (folder / STATE).stat().st_mtime_ns < youngest:
        return Trouble(f"its weights are younger than its {STATE}: a second save was cut short")
    return None


def sharded(folder: Path) -> Trouble | None:
    """The trouble of a folder that has what a trainer resumes from instead of a model's weights."""
    found = format_of(folder)
    if found is None:
        return None
    path = shlex.quote(str(folder))
    remedy = found.remedy.replace("CHECKPOINT", path)
    return Trouble(f"it has {found.name} and no model weights; {remedy}", lasting=True)


def adapter_weights(folder: Path) -> list[Path]:
    """The weights of an adapter, the file peft takes first."""
    return [folder / name for name in ADAPTERS[1:] if (folder / name).is_file()][:1]


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer."""
    return any((folder / name).is_file() for name in TOKENIZERS)


def complete_json(file: Path) -> bool:
    """Whether a JSON file was written to its end; large ones are checked by their last byte."""
    if file.stat().st_size > LARGE:
        with file.open("rb") as stream:
            stream.seek(-64, 2)
            return stream.read().rstrip().endswith((b"}", b"]"))
    try:
        json.loads(file.read_text("utf-8"))
    except ValueError:
        return False
    return True
