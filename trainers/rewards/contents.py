"""What the verifiers of a training are, by content: so that a changed one is found."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.benchmark.registry import load_task
from olmes.errors import OlmesError
from olmes.models.checkpoint.fingerprint import cached_sha256

Contents = Mapping[str, str]
"""By what rows name (a task; a file, from the folder of the data), a hash of what it is."""


def verifier_contents(
    verifiers: Iterable[str], folders: Sequence[Path], *, named: Iterable[str] = ()
) -> dict[str, str]:
    """Everything that the verifiers of some rows name, and a hash of each.

    Of a file (`mine.py`, `mine.py:score`) it is the SHA-256 of its bytes, of a task by name its
    formulation hash.

    Args:
        verifiers: of each row, its verifiers as JSON.
        folders: of the data files.
        named: what the recipe names beside them.
    """
    names = dict.fromkeys(named)
    for text in verifiers:
        for verifier in json.loads(text):
            names.update(dict.fromkeys(references(verifier)))
    found: dict[str, str] = {}
    for name in names:
        file = file_of(name)
        if file is not None:
            found[from_folder(file, folders)] = cached_sha256(file)
            continue
        try:
            found[name] = load_task(name).formulation_hash
        except OlmesError:  # not a task; whoever makes the verifiers says what is wrong with it
            found[name] = name
    return dict(sorted(found.items()))


def references(verifier: Mapping[str, Any]) -> list[str]:
    """What a verifier names: every text in it but what it judges by and the metric."""
    return [
        value
        for key, value in verifier.items()
        if key not in ("doc", "metric", "code") and isinstance(value, str)
    ]


def file_of(name: str) -> Path | None:
    """The Python file of `FILE.py` or `FILE.py:NAME`; None for another name."""
    file, _, _ = name.partition(".py:")
    path = Path(file if file.endswith(".py") else f"{file}.py")
    return path if ".py" in name and path.is_file() else None


def from_folder(file: Path, folders: Sequence[Path]) -> str:
    """A file's path from the first folder of the data, so that both may move."""
    return os.path.relpath(file.resolve(), folders[0]) if folders else str(file.resolve())


def changed_files(then: Contents, now: Contents | None, folders: Sequence[Path] = ()) -> list[str]:
    """Names of the verifiers that are other ones than they were.

    Args:
        then: what they were.
        now: what they are; None looks at the files that are still there, and at nothing else.
        folders: of the data files, for that.
    """
    if now is None:
        now = {
            name: cached_sha256(file)
            for name in then
            if name.endswith(".py") and (file := located(name, folders)) is not None
        }
        return [name for name, content in now.items() if content != then[name]]
    # A file that moved while the data did not has another name and the same content.
    before, after = set(then.values()), set(now.values())
    gone = [name for name, content in then.items() if content not in after]
    return [name for name, content in now.items() if content not in before] or gone


def located(name: str, folders: Sequence[Path]) -> Path | None:
    """Where a file that was named from a folder of the data lies now; None where it is gone."""
    for folder in (*folders, Path()):
        if (file := folder / name).is_file():
            return file
    return None
