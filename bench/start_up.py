"""How long a newcomer waits for nothing: whole processes, and the fixed cost of a run.

`python -m bench.start_up`. Times are medians of process time (user and system CPU) and of wall time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
SAMPLES = 1000
OLMES = (sys.executable, "-m", "olmes")
TASK = Path(__file__).parent / "files/fixed_task.py"


def measured(command: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of one process and its children."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    after = os.times()
    cpu = after.children_user + after.children_system
    return cpu - before.children_user - before.children_system, time.perf_counter() - began


def medians(command: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float]:
    """Median CPU and wall seconds, after one warm-up."""
    measured(command, environment)
    pairs = [measured(command, environment) for _ in range(RUNS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def replayed(folder: Path, count: int) -> tuple[float, float]:
    """A whole run over `count` samples whose responses are recorded: everything but a model."""
    (folder / "fixed.jsonl").write_text(
        "".join(json.dumps({"q": f"question {i} " * 20}) + "\n" for i in range(count)), "utf-8"
    )
    (folder / "recording.jsonl").write_text(
        "".join(json.dumps({"doc_id": i, "response": "x" * 300}) + "\n" for i in range(count)),
        "utf-8",
    )
    pairs = []
    for attempt in range(RUNS):
        command = (
            *OLMES, "run", "--task", str(TASK), "--model", f"replay:{folder / 'recording.jsonl'}",
            "--data", str(folder), "--out", str(folder / f"runs{count}-{attempt}"),
            "--scoring-processes", "1",
        )  # fmt: skip
        pairs.append(measured(command, {"OLMES_CACHE": str(folder / "cache")}))
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def main() -> None:
    """Print the table."""
    python, wall = medians((sys.executable, "-c", "pass"), {})
    print(f"{'process':44} {'cpu ms':>8} {'wall ms':>8}")
    print(f"{'python -c pass':44} {1000 * python:8.0f} {1000 * wall:8.0f}")
    for name, command in (
        ("python -c 'import olmes'", (sys.executable, "-c", "import olmes")),
        ("olmes --help", (*OLMES, "--help")),
        ("olmes list", (*OLMES, "list")),
    ):
        cpu, wall = medians(command, {})
        print(f"{name:44} {1000 * cpu:8.0f} {1000 * wall:8.0f}")
    with tempfile.TemporaryDirectory() as folder:
        small_cpu, small_wall = replayed(Path(folder), 1)
        large_cpu, large_wall = replayed(Path(folder), SAMPLES)
    print(
        f"{'run of 1 recorded sample (fixed cost)':44} {1000 * small_cpu:8.0f} {1000 * small_wall:8.0f}"
    )
    print(
        f"{f'run of {SAMPLES} recorded samples':44} {1000 * large_cpu:8.0f} {1000 * large_wall:8.0f}"
    )
    print(f"{'a sample more':44} {(large_cpu - small_cpu) / (SAMPLES - 1) * 1000:8.3f}")


if __name__ == "__main__":
    main()
