"""Seconds to score 1,000 MATH responses on one core, and the slowest single answer.

`python -m bench.math_scoring` times published responses (Qwen2.5-Math), recorded variants of gold
answers and a perfect and a wrong response to every problem, from `../shared` (or `--data DIR`,
`--reference DIR`). The reference's seconds are its own record beside each verdict: `exact_match` and
`exact_match_flex`, measured where it ran.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.benchmark.task import Task
from olmes.tools import jsonl
from olmes.types import Doc

BESIDE = Path(__file__).parents[2] / "shared"
ROW = "{:<38}{:>7}{:>16}{:>16}{:>14}{:>11}"


def main() -> None:
    """Print processor seconds per 1,000 responses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=BESIDE / "data")
    parser.add_argument("--reference", type=Path, default=BESIDE / "reference")
    arguments = parser.parse_args()
    if not (arguments.data / "math/test.jsonl.gz").is_file():
        print(f"skipped: {arguments.data} does not hold MATH")
        return
    docs = list(jsonl.read(arguments.data / "math/test.jsonl.gz"))
    task = load_task("math")
    started = time.perf_counter()
    task.prepare()
    print(f"once a scoring process: {time.perf_counter() - started:.1f} s of imports")
    print("processor seconds per 1,000 responses, one core; slowest answer in seconds")
    print(ROW.format("", "n", "exact and flex", "reference", "math_verify", "slowest"))
    for name, pairs, reference in workloads(task, docs, arguments.reference / "verdicts"):
        protocol, slow = timed(task.score, pairs)
        honest, slower = timed(task.score_math_verify, pairs)  # type: ignore[attr-defined]
        recorded = "" if reference is None else f"{reference:.1f}"
        print(
            ROW.format(
                name, len(pairs), f"{protocol:.2f}", recorded, f"{honest:.2f}",
                f"{max(slow, slower):.2f}",
            )
        )  # fmt: skip


def workloads(
    task: Task, docs: list[Doc], verdicts: Path
) -> Iterable[tuple[str, list[tuple[Doc, Response]], float | None]]:
    """Name, documents with responses, and the reference's seconds per 1,000 where it recorded them.

    One after the other in one process, as in a run: what was parsed before is remembered.
    """
    recorded = {
        "published responses": verdicts / "minerva_math_samples.jsonl.gz",
        "recorded variants of golds": verdicts / "minerva_math_pairs.jsonl.gz",
    }
    for name, path in recorded.items():
        if path.is_file():
            rows = list(jsonl.read(path))
            pairs = [(docs[row["doc_id"]], Response(text=row["response"])) for row in rows]
            yield name, pairs, 1000 * sum(row["seconds"] for row in rows) / len(rows)
    perfect = [task.perfect_response(doc) for doc in docs]
    yield "a perfect response to every problem", list(zip(docs, perfect, strict=True)), None
    shifted = [*perfect[1:], perfect[0]]
    yield "the answer of the next problem", list(zip(docs, shifted, strict=True)), None
    prose = [(doc, Response(text=plain(doc["solution"]))) for doc in docs[::5]]
    yield "solutions without box and dollars", prose, None


def plain(solution: str) -> str:
    """A solution that states its answer nowhere: all of it is the protocol's candidate."""
    return solution.replace(r"\boxed", "").replace("$", "")


def timed(
    score: Callable[[Doc, Response], object], pairs: list[tuple[Doc, Response]]
) -> tuple[float, float]:
    """Processor seconds per 1,000 pairs, and the most seconds that one took."""
    total = slowest = 0.0
    for doc, response in pairs:
        started = time.process_time()
        score(doc, response)
        seconds = time.process_time() - started
        total, slowest = total + seconds, max(slowest, seconds)
    return 1000 * total / len(pairs), slowest


if __name__ == "__main__":
    main()
