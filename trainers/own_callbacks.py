"""Callbacks of a user's own in a training: `callbacks = ["mine.py:MyCallback"]`, or given in Python.

They run in the training's own process, with all it can do: as any code that a user names.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from olmes.benchmark.registry import module_from_file
from olmes.errors import OlmesError
from olmes.models.checkpoint.loading import first_line

EVENTS = tuple(name for name in dir(TrainerCallback) if name.startswith("on_"))


def load_callbacks(names: Sequence[str]) -> list[Any]:
    """The callbacks that a recipe names.

    Args:
        names: `FILE.py:NAME` or `MODULE:NAME`; NAME is a class, a function without arguments that
            gives a callback, or a callback.

    Raises:
        OlmesError: a file, module or name does not exist, raises, or is no callback of transformers.
    """
    return [load_callback(name) for name in names]


def load_callback(name: str) -> Any:
    """One callback; what it raises later names it.

    Raises:
        OlmesError: as `load_callbacks`.
    """
    place, colon, member = name.rpartition(":")
    if not colon or not place or not member:
        raise OlmesError(
            f"callbacks: '{name}' names no callback; write FILE.py:NAME or MODULE:NAME."
        )
    if place.endswith(".py") and not Path(place).is_file():
        raise OlmesError(f"callbacks: there is no file {place}; check the path.")
    try:
        module = (
            module_from_file(Path(place))
            if place.endswith(".py")
            else importlib.import_module(place)
        )
        found = getattr(module, member)
        made = found() if isinstance(found, type) or inspect.isroutine(found) else found
    except AttributeError as error:
        if getattr(error, "name", None) != member:
            raise failure(name, "cannot be made", error) from error
        raise OlmesError(f"callbacks: {place} has no '{member}'; check the name.") from None
    except OlmesError:
        raise
    except Exception as error:
        raise failure(name, "cannot be made", error) from error
    if not isinstance(made, TrainerCallback):
        raise OlmesError(
            f"callbacks: '{name}' is a {type(made).__name__} and no callback; derive it from "
            "transformers.TrainerCallback."
        )
    for event in EVENTS:
        setattr(made, event, naming(name, event, getattr(made, event)))
    return made


def naming(name: str, event: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose errors say whose they are."""

    @functools.wraps(method)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except OlmesError:
            raise
        except Exception as error:
            raise failure(name, f"failed in {event}", error) from error

    return called


def failure(name: str, what: str, error: Exception) -> OlmesError:
    """The sentence for an error in a user's callback, with the line of its own file."""
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    where = f" (line {frames[-1].lineno} of {frames[-1].filename})" if frames else ""
    return OlmesError(
        f"the callback '{name}' {what}: {type(error).__name__}: {first_line(error)}{where}; fix it."
    )
