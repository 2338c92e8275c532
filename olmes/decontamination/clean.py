"""Training data without what overlaps with evaluations, as section 3.2 of Tülu 3 has it.

Rows that overlap with an item that may be shown are dropped, whether or not the data set is above the
threshold: below it the paper leaves a data set as it is, and nothing is lost by dropping a few rows
more. A data set that is contaminated by held-out or gated items is left out whole, as the paper does
with the evaluations it kept for the end: what rows are missing would tell which ones hold them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from olmes import __version__
from olmes.decontamination.findings import DataSet, Findings, rule
from olmes.decontamination.writers import writer_of
from olmes.errors import OlmesError
from olmes.rows.sources import Source
from olmes.tools import json_text, jsonl
from olmes.tools.durable_files import atomic_writer, write_atomically
from olmes.tools.hashing import file_sha256
from olmes.types import JsonObject

NOTE = "decontamination.json"
"""What was done, beside the files."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A data set in the clean folder."""

    data_set: DataSet
    file: Path | None
    """None where it was left out whole."""

    @property
    def dropped(self) -> int:
        """Rows that are not in the file."""
        return len(self.data_set.open_rows) if self.file else self.data_set.rows

    def to_json(self) -> JsonObject:
        """An entry of the note."""
        one = self.data_set
        closed = [finding.evaluation.task for finding in one.closed_by]
        return one.to_json() | {
            "file": self.file.name if self.file else None,
            "sha256": file_sha256(self.file) if self.file else None,
            "kept": one.rows - self.dropped,
            "dropped": self.dropped,
            "left_out_by": closed,
        }


def check_folder(folder: Path, sources: Iterable[Source]) -> None:
    """Refuse a folder before anything is compared that the clean data could not be written into.

    Raises:
        OlmesError: it holds other files, the data themselves, or is none; or a source is of a kind
            that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise OlmesError(f"--out {folder} is a file; name a folder.")
    for source in sources:
        writer_of(source)
        place = getattr(source, "path", None) or source.folder
        if place is not None and folder.resolve() in (place.resolve(), *place.resolve().parents):
            raise OlmesError(f"--out {folder} holds {source.name} itself; name another folder.")
    if folder.is_dir():
        known = {NOTE, *files_of(folder)}
        if others := sorted(path.name for path in folder.iterdir() if path.name not in known):
            raise OlmesError(
                f"--out {folder} has other files ({others[0]}); name a new or an empty folder."
            )


def files_of(folder: Path) -> list[str]:
    """The files that an earlier call wrote into a folder; none where it has no note."""
    try:
        note = json_text.parse((folder / NOTE).read_bytes())
        named = [str(one["file"]) for one in note["data_sets"] if one["file"]]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return [name for name in named if Path(name).name == name]  # whoever wrote the note


def write_clean(folder: Path, sources: Sequence[Source], found: Findings) -> list[Cleaned]:
    """Write each data set without the rows that overlap, and a note of what was done.

    Args:
        folder: as `check_folder` found it.
        sources: in the order of the findings.
        found: what they have in common with evaluations.

    Raises:
        OlmesError: a source cannot be read again.
    """
    for name in [NOTE, *files_of(folder)]:
        (folder / name).unlink(missing_ok=True)
    taken: set[str] = set()
    done = []
    for source, data_set in zip(sources, found.data_sets, strict=True):
        if data_set.closed_by:
            done.append(Cleaned(data_set, None))
            continue
        file = folder / free_name(source, taken)
        writer, _ = writer_of(source)
        with atomic_writer(file) as stream:
            writer(source, data_set.open_rows, stream)
        done.append(Cleaned(data_set, file))
    note = {
        "olmes": __version__,
        "rule": rule(found.fields),
        "against": {one.task: one.data_hash for one in found.evaluations},
        "skipped": dict(found.skipped),
        "data_sets": [one.to_json() for one in done],
    }
    write_atomically(folder / NOTE, jsonl.dumps(note) + "\n")
    return done


def free_name(source: Source, taken: set[str]) -> str:
    """A name for a source's file that no other of the folder has."""
    _, ending = writer_of(source)
    path = getattr(source, "path", None)
    name = path.name if path else re.sub(r"[^\w.-]+", "--", source.name).strip("-.") or "data"
    name = name.partition(".json")[0] + ending if ending else name
    stem, dot, rest = name.partition(".")
    numbers = iter(range(2, 1 << 30))
    while name in taken or name == NOTE:
        name = f"{stem}-{next(numbers)}{dot}{rest}"
    taken.add(name)
    return name
