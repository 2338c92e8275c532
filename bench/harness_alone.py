"""The harness alone: replayed GSM8K, everything of a run but the model.

`python -m bench.harness_alone --samples 100000` records 1,319 items times as many repeats as that
takes, then plans, replays, journals, scores and writes the record as `olmes run` does, in a process
of its own whose memory and time are read from the system. The items and the responses are those of
`../shared/data` (or `--data DIR`; Abel-7b's published responses, the same for each repeat), or made
by rule where they are not. `--keep DIR` leaves recording and record there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from olmes.tools import jsonl

BESIDE = Path(__file__).parents[2] / "shared/data"
ITEMS = 1319


def published(data: Path) -> list[str] | None:
    """Abel-7b's responses in the order of the items, where they are at hand."""
    recorded = data / "gsm8k/outputs/abel-7b.gsm8k.jsonl.gz"
    return [row["response"] for row in jsonl.read(recorded)] if recorded.is_file() else None


def made(folder: Path) -> list[str]:
    """Items by rule, written as the official file would be, and the responses to them."""
    docs = [
        {
            "question": f"Ann has {i} apples in each of {i % 7 + 2} bags and buys 12 more. " * 3,
            "answer": f"{i} * {i % 7 + 2} + 12\n#### {i * (i % 7 + 2) + 12}",
        }
        for i in range(ITEMS)
    ]
    (folder / "gsm8k").mkdir(parents=True)
    jsonl.write(folder / "gsm8k/test.jsonl", docs)
    steps = "Ann has {} apples in a bag, so that the bags hold {} of them together. " * 5
    return [
        steps.format(i, i * (i % 7 + 2)) + f"So the answer is {i * (i % 7 + 2) + 12 + i % 2}."
        for i in range(ITEMS)
    ]


def record(path: Path, texts: list[str], repeats: int) -> None:
    """The recording: every repeat of every item."""
    with path.open("w", encoding="utf-8") as stream:
        for repeat in range(repeats):
            for at, text in enumerate(texts):
                row = {"doc_id": at, "repeat": repeat, "response": text, "tokens": len(text) // 4}
                stream.write(json.dumps(row) + "\n")


def peak(pid: int | str = "self") -> int:
    """The most memory a process has held so far, in bytes (its high-water mark, not its parent's)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    return 0


def scorer_peaks(found: dict[int, int]) -> None:
    """Keep the peaks of this process's children up to date for as long as it lives."""
    while True:
        for child in psutil.Process().children():
            try:
                found[child.pid] = max(peak(child.pid), found.get(child.pid, 0))
            except OSError:
                continue
        time.sleep(0.2)


def measured(folder: Path, data: Path, repeats: int, processes: int | None) -> dict[str, Any]:
    """One run, in this process."""
    from olmes import evaluate

    peaks: dict[int, int] = {}
    threading.Thread(target=scorer_peaks, args=(peaks,), daemon=True).start()
    began, before = time.perf_counter(), os.times()
    made = evaluate(
        "gsm8k",
        model=f"replay:{folder / 'recording.jsonl'}",
        data=data,
        out=folder / "runs",
        settings={"gsm8k.n": repeats},
        scoring_processes=processes,
    )
    wall, after = time.perf_counter() - began, os.times()
    found = {
        "samples": made.tasks["gsm8k"].n,
        "wall_s": wall,
        "main_cpu_s": after.user + after.system - before.user - before.system,
        "main_peak": peak(),
        "scorer_peak": max(peaks.values(), default=0),
        "scorers": len(peaks),
        "value": made.value("gsm8k"),
        "timing": made.run.timing,
    }
    from olmes.reports.run_page import write_run_page

    began = time.perf_counter()
    page = write_run_page(made.folder, made.folder / "report.html")
    found["page_s"], found["page_bytes"] = time.perf_counter() - began, page.stat().st_size
    found["page_peak"] = peak()
    ended = os.times()
    found["scorer_cpu_s"] = ended.children_user + ended.children_system
    return found


def lines(found: dict[str, Any]) -> Iterator[str]:
    """What was measured, in words."""
    samples = found["samples"]
    cpu = found["main_cpu_s"] + found["scorer_cpu_s"]
    rate = samples / found["wall_s"]
    yield f"{samples:,} samples, load average {os.getloadavg()[0]:.1f}, {found['timing']}"
    yield f"  wall                  {found['wall_s']:8.1f} s   {rate:8.0f} a second"
    for name in ("main", "scorer"):
        spent = found[f"{name}_cpu_s"]
        share = spent / samples * 1e6
        yield f"  {name + ' processor time':21} {spent:8.1f} s   {share:8.0f} us a sample"
    yield f"  both on two cores, at best                {2 * samples / cpu:8.0f} a second"
    yield f"  peak memory           {found['main_peak'] / 1e6:8.0f} MB in the run's own process"
    each = f"{found['scorer_peak'] / 1e6:8.0f} MB in each of {found['scorers']} scorers"
    yield f"                        {each}"
    size = f"{found['page_bytes'] / 1e6:.1f} MB, peak memory then {found['page_peak'] / 1e6:.0f} MB"
    yield f"  the page              {found['page_s']:8.1f} s   {size}"


def main() -> None:
    """Record, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--scoring-processes", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--here", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        found = measured(
            arguments.here, arguments.data, arguments.repeats, arguments.scoring_processes
        )
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        data, texts = arguments.data, published(arguments.data)
        if texts is None:
            data, texts = folder / "data", made(folder / "data")
        repeats = max(1, round(arguments.samples / len(texts)))
        record(folder / "recording.jsonl", texts, repeats)
        # A process of its own: its memory must not be that of whoever wrote the recording.
        command = [sys.executable, "-m", "bench.harness_alone", "--here", str(folder)]
        command += ["--data", str(data), "--repeats", str(repeats)]
        command += (
            ["--scoring-processes", str(arguments.scoring_processes)]
            if arguments.scoring_processes
            else []
        )
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print("\n".join(lines(json.loads(done.stdout.splitlines()[-1]))))


if __name__ == "__main__":
    main()
