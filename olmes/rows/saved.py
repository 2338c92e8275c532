"""Rows that `datasets` has saved: Arrow files and folders of `save_to_disk`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from olmes.errors import OlmesError
from olmes.tools.hashing import file_sha256

if TYPE_CHECKING:
    from datasets import Dataset


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def saved_rows(folder: Path, split: str) -> Dataset:
    """The rows of a folder that `save_to_disk` wrote.

    Raises:
        OlmesError: it cannot be read, or has no such split.
    """
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # damaged files: of the library, of pyarrow, of the file system
        raise not_read(folder, error) from None
    if isinstance(found, datasets.DatasetDict):
        if split not in found:
            raise OlmesError(
                f"{folder} has no split '{split}'; it has {', '.join(sorted(map(str, found)))}."
            )
        return found[split]
    return found


def arrow_rows(path: Path) -> Dataset:
    """The rows of an Arrow file, mapped from it: a stream as `datasets` writes it, or with an index.

    Raises:
        OlmesError: it is none.
    """
    import pyarrow
    from datasets import Dataset
    from datasets.table import MemoryMappedTable

    try:
        with pyarrow.memory_map(str(path)) as stream:
            indexed = stream.read(6) == b"ARROW1"
        if indexed:
            with pyarrow.memory_map(str(path)) as stream:
                return Dataset(pyarrow.ipc.open_file(stream).read_all(), fingerprint=of(path))
        return Dataset(MemoryMappedTable.from_file(str(path)), fingerprint=of(path))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise not_read(path, error) from None


def of(path: Path) -> str:
    """The fingerprint of a file's rows: its content, wherever it lies."""
    return file_sha256(path)[:16]


def not_read(path: Path, error: Exception) -> OlmesError:
    """The error for what cannot be read."""
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    return OlmesError(f"{path} cannot be read ({reason}); save the data set again.")
