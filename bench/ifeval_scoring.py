"""Processor seconds to score 1,000 IFEval responses, strict and loose.

`python -m bench.ifeval_scoring` times the published responses of four models in `../shared/data` (or
`--data DIR`); `--repeat N` times N rounds. Building the constraints is counted once, importing what
they need is not. The reference implementation needs 1.8 s on the same responses.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.tools import jsonl

BESIDE = Path(__file__).parents[2] / "shared/data"


def published(folder: Path) -> list[tuple[dict[str, Any], str]]:
    """Every official item with every published response to its prompt."""
    docs = {doc["prompt"]: doc for doc in jsonl.read(folder / "input_data.jsonl.gz")}
    paths = [*folder.glob("outputs/*_strict.jsonl.gz"), *folder.glob("outputs/*bison.jsonl.gz")]
    rows = (row for path in sorted(paths) for row in jsonl.read(path))
    return [(docs[row["prompt"]], row["response"]) for row in rows if row["prompt"] in docs]


def main() -> None:
    """Time the rounds and print seconds per 1,000 responses, and where they go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    if not (arguments.data / "ifeval").is_dir():
        print(f"skipped: {arguments.data} does not hold the published responses")
        return
    pairs = published(arguments.data / "ifeval")
    task = load_task("ifeval")
    task.prepare()
    rounds = []
    for _ in range(arguments.repeat):
        start = time.process_time()
        for doc, text in pairs:
            task.score(doc, Response(text=text))
        rounds.append((time.process_time() - start) / len(pairs) * 1000)
    print(f"{len(pairs)} responses, {arguments.repeat} rounds, processor seconds per 1,000:")
    print(
        f"  first {rounds[0]:.2f}  median {statistics.median(rounds):.2f}  best {min(rounds):.2f}"
    )
    spent: dict[str, float] = defaultdict(float)
    for doc, text in pairs:
        start = time.process_time()
        task.score(doc, Response(text=text))
        kind = next(
            (id_ for id_ in doc["instruction_id_list"] if id_.startswith(("lang", "change"))),
            "the rest",
        )
        spent[kind] += time.process_time() - start
    for kind, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {kind:45} {seconds / len(pairs) * 1000:.2f}")


if __name__ == "__main__":
    main()
