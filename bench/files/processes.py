"""What a server and its worker processes take: memory and processor time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cpu_seconds(process: int) -> float:
    """Processor time of the serving process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def most_memory(server: int) -> Iterator[dict[str, float]]:
    """Note the memory of the server and its workers once a second."""
    noted = memory(server)
    over = threading.Event()

    def note() -> None:
        while not over.wait(1.0):
            for name, size in memory(server).items():
                noted[name] = max(noted[name], size)

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield noted
    finally:
        over.set()
        thread.join()


def memory(server: int) -> dict[str, float]:
    """Proportional and resident set size of a process and its children, in megabytes."""
    sizes = {"Pss:": 0.0, "Rss:": 0.0}
    for process in [server, *children(server)]:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if (name := line.partition(" ")[0]) in sizes:
                sizes[name] += int(line.split()[1]) / 1024
    return {"PSS": sizes["Pss:"], "RSS": sizes["Rss:"]}


def children(process: int) -> list[int]:
    """The processes below a process."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found
