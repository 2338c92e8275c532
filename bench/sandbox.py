"""What a program costs in the sandbox, beyond what it does itself.

`python -m bench.sandbox` executes HumanEval's reference programs of `../shared/data` (or `--data DIR`)
over and over, two at a time, and prints how long one keeps its sandbox busy. What the programs do
themselves is in it: some milliseconds. The line is 60 ms.
"""

from __future__ import annotations

import argparse
import collections
import statistics
import threading
import time
from functools import partial
from pathlib import Path

from olmes import Execution, Limits, Program
from olmes.sandbox.pool import SandboxPool
from olmes.tools import jsonl

BESIDE = Path(__file__).parents[2] / "shared/data"


def programs(data: Path, number: int) -> list[Program]:
    """HumanEval's own solutions, repeated."""
    rows = list(jsonl.read(data / "humaneval/HumanEval.jsonl.gz"))
    made = [
        Program(
            source=row["prompt"] + row["canonical_solution"],
            tests=f"{row['test']}\ncheck({row['entry_point']})",
            limits=Limits(wall_s=60.0),
        )
        for row in rows
    ]
    return (made * (-(-number // len(made))))[:number]


def main() -> None:
    """Print median, mean and rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if not (arguments.data / "humaneval/HumanEval.jsonl.gz").is_file():
        print(f"skipped: {arguments.data} does not hold HumanEval")
        return
    waiting = programs(arguments.data, arguments.programs)
    pool = SandboxPool(arguments.processes)
    took: list[float] = []
    results: collections.Counter[str] = collections.Counter()
    last: dict[int, float] = {}
    over = threading.Event()
    began = time.perf_counter()

    def done(_: int, execution: Execution) -> None:
        now, thread = time.perf_counter(), threading.get_ident()
        took.append(now - last.get(thread, began))
        last[thread] = now
        results[execution.result] += 1
        if len(took) == len(waiting):
            over.set()

    for number, program in enumerate(waiting):
        pool.submit(program, partial(done, number))
    over.wait()
    whole = time.perf_counter() - began
    pool.close()
    print(f"{len(waiting)} programs, {arguments.processes} at a time: {dict(results)}")
    print(f"  a program, median  {statistics.median(took) * 1000:.1f} ms")
    print(f"  a program, mean    {statistics.mean(took) * 1000:.1f} ms")
    print(f"  an hour            {len(waiting) / whole * 3600:,.0f} programs")


if __name__ == "__main__":
    main()
