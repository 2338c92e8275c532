"""Which folders are checkpoints, whether one is whole, and which files of it a model needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.hashing import content_hash
from olmes.models.fingerprint import ADAPTERS, TOKENIZERS, WEIGHTS, weight_files

from .weight_files import torn

FOLDER = re.compile(
    r"(?P<kind>checkpoint|global_step|step|epoch|ckpt)[-_]?(?P<number>\d+)$|final$", re.IGNORECASE
)
"""Folder names of one checkpoint among several of the same training."""
STATE = "trainer_state.json"
"""What a Hugging Face trainer writes last into a checkpoint."""
SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")
"""Configuration, tokenizer, chat template and the trainer's log, beside the weights."""
LARGE = 1 << 20
SHARDS = {
    "FSDP": ("pytorch_model_fsdp*", "*.distcp", ".metadata"),
    "DeepSpeed": ("global_step*", "*_model_states.pt", "zero_pp_rank_*", "mp_rank_*"),
}
REMEDIES = {
    "FSDP": "set fsdp_config's state_dict_type to FULL_STATE_DICT, or join the shards with "
    "`accelerate merge-weights`",
    "DeepSpeed": "set stage3_gather_16bit_weights_on_model_save, or join the shards with the "
    "checkpoint's own zero_to_fp32.py",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a folder cannot be scored."""

    reason: str
    lasting: bool = False
    """Waiting does not help: the folder is of a kind that cannot be scored."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that is named like a checkpoint; it need not be whole."""

    folder: Path
    step: int | None
    """Optimizer steps: what the trainer's state says, or else the name's number."""

    @property
    def label(self) -> str:
        """Its name among the checkpoints of the same training."""
        return self.folder.name


def checkpoints_in(place: Path) -> list[Checkpoint]:
    """The folders in `place` that are named like checkpoints, and `place` itself when it holds a
    model, in the order of their steps.
    """  # noqa: D205 (one sentence)
    try:
        found = [path for path in place.iterdir() if FOLDER.match(path.name) and path.is_dir()]
    except OSError:
        return []
    if any((place / name).is_file() for name in ("config.json", ADAPTERS[0])):
        found.append(place)
    named = [checkpoint_at(path) for path in found]
    return sorted(named, key=lambda one: (one.step is None, one.step or 0, one.label))


def checkpoint_at(folder: Path) -> Checkpoint:
    """The checkpoint a folder is."""
    folder = folder.resolve()
    step = state_of(folder).get("global_step")
    if not isinstance(step, int):
        match = FOLDER.match(folder.name)
        named = match is not None and match["kind"] and match["kind"].lower() != "epoch"
        step = int(match["number"]) if match and named else None
    return Checkpoint(folder, step)


def state_of(folder: Path) -> dict[str, Any]:
    """The state a Hugging Face trainer wrote; empty where there is none that can be read."""
    try:
        value = json.loads((folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def last_complete(output_dir: str | Path) -> Path | None:
    """The newest whole checkpoint, to go on from: `train(resume_from_checkpoint=...)`.

    `resume_from_checkpoint=True` takes the newest folder, which a trainer that was killed while it
    saved left half written.
    """
    for one in reversed(checkpoints_in(Path(output_dir))):
        if (
            "global_step" in state_of(one.folder)
            and one.folder.parent == Path(output_dir).resolve()
        ):
            found = trouble_of(one.folder, tokenizer=False)
            if found is None:
                return one.folder
    return None


def trouble_of(folder: Path, *, tokenizer: bool = True, in_order: bool = False) -> Trouble | None:
    """Why a folder is not a whole checkpoint; None where it is one.

    Args:
        folder: what may be a checkpoint.
        tokenizer: whether it must bring its tokenizer along.
        in_order: whether the trainer's state must be the youngest file, as a trainer leaves it; so
            a save over an older one that was cut short is seen. A copy need not keep that order.
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
            if reason := torn(file):
                return Trouble(f"{file.name} is cut short ({reason})")
        for file in sorted(folder.glob("*.json")):
            if not whole_json(file):
                return Trouble(f"{file.name} is cut short")
        if tokenizer and not adapter and not has_tokenizer(folder):
            return Trouble(
                "it has no tokenizer; give the trainer processing_class=TOKENIZER, or say here "
                "which to use (tokenizer=, --tokenizer)"
            )
        return state_trouble(folder, weights, in_order=in_order)
    except OSError as error:  # a folder that is being removed
        return Trouble(str(error))


def state_trouble(folder: Path, weights: list[Path], *, in_order: bool) -> Trouble | None:
    """Whether a Hugging Face trainer came to the end of its save."""
    if not folder.name.lower().startswith("checkpoint"):
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
    """Says so where a folder holds the shards of a trainer instead of a model's weights."""
    for kind, patterns in SHARDS.items():
        if any(next(folder.glob(pattern), None) is not None for pattern in patterns):
            return Trouble(
                f"it holds {kind} shards and no model weights; {REMEDIES[kind]}", lasting=True
            )
    return None


def adapter_weights(folder: Path) -> list[Path]:
    """The weights of an adapter, the file peft takes first."""
    return [folder / name for name in ADAPTERS[1:] if (folder / name).is_file()][:1]


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder brings a tokenizer along."""
    return any((folder / name).is_file() for name in TOKENIZERS)


def whole_json(file: Path) -> bool:
    """Whether a JSON file was written to its end; large ones are judged by their last byte."""
    if file.stat().st_size > LARGE:
        with file.open("rb") as stream:
            stream.seek(-64, 2)
            return stream.read().rstrip().endswith((b"}", b"]"))
    try:
        json.loads(file.read_text("utf-8"))
    except ValueError:
        return False
    return True


def model_files(folder: Path) -> Iterator[Path]:
    """The files a model is made of: weights, configuration, tokenizer, adapter, the trainer's log.

    Not the state of optimizer, scheduler and random numbers, which is twice as large as the model.

    Raises:
        OlmesError: there are no weights, or a shard is missing.
    """
    adapter = (folder / ADAPTERS[0]).is_file()
    yield from adapter_weights(folder) if adapter else weight_files(folder)
    for pattern in SETTINGS:
        for file in sorted(folder.glob(pattern)):
            unused = file.name.endswith(".index.json") and file.name not in WEIGHTS
            if file.is_file() and not unused:
                yield file


def signature(folder: Path) -> str:
    """16 hex digits that change when weights or configuration are written again.

    Sizes and times alone, which a hard link shares with its file: hashing the weights would hold the
    training up.

    Raises:
        OlmesError: as `model_files`.
        OSError: the folder is gone.
    """
    adapter = (folder / ADAPTERS[0]).is_file()
    files = adapter_weights(folder) if adapter else weight_files(folder)
    files += [folder / name for name in ("config.json", ADAPTERS[0]) if (folder / name).is_file()]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return content_hash(sorted(facts))[:16]
