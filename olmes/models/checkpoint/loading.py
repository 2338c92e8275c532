"""What transformers says when it refuses a checkpoint's files, as one sentence with its remedy."""

from __future__ import annotations

import contextlib
import functools
import pickle
import re
from collections.abc import Iterator
from importlib import metadata

from olmes.errors import OlmesError

version = functools.cache(metadata.version)

CUSTOM_CODE = (
    "'{name}' needs code that lies in its own folder ({what}), which is not run unless you say so; "
    "read it, and add --trust-remote-code."
)
INSTALL = re.compile(r"(?:uv )?pip3? install [^`'\"\n]*[^`'\"\n\s.]")
"""The command in an error that says which library is missing."""


def first_line(error: Exception) -> str:
    """An exception's message, fit for the inside of a sentence."""
    return (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and advice off the screen; its errors still come through."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def loading(what: str, name: str) -> Iterator[None]:
    """Quiet loading, in which a failure of the files becomes one sentence.

    Raises:
        OlmesError: transformers refuses the files.
    """
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        with quiet():
            yield
    # What transformers raises for bad or unknown files; anything else is a fault and shows as one.
    except (
        OSError, ValueError, KeyError, ImportError, SafetensorError, StrictDataclassError,
        pickle.UnpicklingError,
    ) as error:  # fmt: skip
        raise OlmesError(refusal(what, name, error)) from error


def refusal(what: str, name: str, error: Exception) -> str:
    """The sentence for an error of transformers, by what can be done about it."""
    text, line = str(error), first_line(error)
    cannot = f"the {what} of '{name}' cannot be loaded"
    if "trust_remote_code" in text:
        return CUSTOM_CODE.format(name=name, what=what)
    if isinstance(error, ImportError):
        return cannot + missing_library(text)
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in text:
        return (
            f"{cannot}: its .bin file holds other objects than tensors, which are not unpacked, for "
            "they could run code; save the model as safetensors."
        )
    if re.search(r"model type `?.*not recognize|Unrecognized model", text):
        return f"{cannot} by transformers ({line}); {upgrade()}."
    if "Unknown quantization type" in text:
        return f"{cannot}: they are quantized in a way that is unknown ({line}); {upgrade()}."
    if "Unrecognized configuration class" in text:
        return f"{cannot}: '{name}' is not a causal language model; choose one that is."
    return (
        f"{cannot} by transformers ({line}); check that the folder is a complete checkpoint of a "
        "causal language model."
    )


def missing_library(text: str) -> str:
    """The end of a sentence on a library that an error names, with the command that installs it."""
    said = " ".join(line.strip() for line in text.strip().splitlines() if line.strip(" `"))
    command = INSTALL.search(text)
    reason = re.split(r"(?<=\w)[.:;,]? (?:You can|Please|Try|with:|: `?pip)", said)[0].rstrip(".:")
    if command is None:
        return f": {said[:300].rstrip('.')}; install what it names, and run again."
    reason = reason.partition(command[0])[0].rstrip(" `.:,;(") or "a library is missing"
    return f": {reason[:300]}; run '{command[0].strip()}', and then this again."


def upgrade() -> str:
    """What helps where a model is newer than the installed transformers."""
    return (
        f"transformers {version('transformers')} does not know it: upgrade it "
        "(pip install -U transformers)"
    )
