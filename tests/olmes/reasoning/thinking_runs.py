"""Runs of recorded responses that think, on the demo data of GSM8K."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from olmes import Record, evaluate
from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve

HOSTILE = "</script><img src=x onerror='window.pwned = 1'><b>bold</b> {{ 7 * 7 }}"
"""Stands in every thought."""
LONG = "so on " * 10_000


def thinking_rows(unfinished: int, *, wrong: int = 0, marks: int = 0) -> list[dict[str, Any]]:
    """A response to every item: 40 tokens of which 30 thought, cut ones 50.

    The first ones are cut, the next wrong, the last hold marks that nothing takes out; of the others,
    which are right, the first has a long thought.
    """
    task = load_task("gsm8k")
    items = resolve(task, None, say=lambda _: None).instances
    rows = []
    for at, item in enumerate(items):
        answer = task.perfect_response(item.doc, corrupt=at < unfinished + wrong).text
        thought = f"{HOSTILE} thought {at}" + (LONG if at == unfinished + wrong else "")
        row: dict[str, Any] = {"doc_id": item.doc_id}
        if at < unfinished:
            row |= {"response": f"<think>{thought}", "finish": "length", "tokens": 50}
        elif at >= len(items) - marks:
            row |= {"response": f"{answer}\n</think>", "tokens": 10}
        else:
            row |= {"response": answer, "reasoning": thought, "tokens": 40, "reasoning_tokens": 30}
        rows.append(row)
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A file of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def thinking_run(folder: Path, name: str, rows: list[dict[str, Any]]) -> Record:
    """The record of a run of such rows."""
    file = write_rows(folder / f"{name}.jsonl", rows)
    return evaluate("gsm8k", model=f"replay:{file}", out=folder / "runs", scoring_processes=1)
