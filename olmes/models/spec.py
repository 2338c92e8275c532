"""What a user may write for a model, parsed once.

`NAME`, `hf:NAME`, `smollm2`, `vllm:NAME` (or `vllm:NAME?tensor_parallel_size=2`), `openai:NAME@URL`,
`replay:FILE`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from olmes.errors import OlmesError
from olmes.models.base import Model
from olmes.models.checkpoint.folder import Checkpoint, HubCheckpoint, LocalCheckpoint
from olmes.models.options import ASKED, Asking

if TYPE_CHECKING:
    from olmes.models.hf.warm import WarmMemory

Backend = Literal["hf", "smollm2", "replay", "vllm", "openai"]
EMBEDDED = "smollm2"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which backend runs what."""

    backend: Backend
    target: str
    """Folder, hub repository, file or NAME@URL; empty for the embedded model."""
    text: str
    """As the user wrote it."""


def parse_spec(text: str) -> ModelSpec:
    """The parsed form of a model's name.

    `smollm2` alone is the embedded model, whatever folder is here (`./smollm2` is the folder). A
    local folder goes before every prefix, so that a path may contain a colon.

    Raises:
        OlmesError: the name is empty, its prefix is unknown, or nothing follows the prefix.
    """
    if text == EMBEDDED:
        return ModelSpec("smollm2", "", text)
    if not text.strip():
        raise OlmesError(
            "no model is named; give a hub id, a local folder, smollm2, openai:NAME@URL or "
            "replay:FILE."
        )
    if ":" not in text or Path(text).expanduser().is_dir():
        return ModelSpec("hf", text, text)
    prefix, _, target = text.partition(":")
    known = [name for name in get_args(Backend) if name != EMBEDDED]
    if prefix not in known:
        raise OlmesError(
            f"'{text}' is not a folder here, and '{prefix}:' is not a backend; the backends are "
            f"{', '.join(f'{name}:' for name in known)} (and {EMBEDDED}, without a colon)."
        )
    if not target:
        raise OlmesError(f"'{text}' names no model; add its name after '{prefix}:'.")
    backend: Backend = next(name for name in get_args(Backend) if name == prefix)
    return ModelSpec(backend, target, text)


def load_model(
    spec: str,
    *,
    dtype: str | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    max_length: int | None = None,
    asking: Asking = ASKED,
    warm: WarmMemory | None = None,
) -> Model:
    """The model a user named, cheaply: weights are loaded by the first request that needs them.

    The options are those of `olmes.models.hf.model.HFModel`. A server uses `batch_size` alone
    (the most requests at once), a recording none. With `warm`, models that follow one another
    swap their weights and share tokens.

    Raises:
        OlmesError: the name cannot be parsed, or its folder or file does not exist. A hub
            repository or a server is looked for on first use.
    """
    parsed = parse_spec(spec)
    if parsed.backend == "replay":
        from olmes.models.replay import ReplayModel

        path = Path(parsed.target).expanduser()
        if not path.is_file():
            raise OlmesError(f"there is no file {path} to replay; check the path.")
        return ReplayModel(parsed.text, path, asking=asking)
    if parsed.backend == "openai":
        from olmes.models.http.endpoint import parse_endpoint
        from olmes.models.http.openai import OpenAIModel

        endpoint = parse_endpoint(parsed.target)
        name = f"openai:{endpoint.model}@{endpoint.url}"
        return OpenAIModel(name, endpoint, batch_size=batch_size, asking=asking)

    if parsed.backend == "vllm":
        from olmes.models.vllm import VLLMModel
        from olmes.models.vllm_options import parse_target

        target, options = parse_target(parsed.target)
        return VLLMModel(
            parsed.text,
            checkpoint_of(target),
            options,
            dtype=dtype,
            device=device,
            batch_size=batch_size,
            max_length=max_length,
            asking=asking,
            warm=warm,
        )

    from olmes.models.hf.model import HFModel

    # By default torch's idle threads spin; with other work on the same cores that makes a small
    # model five times slower. OpenMP reads this when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return HFModel(
        parsed.target or EMBEDDED,
        checkpoint_of(parsed.target or EMBEDDED),
        dtype=dtype,
        device=device,
        batch_size=batch_size,
        max_length=max_length,
        asking=asking,
        warm=warm,
    )


def checkpoint_of(target: str) -> Checkpoint:
    """The embedded checkpoint by its name, or else what `find_checkpoint` finds.

    Raises:
        OlmesError: see `find_checkpoint`.
    """
    if target == EMBEDDED:
        from olmes.models.checkpoint.smollm2 import EmbeddedCheckpoint

        return EmbeddedCheckpoint()
    return find_checkpoint(target)


def find_checkpoint(target: str) -> Checkpoint:
    """A local folder, or else a repository of the hub.

    Raises:
        OlmesError: it is written as a path and there is no such folder, or the folder has no
            model.
    """
    path = Path(target).expanduser()
    if path.is_dir():
        if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise OlmesError(
                f"the folder {path} has no config.json; give one that save_pretrained has written "
                "(a trainer's are named checkpoint-N)."
            )
        return LocalCheckpoint(path)
    if path.exists():
        raise OlmesError(f"{path} is a file; give the folder of a checkpoint, or replay:FILE.")
    # A hub id is NAME or OWNER/NAME, of letters, digits, '-', '_' and '.'.
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", target, re.ASCII):
        raise OlmesError(f"there is no folder {path}; check the path.")
    return HubCheckpoint(target)
