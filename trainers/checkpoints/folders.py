"""Which folders are checkpoints, in which order, and which files of one a model needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from olmes.models.checkpoint.completeness import adapter_weights, state_of, trouble_of
from olmes.models.checkpoint.fingerprint import ADAPTERS, WEIGHTS, weight_files
from olmes.models.checkpoint.names import read_name
from olmes.tools.hashing import content_hash

FINAL = "final"
"""The folder of a training's last state, a plain checkpoint."""
SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")
"""Configuration, tokenizer, chat template and the trainer's log: what is kept with the weights."""


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """A folder that is named like a checkpoint; it need not be complete."""

    folder: Path
    """Where the model is, or would be: some trainers put it into a folder within."""
    step: int | None
    """Optimizer steps: what the trainer's state says, or else the name's number."""
    epoch: int | None = None
    """Where the name has an epoch and no step."""
    named: str = ""
    """Its label, where that is not the folder's own name."""
    place: Path | None = None
    """The folder that has the name, where the model is in one within."""
    tokenizer: Path | None = None
    """The folder of its tokenizer, where that is another one."""

    @property
    def label(self) -> str:
        """Its name among the checkpoints of the same training."""
        return self.named or self.folder.name

    @property
    def order(self) -> tuple[bool, int, bool, int, str]:
        """Sorts by step, then epoch, then name; what has no number comes last."""
        return (
            self.step is None, self.step or 0, self.epoch is None, self.epoch or 0, self.label,
        )  # fmt: skip


def checkpoints_in(folder: Path) -> list[CheckpointFolder]:
    """The checkpoints of a training that writes into `folder`: those directly in it, and itself when
    it holds a model, in the order of their steps.
    """  # noqa: D205 (one sentence)
    try:
        found = [path for path in folder.iterdir() if is_plain(path.name) and path.is_dir()]
    except OSError:
        return []
    if holds_model(folder):
        found.append(folder)
    return sorted(map(checkpoint_at, found), key=lambda one: one.order)


def is_plain(name: str) -> bool:
    """Whether a folder is named as a trainer names its checkpoints, with nothing added."""
    found = read_name(name)
    return found is not None and found.plain


def holds_model(folder: Path) -> bool:
    """Whether a folder has the configuration of a model or an adapter."""
    return any((folder / name).is_file() for name in ("config.json", ADAPTERS[0]))


def checkpoint_at(folder: Path) -> CheckpointFolder:
    """The checkpoint a folder is."""
    folder = folder.resolve()
    name = read_name(folder.name)
    step = state_of(folder).get("global_step")
    if not isinstance(step, int):
        step = name.step if name else None
    return CheckpointFolder(folder, step, name.epoch if name and step is None else None)


def last_complete(
    output_dir: str | Path, accept: Callable[[Path], bool] = lambda _: True
) -> Path | None:
    """The newest complete checkpoint, to resume from: `train(resume_from_checkpoint=...)`.

    `resume_from_checkpoint=True` takes the newest folder, which a trainer that was killed while it
    saved left incomplete.

    Args:
        output_dir: where checkpoints lie.
        accept: what else one must pass.
    """
    for one in reversed(checkpoints_in(Path(output_dir))):
        if (
            "global_step" in state_of(one.folder)
            and one.folder.parent == Path(output_dir).resolve()
        ):
            found = trouble_of(one.folder, tokenizer=False)
            if found is None and accept(one.folder):
                return one.folder
    return None


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
