"""How long a large data set takes against the items of both suites, and in how much memory.

`python -m bench.decontamination --rows 1000000 --data DIR` makes up a million rows of 2 KB (2 GB) of
English, all of it compared, as JSON lines; one row in a thousand holds a real item between other
words. They are compared with every task of both suites whose own items are at hand (`--data`, the
cache), and each row that holds an item must be found. Memory is that of all processes together,
proportional set size: what they share counts once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from bench.files.processes import most_memory
from bench.training_data import words
from olmes.benchmark.registry import load_suite, load_task
from olmes.data.resolve import at_hand
from olmes.decontamination.evaluations import Evaluation, evaluation
from olmes.decontamination.processes import compare
from olmes.decontamination.scan import Index
from olmes.rows.sources import find_source
from olmes.tools import jsonl

ROW_BYTES = 2000
"""On average."""
PUBLISHED = 34.0
"""Microseconds a document of allenai/decon on a machine it does not name, in 6 KB documents."""


def evaluations(suites: list[str], data: Path | None) -> list[Evaluation]:
    """The tasks of suites whose own items are here."""
    found = []
    for name in dict.fromkeys(task for suite in suites for task in load_suite(suite).tasks):
        task = load_task(name)
        if dataset := at_hand(task, data):
            found.append(evaluation(task, dataset))
        else:
            print(f"{name}: its items are not here")
    return found


def rows(count: int, known: list[Evaluation]) -> Iterator[dict[str, Any]]:
    """Rows of log-normal length; one in a thousand has a long item in it."""
    random, english = Random(0), words()
    items = [item for one in known for item in one.items if item.length >= 16]
    for number in range(count):
        many = max(3, int(ROW_BYTES / 6.6 * random.lognormvariate(-0.32, 0.8)))
        start = random.randrange(max(1, len(english) - many))
        run = english[start : start + many]
        for at in range(random.randrange(50), len(run), 50):
            run[at] = f"{random.getrandbits(32):x} "
        if number % 1000 == 0:
            run.insert(random.randrange(len(run)), "\n".join(random.choice(items).texts) + "\n")
        yield {"id": f"made-up_{number}", "prompt": "".join(run)}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--suites", default="tulu3_dev,tulu3_unseen")
    parser.add_argument("--data", type=Path, help="a folder with the tasks' own items")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--folder", type=Path, help="where the rows are made")
    given = parser.parse_args(arguments)
    known = evaluations(given.suites.split(","), given.data)
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        path = Path(place) / "rows.jsonl"
        jsonl.write(path, rows(given.rows, known))
        size = path.stat().st_size
        print(
            f"{given.rows:,} rows, {size / 1e9:.2f} GB; load average {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        started = time.monotonic()
        index = Index.of(known)
        ready = time.monotonic()
        items = sum(len(one.items) for one in known)
        print(f"{items:,} items of {len(known)} tasks indexed in {ready - started:.1f} s")
        before = os.times()
        with most_memory(os.getpid()) as memory:
            compared = compare(find_source(str(path)), index, processes=given.processes)
            found = {match.row for match in compared}
        took, after = time.monotonic() - ready, os.times()
        spent = sum(after[:4]) - sum(before[:4])
    assert compared.rows == given.rows
    assert found >= {n for n in range(1, given.rows + 1) if (n - 1) % 1000 == 0}
    print(
        f"compared in {took:.1f} s ({spent:.1f} processor seconds): {1e6 * took / given.rows:.1f} µs a "
        f"document beside {PUBLISHED:.0f}, {size / took / 1e6:.0f} MB/s; {memory['PSS']:.0f} MiB at "
        f"most; {len(found):,} rows overlap"
    )


if __name__ == "__main__":
    main()
