"""The checkpoints in a folder, whichever library wrote them: where each one's model is, and what is
passed over.

A library may nest a model (`global_step_5/actor/huggingface`, `step_5/policy/weights/model/...`),
write one step in two forms, or keep several trainings side by side.
"""  # noqa: D205 (one sentence)

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from olmes.models.checkpoint.completeness import has_tokenizer, state_of, trouble_of
from olmes.models.checkpoint.fingerprint import ADAPTERS, WEIGHTS
from olmes.models.checkpoint.names import CheckpointName, bare_number, read_name, words_of
from olmes.models.checkpoint.trainer_formats import format_of
from olmes.trainers.checkpoints.folders import CheckpointFolder, holds_model

NESTED = 2
"""Folders between the one that is searched and a checkpoint."""
WITHIN = 4
"""Folders between a checkpoint and its model."""
MANY = 400
"""A folder with more folders than that is no list of checkpoints, and is not searched."""
OTHER_MODELS = frozenset((
    "critic", "optim", "optimizer", "ref", "reference", "reward", "reward_model", "rm", "teacher",
    "value", "value_model",
))  # fmt: skip
"""Folders of a checkpoint, or beside it, with models that are not the policy."""
TRANSIENT = frozenset(("broadcast", "broadcasts", "rollout", "rollouts"))
"""Folders of what a training hands to its own generators."""
OURS = ("run.json", "ledger.jsonl", "queue.sqlite")
"""What a record, a store, or a queue of ours has."""
FILES = frozenset((".ckpt", ".pt", ".pth", ".bin", ".gguf", ".nemo", ".safetensors", ".tar"))


@dataclass(slots=True)
class Found:
    """What a search came to."""

    checkpoints: list[CheckpointFolder] = field(default_factory=list)
    """In the order of their steps."""
    passed_over: list[str] = field(default_factory=list)
    """Names of folders and files that are none, as their names tell no step."""
    models: list[str] = field(default_factory=list)
    """Those of them that hold a model."""
    twice: list[str] = field(default_factory=list)
    """A sentence on each step that is there twice."""
    trainings: list[str] = field(default_factory=list)
    """Names of the trainings, where the folder holds several."""


@dataclass(frozen=True, slots=True)
class Named:
    """A folder that is named like a checkpoint."""

    place: Path
    name: CheckpointName
    training: str
    """What the names of the folder and of those above it say besides the step."""
    label: str


def checkpoints_within(folder: Path, *, store: Path | None = None) -> Found:
    """The checkpoints of a folder, at most `NESTED` folders down.

    Args:
        folder: of a training, or of several.
        store: where records are written, which may lie in it.
    """
    folder = folder.resolve()
    found = Found()
    named = [one for place in within(folder, store, found) for one in expanded(place)]
    if holds_model(folder):
        # The training's last state, or the only model: it has no number among the others.
        read = read_name(folder.name) or CheckpointName(None, None, "", True)
        named.append(Named(folder, read, "", folder.name))
    elif not named and (name := numbered(folder)) and holds_anything(folder):
        named.append(Named(folder, name, "", folder.name))
        found.passed_over, found.models = [], []
    forms: dict[object, list[tuple[Named, CheckpointFolder]]] = {}
    for one in named:
        checkpoint = located(one)
        if checkpoint.step is None and checkpoint.epoch is None:
            key: object = one.label
        else:
            key = one.training, checkpoint.step, checkpoint.epoch
        forms.setdefault(key, []).append((one, checkpoint))
    for same in forms.values():
        if len(same) > 1:
            same.sort(key=lambda pair: rank(*pair))
        found.checkpoints.append(same[0][1])
        chosen = same[0][1]
        found.twice += [
            f"{other.label} is step {other.step} again: {chosen.label} is scored"
            if other.step is not None
            else f"{other.label} is epoch {other.epoch} again: {chosen.label} is scored"
            for _, other in same[1:]
            if has_weights(other.folder)
        ]
    found.checkpoints.sort(key=lambda one: one.order)
    found.trainings = sorted({one.training for one in named if one.place != folder})
    return found


