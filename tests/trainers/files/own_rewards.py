"""Functions a user might reward responses with, good ones and bad ones."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any


def shortness(
    prompt: Sequence[Mapping[str, str]], completion: str, row: Mapping[str, Any]
) -> float:
    """1 for an empty response, 0 for one as long as `limit` characters (6) or longer."""
    assert prompt[-1]["role"] == "user"
    limit: int = row.get("limit", 6)
    return max(0.0, 1 - len(completion) / limit)


def seen(prompt: Any, completion: str, row: Any, thought: str) -> float:
    """Whether the answer and the thought come apart."""
    return float(completion == "7" and thought == "is it 7?")


def everything(prompt: Any, completion: str, row: Mapping[str, Any]) -> float:
    """How many verifiers the row has of its own."""
    return float(len(row["verifiers"]))


def hostile(prompt: Any, completion: str, row: Any) -> Any:
    """What the response says: sleep, eat memory, raise, end the process, give no number."""
    if completion == "hang":
        time.sleep(60)
    if completion == "memory":
        return float(len(bytearray(1 << 30)))
    if completion == "raise":
        raise KeyError("a field")
    if completion == "exit":
        import os

        os._exit(3)
    if completion == "text":
        return "1.0"
    return 1


def picky(prompt: Any, completion: str, row: Any) -> float:
    """Fails on an empty answer."""
    return float(completion.split()[0] == "7")


def fragile(prompt: Any, completion: str, row: Mapping[str, Any]) -> float:
    """The share of even digits; fails on what the model says where the row is bad."""
    if row.get("bad") and completion:
        raise LookupError(f"nothing known of {completion!r}")
    return sum(letter in "02468" for letter in completion) / max(1, len(completion))


def easy_or_hard(prompt: Sequence[Mapping[str, str]], completion: str, row: Any) -> float:
    """1 for whatever is said to an even number; chance elsewhere."""
    if prompt[-1]["content"].startswith("easy"):
        return 1.0
    return float(sum(map(ord, completion)) % 2)
