"""The model a training starts from: its folder, its tokenizer, its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from olmes.errors import OlmesError


def model_folder(name: str) -> Path:
    """The local folder of a model, fetched or converted if need be.

    Raises:
        OlmesError: there is no such model, or it is neither a local nor a hub checkpoint.
    """
    from olmes.models.checkpoint.places import find_checkpoint
    from olmes.models.spec import EMBEDDED, parse_spec

    spec = parse_spec(name)
    if spec.text == EMBEDDED:
        from olmes.models.checkpoint.smollm2 import embedded_folder

        return embedded_folder()
    if spec.backend != "hf":
        raise OlmesError(f"'{name}' cannot be trained; give a hub id, a local folder, or smollm2.")
    return find_checkpoint(spec.target).folder(weights=True).expanduser().resolve()


def load_tokenizer(name: str, folder: Path) -> Any:
    """The tokenizer; one without a padding token pads with its end of sequence.

    Raises:
        OlmesError: it cannot be loaded, or is not a fast one, which gives offsets of characters.
    """
    from olmes.models.checkpoint.folder import load_tokenizer as load

    tokenizer: Any = load(name, folder)
    if not tokenizer.is_fast:
        raise OlmesError(
            f"the tokenizer of '{name}' is not a fast one, from which labels cannot be made; "
            "convert it (tokenizer.json) with transformers."
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def fingerprint(folder: Path) -> str:
    """64 hex digits over a checkpoint's content."""
    from olmes.models.checkpoint.fingerprint import checkpoint_fingerprint

    return checkpoint_fingerprint(folder)
