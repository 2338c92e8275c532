"""The responses of a model's runs as one recording that says who gave them (`olmes.models.recording`)."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from olmes.errors import OlmesError
from olmes.models.recording import VERSION, RecordingHead
from olmes.records.record import Record
from olmes.records.schema import RecordedModel
from olmes.tools import jsonl

KEPT = ("doc_id", "subtask", "doc_hash", "repeat", "prompt_hash", "response")
"""Of a sample: what names the item, what was asked, by its hash, and what came back."""
LEVEL = 9


def write_recording(
    records: Sequence[Record], path: Path, *, about: Mapping[str, Any] | None = None
) -> RecordingHead:
    """Write every response of some runs of one model, which `replay:PATH` gives back.

    Args:
        records: complete runs whose samples are not under seal.
        path: `.jsonl.gz`.
        about: fields of `RecordedModel` that are better known than the records say them: its `name`,
            `family`, `step` or `lineage`.

    Raises:
        OlmesError: there is no run, they are of several weights, or a run is incomplete or sealed.
    """
    fingerprints = {record.run.model.fingerprint for record in records}
    if len(fingerprints) != 1:
        raise OlmesError(
            f"a recording is of one model; these runs are of {len(fingerprints)}; name runs of one."
        )
    for record in records:
        if not record.complete:
            raise OlmesError(f"{record.folder} is not complete; run its command again first.")
    lines = [
        jsonl.line_of({"task": task, **{key: row[key] for key in KEPT if key in row}})
        for record in records
        for task in record.tasks
        for row in map(dict, record.samples(task))
    ]
    model = records[0].run.model
    named = RecordedModel(
        name=model.name,
        fingerprint=model.fingerprint,
        parts=model.parts,
        engine=model.engine,
        family=model.family,
        step=model.step,
        lineage=model.lineage,
    )
    head = RecordingHead(
        recording=VERSION,
        model=msgspec.structs.replace(named, **(about or {})),
        recorded=max(record.run.created for record in records),
        tasks={
            name: {key: str(value) for key, value in task.settings.items()}
            for record in records
            for name, task in record.tasks.items()
        },
        rows=len(lines),
        sha256=hashlib.sha256(b"".join(lines)).hexdigest(),
    )
    text = jsonl.line_of(msgspec.to_builtins(head)) + b"".join(lines)
    # Without a time in it the same responses make the same file.
    jsonl.write_atomically(path, gzip.compress(text, LEVEL, mtime=0))
    return head
