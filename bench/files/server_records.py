"""Records of made-up runs, to load a server with."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

WORDS = ("robe", "bolt", "fibre", "train", "leaves", "city", "miles", "eggs", "each", "week")
TASKS = (("gsm8k", "GSM8K"), ("math", "MATH"))


def make_run(folder: Path, name: str, rows: int) -> Path:
    """A record with samples of a few hundred bytes."""
    chance = random.Random(name)
    (folder / "samples").mkdir(parents=True)
    tasks = {task: make_task(folder, task, title, rows, chance) for task, title in TASKS}
    values = [task["metrics"]["exact_match"] for task in tasks.values()]
    mean = sum(one["value"] for one in values) / len(values)
    data = {
        "schema": 1,
        "id": name,
        "identity": "0123456789abcdef",
        "complete": True,
        "created": f"2026-11-{1 + chance.randrange(28):02}T10:00:00Z",
        "olmes": {"version": "0.1.0", "git_commit": None, "git_dirty": None},
        "model": {
            "name": f"model/{name}",
            "fingerprint": hashlib.sha256(name.encode()).hexdigest(),
            "engine": {"backend": "replay"},
        },
        "suite": {
            "name": "dev", "title": "Development suite", "held_out": False, "aggregate": "mean",
            "complete": True, "tasks": list(tasks), **estimate(mean, 2 * rows),
        },
        "limit": None,
        "tasks": tasks,
        "warnings": [],
        "environment": {"python": "3.11"},
        "timing": {"answer_s": 1.0},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(data))
    return folder


def make_task(
    folder: Path, task: str, title: str, rows: int, chance: random.Random
) -> dict[str, Any]:
    """A task's part of the record; its rows go to the samples file."""
    right = 0
    with (folder / "samples" / f"{task}.jsonl").open("w") as stream:
        for number in range(rows):
            good = chance.random() < 0.4
            right += good
            text = " ".join(chance.choices(WORDS, k=40))
            row = {
                "doc_id": number, "subtask": "", "repeat": 0, "doc_hash": f"{number:016x}",
                "prompt_hash": f"{number:016x}", "prompt": None, "prefill": "", "gold": "18",
                "messages": [{"role": "user", "content": f"Question: {text}?"}],
                "continuations": [], "values": {"exact_match": float(good)}, "extracted": "18",
                "response": {"text": text, "finish": "stop", "prompt_tokens": 90,
                             "completion_tokens": 60, "prompt_truncated": 0, "logprobs": [],
                             "error": ""},
                "flags": [], "note": "", "parts": [],
            }  # fmt: skip
            stream.write(json.dumps(row) + "\n")
    return {
        "title": title, "primary": "exact_match", "standard": True, "settings": {},
        "formulation": {"aggregate": "micro"}, "formulation_hash": "0123456789abcdef",
        "scorer_hash": "0123456789abcdef",
        "data": {"origin": "official", "location": "", "content_hash": "ab" * 32, "official": True,
                 "n": rows, "notes": []},
        "n": rows,
        "metrics": {"exact_match": estimate(right / rows, rows) | {"help": "", "honest": False,
                                                                   "higher_is_better": True}},
        "subtasks": {}, "counts": {"failed": 0}, "tokens": {"prompt": 1, "completion": 1},
        "shared_messages": [], "samples": f"samples/{task}.jsonl",
    }  # fmt: skip


def estimate(value: float, n: int) -> dict[str, Any]:
    """A share with its binomial error."""
    error = (value * (1 - value) / n) ** 0.5
    ends = {"ci_low": max(0.0, value - 2 * error), "ci_high": min(1.0, value + 2 * error)}
    return {"value": value, "stderr": error, "n": n, **ends}
