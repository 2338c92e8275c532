"""A task's rows from the Hugging Face hub, as rows of the official file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from olmes.benchmark.source import HubSplit, Source
from olmes.data import network
from olmes.data.network import NotFetched
from olmes.errors import OlmesError
from olmes.types import Doc

ENDPOINT = "https://huggingface.co"


def mirror() -> Path | None:
    """The folder in `$OLMES_HUB_MIRROR`: data sets as the hub has them, at `owner/name` below it.

    Raises:
        OlmesError: there is no such folder.
    """
    named = os.environ.get("OLMES_HUB_MIRROR")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise OlmesError(
            f"OLMES_HUB_MIRROR names {folder}, which is not a folder; correct or unset it."
        )
    return folder


def gated_words(source: Source) -> str:
    """What has to be done before the hub gives out a gated set, in a sentence."""
    split = source.hub[0]
    place = source.files[0].path if source.files else split.repository
    return (
        f"{split.repository} is gated: accept its terms at {ENDPOINT}/datasets/{split.repository} and "
        f"give the token of that account in HF_TOKEN (or log in with `hf auth login`), or put the "
        f"file into a folder as {place} and name the folder with --data DIR."
    )


def require(source: Source) -> None:
    """Return when the task has a copy on the hub and the hub, its mirror or its cache can be read.

    Raises:
        NotFetched: the task names no copy, the hub cannot be reached, or `$OLMES_OFFLINE` is set.
        OlmesError: the folder in `$OLMES_HUB_MIRROR` does not exist.
    """
    if not source.hub:
        raise NotFetched("the task names no copy on the Hugging Face hub; use --data DIR.")
    if source.gated and mirror() is None and not (_hub_offline() or _has_token()):
        raise NotFetched(gated_words(source))
    # What the hub's library keeps in its own cache can be read while it has to stay offline.
    if mirror() is None and (network.offline() or not _hub_offline()):
        try:
            network.require(os.environ.get("HF_ENDPOINT") or ENDPOINT)
        except NotFetched as reason:
            raise _with_remedy(source, reason) from None


def load(source: Source) -> list[tuple[str, list[Doc]]]:
    """Each split's sub-task and rows, in the hub's order, turned by `source.from_hub`.

    With `HF_HUB_OFFLINE` set the hub is not asked and only its local cache is read.

    Raises:
        NotFetched: the copy cannot be loaded or has other fields than the task knows.
        OlmesError: the folder in `$OLMES_HUB_MIRROR` does not exist.
    """
    folder = mirror()
    try:
        return [
            (split.subtask, _turned(source, split, _rows(split, folder))) for split in source.hub
        ]
    except NotFetched as reason:
        # The library's words may be no more than "not found"; an item is never among ours.
        raise _with_remedy(source, reason) from None


def _with_remedy(source: Source, reason: NotFetched) -> NotFetched:
    """Why a set was not read, and of a gated one what has to be done besides."""
    return NotFetched(f"{reason} {gated_words(source)}") if source.gated else reason


def _has_token() -> bool:
    """Whether the user has a token of the hub, in the environment or from a login."""
    from huggingface_hub import get_token

    return bool(get_token())


def _hub_offline() -> bool:
    """Whether the hub's own libraries have to keep off the network."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes", "on") for name in names)


def _rows(split: HubSplit, folder: Path | None) -> Iterable[Any]:
    """The rows of a split, read by the hub's own library."""
    if folder is not None and not (folder / split.repository).is_dir():
        raise NotFetched(f"{folder} holds no {split.repository}; put it there or use --data DIR.")
    import datasets
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's own

    path = split.repository if folder is None else str(folder / split.repository)
    try:
        rows: Iterable[Any] = datasets.load_dataset(path, name=split.config, split=split.split)
    # A data set that is not there, a config or split it does not have, a cut connection, a file
    # that does not parse: the library has a class for each, under these.
    except (
        OSError,
        ValueError,
        RuntimeError,
        HTTPError,
        datasets.exceptions.DatasetsError,
    ) as error:
        raise NotFetched(
            f"{split.repository} could not be loaded from the hub ({_first_line(error)}); "
            "use --data DIR."
        ) from None
    return rows


def _turned(source: Source, split: HubSplit, rows: Iterable[Any]) -> list[Doc]:
    """The rows as the official file has them."""
    turned = []
    for number, row in enumerate(rows):
        try:
            turned.append(source.from_hub(dict(row)))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise NotFetched(
                f"row {number} of {split.repository} on the hub is not what the task knows "
                f"({_why(source, error)}); use --data DIR."
            ) from None
    return turned


def _why(source: Source, error: BaseException) -> str:
    """What is wrong with a row; of a gated set without words that may be the row's."""
    kind = type(error).__name__
    return kind if source.gated else f"{kind}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
