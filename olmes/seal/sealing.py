"""Closing and opening the samples of held-out tasks."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from olmes.errors import OlmesError
from olmes.records.record import RUN_FILE, Record
from olmes.records.schema import SealedFile
from olmes.seal.counting import count_looks
from olmes.seal.known_stores import remember
from olmes.seal.ledger import Entry, Ledger
from olmes.seal.look import SEALED, look_of, who
from olmes.tools.durable_files import atomic_writer, write_atomically
from olmes.tools.hashing import file_sha256


@contextlib.contextmanager
def sealed_samples(folder: Path, task: str) -> Iterator[Callable[[bytes], object]]:
    """Where samples go of a task that is held out or gated: a packed file apart. Gives its `write`."""
    # As gzip does it; without a time in it the same samples make the same file.
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with atomic_writer(sealed_file(folder, task)) as stream:
        yield lambda content: stream.write(packer.compress(content))
        stream.write(packer.flush())
    (folder / "samples" / f"{task}.jsonl").unlink(missing_ok=True)


def sealed_file(folder: Path, task: str) -> Path:
    """Where the samples of a held-out or gated task are."""
    return folder / SEALED / f"{task}.jsonl.gz"


def sealed_files(folder: Path, rows: Mapping[str, int]) -> dict[str, SealedFile]:
    """What a record says of sealed samples: their files and hashes, and the rows of each."""
    sealed = {}
    for task, count in rows.items():
        place = sealed_file(folder, task)
        digest = file_sha256(place)
        sealed[task] = SealedFile(file=f"{SEALED}/{place.name}", sha256=digest, rows=count)
    return sealed


def record_result(store: Path, run: str, digest: str) -> None:
    """Write into the ledger what a look came to: the hash of the whole record, before it is there.

    Killed between the two, the run goes on and says anew what it came to. The other way round the
    ledger would know nothing of a record that is there, or know it by the hash of an earlier one.

    Raises:
        OlmesError: the ledger cannot be written or was tampered with.
    """
    ledger = Ledger(store)
    if (last := last_result(ledger.entries(), run)) is None or last.get("record") != digest:
        ledger.append("result", run, {"record": digest})


def write_result(store: Path, record: Record) -> None:
    """Have the ledger hold what a finished look came to, whose process was killed before it did.

    Another hash in it stays: then the record was changed.

    Raises:
        OlmesError: the ledger cannot be written or was tampered with.
    """
    ledger = Ledger(store)
    ledger.mend()
    if last_result(ledger.entries(), record.id) is None:
        record_result(store, record.id, file_sha256(record.folder / RUN_FILE))


def last_result(entries: Sequence[Entry], run: str) -> Entry | None:
    """The newest entry on what a run came to."""
    results = [e for e in entries if e.get("event") == "result" and e.get("run") == run]
    return results[-1] if results else None


def unseal(folder: Path, reason: str) -> list[Path]:
    """Open the samples of a run, which is a look of its own, and return their files.

    Those of gated items stay packed: nobody may publish them, whatever the reason.

    Asked for again by the same person for the same reason, it is the same look: it goes on where it
    was killed.

    Raises:
        OlmesError: the run has nothing under seal, no reason is given, or the record, a sealed file
            or the ledger is not as it was written.
    """
    try:
        record = Record.load(folder)
    except OlmesError as error:
        if said := unreadable(folder, Ledger(folder.resolve().parent).entries()):
            raise OlmesError(f"{folder} stays closed: {said}; see `olmes ledger`.") from error
        raise
    if not record.run.held_out:
        if record.run.gated:
            record.opened(next(iter(record.run.gated)))
        raise OlmesError(f"{folder} has nothing under seal; its samples are in samples/.")
    to_open = [task for task in record.run.sealed if task not in record.run.gated]
    if not to_open:
        record.opened(next(iter(record.run.gated)))
    if not reason.strip():
        raise OlmesError(
            'opening the samples is a look at the held-out tasks; say why with --reason "...".'
        )
    store = record.folder.resolve().parent
    ledger = Ledger(store)
    ledger.mend()
    entries = ledger.entries()
    if problems := [*ledger.problems(), *changed(record, entries)]:
        raise OlmesError(f"{folder} stays closed: {problems[0]}; see `olmes ledger`.")
    opened = [open_samples(record, task) for task in to_open]
    look = next(e for e in entries if e.get("event") == "run" and e.get("run") == record.id)
    before = count_looks(
        store, entries, look["family"], look["fingerprint"], look.get("lineage") or ()
    )
    kept = ("tasks", "data", "sample_data", "model", "fingerprint", "family", "lineage")
    asked = {"who": who(), "asked_by": "person", "reason": reason.strip()}
    # The look is written down before anything can be seen.
    if not last_is(entries, record.id, asked):
        about = {key: look[key] for key in kept if key in look}
        entry = ledger.append("unseal", record.id, {**asked, **about, **before.fields})
        remember(store, [*entries, entry])
    for path, text in opened:
        write_atomically(path, text)
    return [path for path, _ in opened]


def last_is(entries: Sequence[Entry], run: str, asked: Mapping[str, str]) -> bool:
    """Whether the newest entry on a run is that its samples were asked for in the same words."""
    own = [entry for entry in entries if entry.get("run") == run]
    return bool(own) and {"event": "unseal", **asked}.items() <= own[-1].items()


def open_samples(record: Record, task: str) -> tuple[Path, str]:
    """Where a task's samples belong, and their text.

    Raises:
        OlmesError: the sealed file cannot be read.
    """
    place = record.folder / record.run.sealed[task].file
    try:
        text = gzip.decompress(place.read_bytes()).decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise OlmesError(f"{place} cannot be read ({error}); restore it from a copy.") from None
    return record.samples_path(task), text


def changed(record: Record, entries: Sequence[Entry]) -> list[str]:
    """A sentence for each part of a run under seal that is not as the ledger or the record says."""
    held = record.run.held_out
    if held is None:
        return []
    said = []
    if look_of(held, entries) is None:
        said.append(f"the look of {record.id} is not in the ledger (line {held.ledger.number})")
    result = last_result(entries, record.id)
    if result is None:
        said.append(f"the ledger does not hold the result of {record.id}")
    elif result.get("record") != file_sha256(record.folder / RUN_FILE):
        said.append(f"{record.id}/{RUN_FILE} was changed after it was written")
    for sealed in held.sealed.values():
        place = record.folder / sealed.file
        if not place.is_file():
            said.append(f"{record.id}/{sealed.file} is missing")
        elif file_sha256(place) != sealed.sha256:
            said.append(f"{record.id}/{sealed.file} was changed after it was written")
    return said


def unreadable(folder: Path, entries: Sequence[Entry]) -> str:
    """That a look's record, which cannot be read, was changed; '' where the ledger does not say so."""
    result, path = last_result(entries, folder.resolve().name), folder / RUN_FILE
    if result is None or not path.is_file() or result.get("record") == file_sha256(path):
        return ""
    return (
        f"{folder.name}/{RUN_FILE} was changed after it was written, and is not a record any more"
    )
