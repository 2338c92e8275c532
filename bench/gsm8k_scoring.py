"""Processor seconds to score 1,000 GSM8K responses on one core.

`python -m bench.gsm8k_scoring` times Abel-7b's 1,319 published responses in `../shared/data` (or
`--data DIR`), in this process and through a scoring process. The reference needs 0.12 s.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.scoring.process.pool import ScoringPool
from olmes.tools import jsonl

BESIDE = Path(__file__).parents[2] / "shared/data"


def main() -> None:
    """Print seconds per 1,000 responses, median of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    recorded = arguments.data / "gsm8k/outputs/abel-7b.gsm8k.jsonl.gz"
    if not recorded.is_file():
        print(f"skipped: {arguments.data} does not hold the published responses")
        return
    docs = list(jsonl.read(arguments.data / "gsm8k/test.jsonl.gz"))
    texts = [row["response"] for row in jsonl.read(recorded)]
    task = load_task("gsm8k")
    alone, pooled = [], []
    for _ in range(arguments.repeat):
        start = time.process_time()
        for doc, text in zip(docs, texts, strict=True):
            task.score(doc, Response(text=text))
        alone.append((time.process_time() - start) / len(docs) * 1000)
    with ScoringPool({"gsm8k": task}, scoring_processes=1) as pool:
        for _ in range(arguments.repeat):
            begun = time.perf_counter()
            for doc, text in zip(docs, texts, strict=True):
                pool.submit("gsm8k", doc, Response(text=text), lambda *_: None)
            pool.join()
            pooled.append((time.perf_counter() - begun) / len(docs) * 1000)
    print(f"{len(docs)} responses, {arguments.repeat} rounds, seconds per 1,000 (median):")
    print(f"  score() in this process, processor time   {statistics.median(alone):.3f}")
    print(f"  through one scoring process, wall time    {statistics.median(pooled):.3f}")


if __name__ == "__main__":
    main()
