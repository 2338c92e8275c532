"""Where a checkpoint's files are: a local folder, a repository of the hub, an adapter on a base."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from olmes.errors import OlmesError
from olmes.models.checkpoint.completeness import adapter_weights, sharded
from olmes.models.checkpoint.fingerprint import ADAPTERS, WEIGHTS, read_json
from olmes.models.checkpoint.hub import fetch_settings, fetch_weights, gguf_refusal
from olmes.models.checkpoint.merging import merged_in_cache

HUB_ID = re.compile(
    r"(?P<repository>[\w-][\w.-]*(/[\w-][\w.-]*)?)(@(?P<revision>[\w./+=-]+))?", re.ASCII
)
"""NAME or OWNER/NAME, and the branch, tag or commit behind an `@`."""


class Checkpoint(Protocol):
    """Something that transformers can load."""

    def folder(self, *, weights: bool) -> Path:
        """The local folder; without `weights`, configuration and tokenizer may be all it holds."""


class StoredCheckpoint(Checkpoint, Protocol):
    """A checkpoint as it was saved, which may be an adapter alone."""

    def files(self, *, weights: bool) -> Path:
        """The folder of the files as they are: of an adapter, not merged into its base."""


@dataclass(frozen=True, slots=True)
class LocalCheckpoint:
    """A folder written by `save_pretrained`."""

    path: Path

    def files(self, *, weights: bool) -> Path:  # noqa: ARG002 (a local folder holds everything)
        """The folder itself."""
        return self.path

    def folder(self, *, weights: bool) -> Path:  # noqa: ARG002
        """The folder itself; of an adapter, its base model with it merged in.

        Raises:
            OlmesError: it is an adapter, and its base cannot be had.
        """
        return merged(self, None) if is_adapter(self.path) else self.path


@dataclass(frozen=True)
class HubCheckpoint:
    """A repository on the Hugging Face hub; what is fetched is stored in the hub's own cache."""

    repository: str
    revision: str = ""
    """A branch, tag or commit; '' is the repository's main branch."""
    code: bool = False
    """Whether the code that lies in it is fetched too."""

    @cached_property
    def _settings(self) -> Path:
        """The folder of its commit: looked up once, so that all files are of the same commit."""
        return fetch_settings(self.repository, self.revision, code=self.code)

    @property
    def commit(self) -> str:
        """The commit that the revision stands for.

        Raises:
            OlmesError: the hub cannot be reached and nothing is cached.
        """
        return self._settings.name

    def files(self, *, weights: bool) -> Path:
        """Fetch what is missing: the small files, and the weights only when they are needed.

        Raises:
            OlmesError: the hub or the repository cannot be reached and nothing is cached.
        """
        return fetch_weights(self.repository, self._settings) if weights else self._settings

    def folder(self, *, weights: bool) -> Path:
        """As `files`; of an adapter, its base model with it merged in.

        Raises:
            OlmesError: as `files`, or it is an adapter and its base cannot be had.
        """
        return merged(self, None) if is_adapter(self._settings) else self.files(weights=weights)


@dataclass(frozen=True)
class AdaptedCheckpoint:
    """A model with an adapter, merged into one checkpoint."""

    adapter: StoredCheckpoint
    base: Checkpoint

    @property
    def path(self) -> Path | None:
        """The adapter's local folder, from which its lineage is read; None on the hub."""
        return getattr(self.adapter, "path", None)

    @property
    def named(self) -> str:
        """Which adapter it is: its folder, or its repository with the revision."""
        if isinstance(self.adapter, HubCheckpoint):
            at = f"@{self.adapter.revision}" if self.adapter.revision else ""
            return f"{self.adapter.repository}{at}"
        return str(self.path)

    @property
    def commit(self) -> str | None:
        """The commit of the base model, or of the adapter, where one of them is of the hub."""
        own: str | None = getattr(self.base, "commit", None)
        return own or getattr(self.adapter, "commit", None)

    def folder(self, *, weights: bool) -> Path:  # noqa: ARG002 (all is made at once)
        """The merged checkpoint.

        Raises:
            OlmesError: base or adapter cannot be had, or they do not fit.
        """
        return merged(self.adapter, self.base)


