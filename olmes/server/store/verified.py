"""What is saved of a run, held against what the database knows of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.records.check import FieldError, run_record
from olmes.seal.ledger import START, wrong_with
from olmes.server.intake.fields import RUN_ID, TASK_NAME
from olmes.server.intake.run_files import run_content_hash
from olmes.server.store.artifacts import GROUP_ROWS, UNREADABLE, older_name, rejoined
from olmes.tools.hashing import file_sha256, sha256

ARTIFACT = re.compile(r"[0-9a-f]{64}\.(parquet|jsonl\.gz)")
"""Names of artifacts. Nothing else is a file of a back-up's artifacts."""
HEX = re.compile(r"[0-9a-f]{64}")

Row = Mapping[str, Any]
"""A row of a table by column."""


def record_trouble(run: Row, tasks: Sequence[Row]) -> str:
    """Why a run's row does not have its content hash, or is not one; '' where all is well.

    Args:
        run: of the table of runs.
        tasks: its own, of the table of tasks.
    """
    if not re.fullmatch(RUN_ID, run["id"]):
        return "its name is not one of a run"
    for task in tasks:
        if not re.fullmatch(TASK_NAME, task["task"]) or not HEX.fullmatch(task["sha256"]):
            return "its tasks are not those of a run"
        if not ARTIFACT.fullmatch(task["artifact"]):
            return f"{task['artifact'][:80]!r} is no name of samples"
    hashes = {
        f"sealed/{task['task']}.jsonl.gz" if task["sealed"] else f"samples/{task['task']}.jsonl": (
            task["sha256"]
        )
        for task in tasks
    }
    hashes["run.json"] = sha256(run["data"].encode("utf-8", "surrogatepass"))
    if run_content_hash(hashes) != run["content_hash"]:
        return "its run.json or the hashes of its samples are not those that came"
    try:
        if run_record(json.loads(run["data"])).id != run["id"]:
            return "its record is of another run"
    except (FieldError, ValueError, RecursionError) as error:
        return f"its record cannot be read ({error})"
    return ""


def samples_trouble(task: Row, metric: str, place: Path, sealed: Path | None) -> str:
    """Why a task's samples are not those that its row is of; '' where they are.

    Args:
        task: of the table of tasks.
        metric: its primary one.
        place: the file of its artifact.
        sealed: the file under seal, of a task that has one.
    """
    try:
        expected = task["sha256"]
        if sealed is not None:
            if file_sha256(sealed) != expected:
                return "the file under seal is not the one that came"
            if not task["opened"]:
                return ""
            with gzip.open(sealed, "rb") as stream:
                expected = digest_of(iter(lambda: stream.read(1 << 20), b""))
        content = file_sha256(place)
        rows, found = parquet_facts(place)
    except FileNotFoundError:
        return "they are missing"
    except (*UNREADABLE, zlib.error) as error:
        return f"they cannot be read ({str(error).splitlines()[0] if str(error) else error!r})"
    if found != expected or task["artifact"] not in (
        f"{content}.parquet",
        older_name(found, metric),
    ):
        return "they are not those that came"
    if rows != task["rows"]:
        return f"they are {rows} rows, and were {task['rows']}"
    return ""


def parquet_facts(place: Path) -> tuple[int, str]:
    """How many rows an artifact has, and the SHA-256 of the samples file it was made of.

    All of it is read, the columns beside the lines too.
    """
    import pyarrow.parquet as pq

    def lines(file: Any) -> Iterator[bytes]:
        for batch in file.iter_batches(GROUP_ROWS):
            yield from batch.column("line").to_pylist()

    with pq.ParquetFile(place) as file:
        return file.metadata.num_rows, digest_of(rejoined(lines(file)))


def digest_of(pieces: Iterable[bytes]) -> str:
    """SHA-256 of pieces one after another."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def ledger_trouble(lines: Iterable[Row]) -> dict[str, str]:
    """What is wrong with ledgers, by the hash of each one's first line; the first thing alone.

    Args:
        lines: rows of the table, ledger by ledger and in their order.
    """
    found: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for line in lines:
        number, previous = line["number"], line["previous"]
        # A line follows one that is here: of a ledger that was continued twice several may follow one.
        follows = previous == START if number == 1 else numbers.get(previous) == number - 1
        try:
            entry = json.loads(line["entry"])
            said = wrong_with(entry, number, previous)
            if not said and entry["hash"] != line["hash"]:
                said = f"line {number} is kept under another hash"
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            said = f"line {number} is not an entry"
        if not said and not follows:
            said = f"line {number} follows a line that is not here"
        numbers[line["hash"]] = number
        if said:
            found.setdefault(line["chain"], said)
    return found
