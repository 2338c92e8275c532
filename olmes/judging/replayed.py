"""A judge from a file: judgements that were stored by a run, given back without asking anybody.

The file is a samples file of a judged task (docs/record.md) or JSON lines of single judgements; each
judgement holds the question as it was put (`messages`, `generation`, ...) and the answer (`text`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.replay import ReplayModel
from olmes.tools import jsonl
from olmes.tools.hashing import content_hash
from olmes.types import LATER_REQUEST_FIELDS, Request, Response


def replayed_judge(name: str, path: Path) -> ReplayModel:
    """A model that answers each stored question as the file does, and no other.

    Raises:
        OlmesError: the file is missing, or holds no judgement.
    """
    asked = {field.name for field in fields(Request) if field.compare}  # its content
    needed = asked - {*LATER_REQUEST_FIELDS}
    answers: dict[str, Response] = {}
    for row in stored_judgements(path):
        if needed <= row.keys() and isinstance(row.get("text"), str) and not row.get("error"):
            question = {key: row[key] for key in asked if key in row}
            answers[content_hash(question)] = Response(
                text=row["text"], first_token_logprobs=row.get("first_token_logprobs") or {}
            )
    if not answers:
        raise OlmesError(
            f"{path} holds no judgement; give the samples file of a judged task, such as "
            "RUN/samples/TASK.jsonl."
        )
    return ReplayModel(name, path, answers)


def stored_judgements(path: Path) -> Iterator[dict[str, Any]]:
    """Every judgement of a file, whichever of the two forms its rows have."""
    for row in jsonl.read(path):
        if isinstance(row, dict):
            held = row.get("judgements") or [row]
            yield from (
                (one for one in held if isinstance(one, dict)) if isinstance(held, list) else ()
            )
