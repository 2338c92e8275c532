"""Closing and opening the samples of held-out tasks."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.records.record import Record
from olmes.seal.ledger import Entry, Ledger
from olmes.seal.look import look_of, looks_of, named_line, who
from olmes.tools.hashing import file_sha256
from olmes.tools.jsonl import atomic_writer, write_atomically

FOLDER = "sealed"


@contextlib.contextmanager
def sealed_samples(folder: Path, task: str) -> Iterator[Callable[[bytes], object]]:
    """Where the samples of a held-out task go: a compressed file put aside. Gives its `write`."""
    # As gzip does it; without a time in it the same samples make the same file.
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with atomic_writer(sealed_file(folder, task)) as stream:
        yield lambda content: stream.write(packer.compress(content))
        stream.write(packer.flush())
    (folder / "samples" / f"{task}.jsonl").unlink(missing_ok=True)


def sealed_file(folder: Path, task: str) -> Path:
    """Where the samples of a held-out task are."""
    return folder / FOLDER / f"{task}.jsonl.gz"


def sealed_entries(folder: Path, rows: Mapping[str, int]) -> dict[str, Any]:
    """What a record says of sealed samples: their files and hashes, and the rows of each."""
    sealed = {}
    for task, count in rows.items():
        place = sealed_file(folder, task)
        digest = file_sha256(place)
        sealed[task] = {"file": f"{FOLDER}/{place.name}", "sha256": digest, "rows": count}
    return {"sealed": sealed}


def write_result(store: Path, record: Record) -> None:
    """Write into the ledger what a look came to: the hash of the whole record.

    Raises:
        OlmesError: the ledger cannot be written or was tampered with.
    """
    digest = file_sha256(record.folder / "run.json")
    ledger = Ledger(store)
    if (last := last_result(ledger.entries(), record.id)) is None or last["record"] != digest:
        ledger.append("result", record.id, {"record": digest})


def last_result(entries: Sequence[Entry], run: str) -> Entry | None:
    """The newest entry on what a run came to."""
    results = (e for e in entries if e.get("event") == "result" and e.get("run") == run)
    return max(results, key=lambda entry: entry["number"], default=None)


def unseal(folder: Path, reason: str) -> list[Path]:
    """Open the samples of a run, which is a look of its own, and return their files.

    Raises:
        OlmesError: the run has nothing under seal, no reason is given, or the record, a sealed file
            or the ledger is not as it was written.
    """
    record = Record.load(folder)
    held = record.data.get("held_out")
    if not held:
        raise OlmesError(f"{folder} has nothing under seal; its samples are in samples/.")
    if not reason.strip():
        raise OlmesError(
            'opening the samples is a look at the held-out tasks; say why with --reason "...".'
        )
    store = record.folder.resolve().parent
    ledger = Ledger(store)
    entries = ledger.entries()
    if problems := [*ledger.problems(), *changed(record, entries)]:
        raise OlmesError(f"{folder} stays closed: {problems[0]}; see `olmes ledger`.")
    opened = [open_samples(record, task) for task in held["sealed"]]
    look = next(e for e in entries if e.get("event") == "run" and e.get("run") == record.id)
    before = len(looks_of(entries, look["family"], look["fingerprint"]))
    kept = ("tasks", "sample_data", "model", "fingerprint", "family", "lineage")
    # The look is written down before anything can be seen.
    ledger.append(
        "unseal",
        record.id,
        {
            "who": who(),
            "asked_by": "person",
            "reason": reason.strip(),
            **{key: look[key] for key in kept},
            "looks_before": before,
        },
    )
    for path, text in opened:
        write_atomically(path, text)
    return [path for path, _ in opened]


def open_samples(record: Record, task: str) -> tuple[Path, str]:
    """Where a task's samples belong, and their text.

    Raises:
        OlmesError: the sealed file cannot be read.
    """
    place = record.folder / record.data["held_out"]["sealed"][task]["file"]
    try:
        text = gzip.decompress(place.read_bytes()).decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise OlmesError(f"{place} cannot be read ({error}); restore it from a copy.") from None
    return record.samples_path(task), text


def changed(record: Record, entries: Sequence[Entry]) -> list[str]:
    """A sentence for each part of a run under seal that is not as the ledger or the record says."""
    try:
        return differences(record, entries)
    except (KeyError, TypeError, AttributeError):
        return [f"{record.folder}/run.json was changed: it is not a record as olmes writes it"]


def differences(record: Record, entries: Sequence[Entry]) -> list[str]:
    """What `changed` says of a record that has every field.

    Raises:
        KeyError, TypeError, AttributeError: it has not.
    """
    held = record.data["held_out"]
    said = []
    if look_of(held, entries) is None:
        said.append(f"the look of {record.id} is not in the ledger (line {named_line(held)[0]})")
    result = last_result(entries, record.id)
    if result is None:
        said.append(f"the ledger does not hold the result of {record.id}")
    elif result["record"] != file_sha256(record.folder / "run.json"):
        said.append(f"{record.id}/run.json was changed after it was written")
    for sealed in held["sealed"].values():
        place = record.folder / sealed["file"]
        if not place.is_file():
            said.append(f"{record.id}/{sealed['file']} is missing")
        elif file_sha256(place) != sealed["sha256"]:
            said.append(f"{record.id}/{sealed['file']} was changed after it was written")
    return said
