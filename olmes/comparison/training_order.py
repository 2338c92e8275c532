"""In which order models were trained, and which of them the others are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from olmes.comparison.model_scores import ModelScores
from olmes.errors import OlmesError

SHORTEST = 8
"""Hex digits that name a fingerprint."""


@dataclass(frozen=True, slots=True)
class Base:
    """The model that the others are held against."""

    index: int
    why: str
    """Why it is this one, in words."""


def base_among(models: Sequence[ModelScores], named: str | None = None) -> Base:
    """The model that the others are held against.

    Args:
        models: in the order in which they were given.
        named: a run, or a model by its name or fingerprint; by default the one that others came from,
            else the earliest checkpoint of the first one's training, else the first.

    Raises:
        OlmesError: no model is named so, or several are.
    """
    if named is not None:
        found = [at for at, model in enumerate(models) if is_called(model, named)]
        if len(found) != 1:
            said = "none" if not found else f"{len(found)}"
            raise OlmesError(
                f"{said} of the models is the base {named!r}; give the name of a run, or of one of "
                f"{', '.join(model.name for model in models)}."
            )
        return Base(found[0], "named with --base")
    parents = [
        at for at, model in enumerate(models) if any(other.came_from(model) for other in models)
    ]
    if parents:
        first = next(
            (at for at in parents if not any(models[at].came_from(one) for one in models)),
            parents[0],
        )
        return Base(first, "the others' lineage names it")
    family = models[0].family
    steps = {
        at: model.step
        for at, model in enumerate(models)
        if family and model.family == family and model.step is not None
    }
    if len(steps) > 1:
        earliest = min(steps, key=lambda at: steps[at] or 0.0)
        return Base(earliest, f"the earliest checkpoint of {family}")
    return Base(0, "the first that was given")


def is_called(model: ModelScores, name: str) -> bool:
    """Whether a name is a model's, its fingerprint's beginning, or one of its runs'."""
    short = len(name) >= SHORTEST and model.fingerprint.startswith(name)
    runs = {record.id for record in model.records} | {
        str(record.folder) for record in model.records
    }
    return short or name in (model.name, model.written) or name.rstrip("/") in runs


def of_one_training(models: Sequence[ModelScores]) -> list[float] | None:
    """The steps of models that are one training's checkpoints; None where they are not.

    The model that all of them came from counts as step 0.
    """
    steps: list[float] = []
    families = {model.family for model in models if model.step is not None}
    if len(families) != 1 or None in families:
        return None
    checkpoints = [model for model in models if model.step is not None]
    for model in models:
        if model.step is not None:
            steps.append(model.step)
        elif all(checkpoint.came_from(model) for checkpoint in checkpoints):
            steps.append(0.0)
        else:
            return None
    return steps if len(set(steps)) == len(steps) else None


def follow_one_another(models: Sequence[ModelScores]) -> bool:
    """Whether two of the models are checkpoints of one training."""
    families = Counter(model.family for model in models if model.family and model.step is not None)
    return any(count > 1 for count in families.values())


def trained(base: ModelScores, model: ModelScores) -> bool:
    """Whether a model is known to have come from another: by its lineage, or as a later checkpoint."""
    if model.came_from(base):
        return True
    same = base.family is not None and base.family == model.family
    return same and base.step is not None and model.step is not None and base.step < model.step
