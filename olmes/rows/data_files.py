"""Which files hold rows: by their endings, in folders, by patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from olmes.errors import OlmesError

PACKED = (".gz", ".zst", ".bz2", ".xz")
ENDINGS = (
    *(".jsonl", ".json", ".parquet", ".arrow"),
    *(f"{kind}{packed}" for kind in (".jsonl", ".json") for packed in PACKED),
)
ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
"""Files about rows, beside them."""


def data_files(folder: Path, split: str) -> list[Path]:
    """The files of a folder and those below it, sorted; where they are called by splits, of one.

    Raises:
        OlmesError: there is none.
    """
    files = sorted(file for file in folder.rglob("*") if is_data(file, folder))
    if not files:
        raise OlmesError(f"{folder} has no data file; give a folder of {kinds_of_file()} files.")
    return of_split(files, split)


def is_data(file: Path, folder: Path) -> bool:
    """Whether a file of a folder holds rows; what `datasets` and people keep beside them does not."""
    inner = file.relative_to(folder).parts
    hidden = any(part.startswith((".", "_")) for part in inner)
    return file.name.endswith(ENDINGS) and not hidden and file.name not in ABOUT and file.is_file()


def matching(pattern: str) -> list[Path]:
    """The files of a glob pattern, sorted.

    Raises:
        OlmesError: there is none.
    """
    path = Path(pattern).expanduser()
    inner = path.relative_to(path.anchor) if path.is_absolute() else path
    found = sorted(Path(path.anchor or ".").glob(str(inner)))
    files = [file for file in found if file.name.endswith(ENDINGS) and file.is_file()]
    if not files:
        raise OlmesError(f"no data file matches {pattern}; check the pattern.")
    return files


def kinds_of_file() -> str:
    """What is read, in words."""
    return ".jsonl (plain or packed), .json, .parquet or .arrow"


def of_split(files: Sequence[Path], split: str) -> list[Path]:
    """The files of a split, by their names or folders: all, where none is called by it."""
    own = re.compile(rf"{re.escape(split)}([-_.]|$)")
    return [file for file in files if own.match(file.name) or file.parent.name == split] or [*files]