def merged(adapter: StoredCheckpoint, base: Checkpoint | None) -> Path:
    """The folder of a base model with an adapter merged in; made now if it is not there.

    Args:
        adapter: what is merged in.
        base: the model it is put on; None takes the one that the adapter names.

    Raises:
        OlmesError: base or adapter cannot be had, or they do not fit.
    """
    base = base or base_of(adapter.files(weights=False))
    folder = adapter.files(weights=True)
    if not adapter_weights(folder):
        raise OlmesError(
            f"the adapter {folder} has no weights ({' or '.join(ADAPTERS[1:])}); save it there with "
            "save_pretrained."
        )
    return merged_in_cache(folder, base.folder(weights=True))


def base_of(folder: Path) -> Checkpoint:
    """The model that an adapter says it was trained on.

    Raises:
        OlmesError: it names none, or the one it names is not here.
    """
    config = read_json(folder / ADAPTERS[0])
    name = str(config.get("base_model_name_or_path") or "")
    if not name:
        raise OlmesError(
            f"'{folder}' is an adapter; merge it into its base model, or name that model, which its "
            f"adapter_config.json does not: --model BASE --adapter {folder}."
        )
    revision = config.get("revision")
    at = f"{name}@{revision}" if revision and not Path(name).is_dir() else name
    if at == "smollm2" and not Path(at).is_dir():
        from olmes.models.checkpoint.smollm2 import EmbeddedCheckpoint

        return EmbeddedCheckpoint()
    try:
        base = find_checkpoint(at)
        base.files(weights=False)
    except OlmesError as error:
        raise OlmesError(
            f"'{folder}' is an adapter of '{name}', which is not at hand: "
            f"{str(error).rstrip('.')}. Name it where it is: --model BASE --adapter {folder}."
        ) from None
    return base


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, and not a whole model beside an adapter's configuration."""
    if not (folder / ADAPTERS[0]).is_file():
        return False
    return bool(adapter_weights(folder)) or not any((folder / name).is_file() for name in WEIGHTS)


def check_leftover(name: str, folder: Path) -> None:
    """Return when no adapter's configuration lies beside a whole model; transformers would follow it.

    Raises:
        OlmesError: one does.
    """
    if (folder / ADAPTERS[0]).is_file():
        raise OlmesError(
            f"'{name}' holds {ADAPTERS[0]} beside a whole model, but no adapter weights "
            f"({ADAPTERS[1]}): remove {ADAPTERS[0]} if the adapter is in the weights already, or else "
            "merge it into its base: --model BASE --adapter ADAPTER."
        )


def find_checkpoint(target: str, *, code: bool = False) -> LocalCheckpoint | HubCheckpoint:
    """A local folder, or else a repository of the hub: `NAME`, `OWNER/NAME`, `OWNER/NAME@REVISION`.

    A folder goes first, so that its name may hold an `@`.

    Args:
        target: as a user writes it.
        code: whether the code of a repository is fetched too.

    Raises:
        OlmesError: it is written as a path and there is no such folder, or the folder has no
            model.
    """
    path = Path(target).expanduser()
    if path.is_dir():
        check_folder(path)
        return LocalCheckpoint(path)
    if path.exists():
        if path.suffix == ".gguf":
            raise OlmesError(gguf_refusal(f"{path} is a file of", str(path)))
        raise OlmesError(f"{path} is a file; give the folder of a checkpoint, or replay:FILE.")
    found = HUB_ID.fullmatch(target)
    if found is None:
        hint = "" if "?" not in target else "; a revision of the hub is written NAME@REVISION"
        raise OlmesError(f"there is no folder {path}; check the path{hint}.")
    return HubCheckpoint(found["repository"], found["revision"] or "", code)


def check_folder(path: Path) -> None:
    """Refuse a folder that holds neither a model nor an adapter.

    Raises:
        OlmesError: what it holds instead.
    """
    if any((path / name).is_file() for name in ("config.json", ADAPTERS[0])):
        return
    if gguf := next(iter(sorted(path.glob("*.gguf"))), None):
        what = f"the folder {path} has no config.json, but a model of"
        raise OlmesError(gguf_refusal(what, gguf.name))
    if trouble := sharded(path):
        raise OlmesError(f"{path} cannot be loaded: {trouble.reason}.")
    raise OlmesError(
        f"the folder {path} has no config.json; give one that save_pretrained has written "
        "(a trainer's are named checkpoint-N)."
    )
