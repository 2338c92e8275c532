"""What a user may write for a model, parsed once.

`NAME`, `hf:NAME`, `smollm2`, `vllm:NAME` (or `vllm:NAME?tensor_parallel_size=2`), `openai:NAME@URL`,
`replay:FILE`. A NAME is a local folder, or a repository of the hub, with `@REVISION` where it is not
the main branch's model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from olmes.errors import OlmesError
from olmes.models.base import Model
from olmes.models.checkpoint.names import of_a_training
from olmes.models.checkpoint.places import (
    HUB_ID,
    AdaptedCheckpoint,
    Checkpoint,
    LocalCheckpoint,
    find_checkpoint,
    is_adapter,
)
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
        if "/" in prefix and HUB_ID.fullmatch(prefix):
            raise OlmesError(
                f"'{text}' is not a folder here; a revision of the hub is written {prefix}@{target}."
            )
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
    if asking.adapter and parsed.backend in ("openai", "replay"):
        raise OlmesError(
            f"--adapter goes with a model that is loaded here, and '{spec}' is "
            f"{'a server' if parsed.backend == 'openai' else 'a recording'}; leave it out."
        )
    if parsed.backend == "replay":
        from olmes.models.recorded_rows import ENDINGS
        from olmes.models.replay import ReplayModel

        path = Path(parsed.target).expanduser()
        if not path.is_file():
            raise OlmesError(f"there is no file {path} to replay; check the path.")
        replayed = ReplayModel(parsed.text, path, asking=asking)
        whose = replayed.recorded_model
        return titled(replayed, whose.name if whose else ENDINGS.sub("", path.name))
    if parsed.backend == "openai":
        from olmes.models.http.endpoint import parse_endpoint
        from olmes.models.http.openai import OpenAIModel

        endpoint = parse_endpoint(parsed.target)
        server = OpenAIModel(f"openai:{endpoint}", endpoint, batch_size=batch_size, asking=asking)
        return titled(server, served_title(endpoint.model))

    if parsed.backend == "vllm":
        from olmes.models.vllm import VLLMModel
        from olmes.models.vllm_options import parse_target

        target, options = parse_target(parsed.target)
        checkpoint = checkpoint_of(target, asking)
        engine = VLLMModel(
            normal(parsed.text),
            checkpoint,
            options,
            dtype=dtype,
            device=device,
            batch_size=batch_size,
            max_length=max_length,
            asking=replace(asking, adapter=None),
            warm=warm,
        )
        return titled(engine, title_of(target, asking))

    from olmes.models.hf.model import HFModel

    # By default torch's idle threads spin; with other work on the same cores that makes a small
    # model five times slower. OpenMP reads this when torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    target = parsed.target or EMBEDDED
    model = HFModel(
        normal(target) if parsed.target else target,
        checkpoint_of(target, asking) if parsed.target else embedded(asking),
        dtype=dtype,
        device=device,
        batch_size=batch_size,
        max_length=max_length,
        # The merged weights say which adapter it was, whatever it was called.
        asking=replace(asking, adapter=None),
        warm=warm,
    )
    return titled(model, title_of(target, asking))


def titled(model: Model, title: str) -> Model:
    """A model with the name that tables and pages show."""
    model.title = title
    return model


def title_of(target: str, asking: Asking = ASKED) -> str:
    """The short name of a checkpoint: no path; a training's checkpoint with its training.

    A repository of the hub keeps its owner and its revision.
    """
    path = Path(target).expanduser()
    title = target
    if path.is_dir():
        whole = path.resolve() if path.name in ("", "..") else path
        title = whole.name
        named = of_a_training(title)
        if named and not named.of:  # a step alone says nothing of whose it is
            title = f"{whole.absolute().parent.name}/{title}".lstrip("/")
    return f"{title} + {title_of(asking.adapter)}" if asking.adapter else title


def served_title(model: str) -> str:
    """The short name of a server's model, which some servers call by the path of its folder."""
    return title_of(model) if not model.startswith(("/", "~", ".")) else Path(model).name or model


def normal(name: str) -> str:
    """A model's name without what does not matter of a path: a slash at its end, `./`, `.` itself."""
    if not Path(name).expanduser().is_dir():
        return name
    path = str(Path(name))
    if path in (".", "..") or path.startswith("../"):
        return str(Path(name).resolve())
    # `./smollm2` is a folder, and `smollm2` is not.
    return path if parse_spec(path).target == path else f"./{path}"


def checkpoint_of(target: str, asking: Asking = ASKED) -> Checkpoint:
    """The embedded checkpoint by its name, or else what `find_checkpoint` finds, with its adapter.

    Raises:
        OlmesError: see `find_checkpoint`, or an adapter is given to an adapter.
    """
    if target == EMBEDDED:
        return embedded(asking)
    return with_adapter(find_checkpoint(target, code=asking.trust_remote_code), target, asking)


def embedded(asking: Asking) -> Checkpoint:
    """The embedded checkpoint, with its adapter."""
    from olmes.models.checkpoint.smollm2 import EmbeddedCheckpoint

    return with_adapter(EmbeddedCheckpoint(), EMBEDDED, asking)


def with_adapter(base: Checkpoint, name: str, asking: Asking) -> Checkpoint:
    """A checkpoint with the adapter that is asked for, if one is.

    Raises:
        OlmesError: there is no such adapter, it is a whole model, or the base is an adapter itself.
    """
    if not asking.adapter:
        return base
    if isinstance(base, LocalCheckpoint) and is_adapter(base.path):
        raise OlmesError(
            f"'{name}' is an adapter, and --adapter names another; give the base model as --model."
        )
    adapter = find_checkpoint(asking.adapter)
    if isinstance(adapter, LocalCheckpoint) and not is_adapter(adapter.path):
        raise OlmesError(
            f"--adapter {asking.adapter}: the folder has no adapter (adapter_config.json with "
            "adapter_model.safetensors); a whole model is given as --model."
        )
    return AdaptedCheckpoint(adapter, base)