def within(folder: Path, store: Path | None, found: Found) -> Iterator[Named]:
    """The folders below that are named like checkpoints; notes what is passed over."""
    seen: set[Path] = set()
    left = [(folder, "", 0)]
    for place, parents, depth in left:
        for path in entries(place):
            if path.is_file():
                if depth == 0 and path.suffix.lower() in FILES:
                    found.passed_over.append(path.name)
                continue
            target = path.resolve()
            if target in seen or is_ours(path, store):
                continue
            seen.add(target)
            name = numbered(path)
            training = "-".join(filter(None, (parents, name.of if name else "")))
            if name and ((not depth and not name.of) or holds_anything(path)):
                label = "-".join(filter(None, (parents, path.name)))
                yield Named(path, name, training, label)
                continue
            if depth == 0:
                found.passed_over.append(path.name)
            if holds_model(path):
                if depth:
                    found.passed_over.append(str(path.relative_to(folder)))
                found.models.append(str(path.relative_to(folder)))
            elif depth < NESTED and path.name.lower().strip("_") not in OTHER_MODELS | TRANSIENT:
                left.append(
                    (path, "-".join(filter(None, (parents, words_of(path.name)))), depth + 1)
                )


def entries(folder: Path) -> list[Path]:
    """What is in a folder, links last, without what is hidden or nobody may read.

    Nothing of one that has very much, or is gone.
    """
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
    if len(found) > 10 * MANY:
        return []
    open_ones = (path for path in found if os.access(path, os.R_OK))
    return sorted(open_ones, key=lambda path: (path.is_symlink(), path.name))


def numbered(path: Path) -> CheckpointName | None:
    """What a folder's name tells; a bare number counts where something of a model is in it."""
    bare = bare_number(path.name)
    return bare if bare and holds_anything(path) else read_name(path.name)


def holds_anything(path: Path) -> bool:
    """Whether a folder has a model, or what a trainer writes instead."""
    return model_within(path) is not None or format_of(path) is not None


def is_ours(path: Path, store: Path | None) -> bool:
    """Whether a folder is of our own records."""
    if store is not None and path.resolve() == store.resolve():
        return True
    return any((path / name).exists() for name in OURS)


def expanded(one: Named) -> Iterator[Named]:
    """The steps of a folder that is named after an epoch and holds them; else the folder itself."""
    inner = []
    if not holds_model(one.place):
        for path in folders(one.place):
            name = read_name(path.name)
            if name and name.step is not None and name.plain and model_within(path):
                inner.append(Named(path, name, one.training, f"{one.label}-{path.name}"))
    yield from inner if one.name.step is None and inner else [one]


def located(one: Named) -> CheckpointFolder:
    """The checkpoint that a folder is, with the place of its model and of its tokenizer."""
    model = model_within(one.place) or one.place
    step = state_of(model).get("global_step")
    if not isinstance(step, int):
        step = one.name.step
    tokenizer = None
    if model != one.place and not has_tokenizer(model):
        tokenizer = next(filter(has_tokenizer, nearby(model, one.place)), None)
    return CheckpointFolder(
        model,
        step,
        epoch=one.name.epoch if step is None else None,
        named=one.label,
        place=one.place,
        tokenizer=tokenizer,
    )


def model_within(folder: Path) -> Path | None:
    """The policy's model in a checkpoint: the folder itself, or the nearest one within.

    One with weights goes before one whose weights are not there, or not yet.
    """
    without = None
    for place in (folder, *below(folder)):
        if holds_model(place):
            if has_weights(place):
                return place
            without = without or place
    return without


def nearby(model: Path, place: Path) -> Iterator[Path]:
    """Where the tokenizer of a nested model may be: above it, or beside it."""
    for parent in model.parents:
        if place == parent or place in parent.parents:
            yield parent
    yield from below(place)


def below(folder: Path) -> Iterator[Path]:
    """The folders of a checkpoint, the nearest first, without those of other models."""
    left = [(folder, 0)]
    for place, depth in left:
        for path in folders(place):
            if path.name.lower().strip("_") not in OTHER_MODELS:
                yield path
                if depth + 1 < WITHIN:
                    left.append((path, depth + 1))


def folders(folder: Path) -> list[Path]:
    """The folders in a folder."""
    found = [path for path in entries(folder) if path.is_dir()]
    return found if len(found) <= MANY else []


def has_weights(folder: Path) -> bool:
    """Whether a model's folder has weights, whole or not."""
    return any((folder / name).is_file() for name in (*WEIGHTS, *ADAPTERS[1:]))


def rank(one: Named, checkpoint: CheckpointFolder) -> tuple[bool, bool, bool, int, str]:
    """Which of several folders of one step is scored: the lowest.

    What can be scored goes first, then what the trainer itself wrote, so that a merged copy that
    comes later does not make the step be scored again.
    """
    whole = trouble_of(checkpoint.folder, tokenizer=False) is None
    return (
        not whole, not has_weights(checkpoint.folder), not one.name.plain, len(one.place.parts),
        one.label,
    )  # fmt: skip
