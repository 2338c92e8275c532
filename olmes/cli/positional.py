"""What a word of `olmes run` is that stands behind no option: a model, or the answer what to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from olmes.errors import OlmesError

MODEL = "MODEL"


def models_among(words: Sequence[str], *, targeted: bool) -> Sequence[str]:
    """The words, each of which names a model.

    A folder, a pattern, a hub id or `BACKEND:NAME` is one. A task or a suite is not, unless a folder
    has its name.

    Args:
        words: as typed.
        targeted: whether a suite or a task is named by its option.

    Raises:
        OlmesError: a word is a task or a suite, or like one where none is named.
    """
    for word in words:
        if not Path(word).expanduser().is_dir() and (said := not_a_model(word, targeted=targeted)):
            models = [one for one in words if one != word] or [MODEL]
            raise OlmesError(said.replace("MODELS", " ".join(f"--model {one}" for one in models)))
    return words


def not_a_model(word: str, *, targeted: bool) -> str:
    """Why a word is no model, with what to type; '' where it may be one."""
    from olmes.benchmark.registry import PAIR_FILES, TASK_FILES, suite_names, task_names
    from olmes.tools.near_names import near_names

    if word in suite_names() or (word.endswith(".toml") and Path(word).is_file()):
        return f"'{word}' is a suite; write: olmes run --suite {word} MODELS"
    if word.endswith(PAIR_FILES) and Path(word).is_file():
        return (
            f"'{word}' is a file; write --model replay:{word} for recorded responses, or --task {word} "
            "for preference pairs."
        )
    parts = word.split(",")
    named = [part for part in parts if part in task_names()]
    if named == parts or (word.endswith(TASK_FILES) and Path(word).is_file()):
        what = "is a task" if len(parts) == 1 else "are tasks"
        return f"'{word}' {what}; write: olmes run --task {word} MODELS"
    plain = not any(sign in word for sign in "/:@*?[")
    if not plain or targeted:
        return ""
    for kind, names in (("suite", suite_names()), ("task", task_names())):
        if near := near_names(word, names):
            return (
                f"'{word}' is not a folder here; did you mean the {kind} {near[0]}? "
                f"Write: olmes run --{kind} {near[0]} MODELS"
            )
    return ""
