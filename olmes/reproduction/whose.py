"""The model whose runs are held against a paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from olmes.comparison.model_scores import ModelScores, by_model
from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.reproduction.paper import plain


def model_among(records: Iterable[Record], name: str = "") -> tuple[ModelScores, str]:
    """The model whose runs some records are, and what must be said of that.

    Recorded responses are often one file a task, and each file is a model of its own: models that have
    no task in common are taken together.

    Args:
        records: of one model, or of several.
        name: which of them: its name, as it was written or as tables call it, or the beginning of its
            fingerprint.

    Raises:
        OlmesError: there is no such model, or several have a task in common and none is named.
    """
    models = by_model(records)
    if name:
        named = [one for one in models if called(one, name)]
        if not named:
            raise OlmesError(
                f"none of these runs is of {name}; they are of {names_of(models)}. "
                "Give --model one of them."
            )
        models = named
    if len(models) == 1:
        return models[0], ""
    tasks = [task for one in models for task in one.chosen()]
    if not name and len(set(tasks)) < len(tasks):
        raise OlmesError(
            f"these runs are of several models ({names_of(models)}); name one with --model."
        )
    together = ModelScores(
        name=name or names_of(models),
        fingerprint=models[0].fingerprint,
        written=name,
        dev=newest_first(record for one in models for record in one.dev),
        unseen=newest_first(record for one in models for record in one.unseen),
    )
    note = f"these runs are of {len(models)} models that are taken together: {names_of(models)}"
    return together, note


def called(model: ModelScores, name: str) -> bool:
    """Whether a model is the one of a name."""
    known = {plain(model.name), plain(model.written)}
    return plain(name) in known or (len(name) >= 8 and model.fingerprint.startswith(name))


def names_of(models: Sequence[ModelScores]) -> str:
    """The names of some models, each once."""
    return ", ".join(dict.fromkeys(model.name for model in models))


def newest_first(records: Iterable[Record]) -> list[Record]:
    """Records, the newest first."""
    return sorted(records, key=lambda record: record.run.created, reverse=True)
