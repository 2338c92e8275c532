"""Which rows of a data set of the hub, and how its own library puts them on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from olmes.errors import OlmesError

if TYPE_CHECKING:
    from datasets import Dataset


class Wanted(Protocol):
    """Which rows of a data set of the hub."""

    @property
    def split(self) -> str:
        """The name of the split."""

    @property
    def config(self) -> str:
        """Of the data set; '' for its only one."""

    @property
    def revision(self) -> str:
        """A commit; '' for the newest."""


@dataclass(frozen=True, kw_only=True)
class HubRows:
    """Which rows of a data set of the hub: those of `train` where nothing is said."""

    split: str = "train"
    config: str = ""
    revision: str = ""


TRAIN = HubRows()


def hub_rows(name: str, source: Wanted) -> Dataset:
    """The rows of a hub data set, fetched into the hub's own cache.

    Raises:
        OlmesError: it cannot be fetched.
    """
    import datasets

    try:
        found: Dataset = datasets.load_dataset(
            name, source.config or None, split=source.split, revision=source.revision or None
        )
    # The hub's library raises errors of many kinds for "not there" and "not reachable".
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise OlmesError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name, split "
            "and revision, or give a .jsonl file."
        ) from None
    return found
