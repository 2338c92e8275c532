"""What the ledger beside a record says it came to: the hash of its `run.json` when it was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

LEDGER_FILE = "ledger.jsonl"
"""A store's ledger (`olmes.seal.ledger`), beside the folders of its runs."""
RESULT = b'"result"'


def recorded_hash(store: Path, *runs: str) -> str:
    """The hash that a store's ledger has for the first of some runs it has one for; '' for none."""
    path = store / LEDGER_FILE
    try:
        state = path.stat()
    except OSError:
        return ""
    found = results(path, state.st_mtime_ns, state.st_size)
    return next((found[run] for run in runs if run in found), "")


@lru_cache(maxsize=16)
def results(path: Path, _time: int, _size: int) -> Mapping[str, str]:
    """By run, the newest hash in a ledger, which is read again once its time or size is another."""
    found: dict[str, str] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        if RESULT not in line:
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # `olmes ledger` tells
            continue
        if isinstance(entry, dict) and entry.get("event") == "result":
            found[str(entry.get("run"))] = str(entry.get("record"))
    return found
