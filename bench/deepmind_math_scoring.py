"""Processor seconds to score 1,000 DeepMind Mathematics responses on one core.

`python -m bench.deepmind_math_scoring` times the answers of the reference's verdicts, which are
right, wrong and in every notation, in `../shared` (or `--shared DIR`): as they are, with working of
1,500 characters before them, and through a scoring process. Beside them stands what the protocol
asks for: `sympy.parse_expr` and `.equals` on the answers that are not the gold string. These answers
were made for the comparison; never hand sympy what a model wrote.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from olmes import Response
from olmes.benchmark.registry import load_task
from olmes.scoring.expressions.closing_phrase import closing
from olmes.scoring.expressions.expression import parse
from olmes.scoring.process.pool import ScoringPool
from olmes.tools import jsonl
from olmes.types import Doc

BESIDE = Path(__file__).parents[2] / "shared"
WORKING = "Subtract 3 from both sides, so 2*x = 10 and x = 10/2.\n" * 28
COMPARED_WITH_SYMPY = 500


def main() -> None:
    """Print seconds per 1,000 answers, median of the rounds, and the slowest answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=BESIDE)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    recorded = arguments.shared / "reference/verdicts/deepmind_math_pairs.jsonl.gz"
    if not recorded.is_file():
        print(f"skipped: {arguments.shared} does not hold the reference's verdicts")
        return
    pairs = read_pairs(arguments.shared / "data", recorded)
    task = load_task("deepmind_math")
    task.prepare()
    print(f"{len(pairs)} answers, {arguments.repeat} rounds, seconds per 1,000 (median):")
    for name, working in (("as they are", ""), ("after 1,500 characters of working", WORKING)):
        spent = [0.0] * len(pairs)

        def score_all(working: str = working, spent: list[float] = spent) -> None:
            parse.cache_clear()
            for number, (doc, text) in enumerate(pairs):
                start = time.process_time()
                task.score(doc, Response(text=working + text))
                spent[number] = max(spent[number], time.process_time() - start)

        seconds = per_thousand(score_all, len(pairs), arguments.repeat)
        print(f"  {name:40} {seconds:.3f}   slowest answer {max(spent):.3f}")
    with ScoringPool({task.name: task}, scoring_processes=1) as pool:

        def score_elsewhere() -> None:
            for doc, text in pairs:
                pool.submit(task.name, doc, Response(text=text), lambda *_: None)
            pool.join()

        seconds = per_thousand(score_elsewhere, len(pairs), arguments.repeat, time.perf_counter)
    print(f"  {'through one scoring process, wall time':40} {seconds:.3f}")
    other = [
        (task.gold(doc), closing(text).answer)
        for doc, text in pairs
        if closing(text).answer.lower() != str(task.gold(doc)).lower() and "!" not in text
    ][:COMPARED_WITH_SYMPY]
    seconds = per_thousand(lambda: ask_sympy(other), len(other), 1)
    print(f"  {f'sympy, {len(other)} answers that are not the gold string':40} {seconds:.3f}")


def read_pairs(data: Path, recorded: Path) -> list[tuple[Doc, str]]:
    """Every judged response with its item."""
    folder = data / "dm_mathematics/olmes_sample100"
    items = {
        path.name.partition(".")[0]: list(jsonl.read(path)) for path in folder.glob("*.jsonl.gz")
    }
    return [
        ({**items[row["subtask"]][row["doc_id"]], "subtask": row["subtask"]}, row["response"])
        for row in jsonl.read(recorded)
    ]


def per_thousand(
    run: Callable[[], None], n: int, rounds: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Median seconds of `rounds` runs over `n` answers, per 1,000."""
    seconds = []
    for _ in range(rounds):
        start = clock()
        run()
        seconds.append(clock() - start)
    return statistics.median(seconds) / n * 1000


def ask_sympy(pairs: Sequence[tuple[str, str]]) -> None:
    """What the protocol does with an answer, without the random point."""
    import sympy

    for gold, answer in pairs:
        try:
            wanted, found = sympy.parse_expr(gold), sympy.parse_expr(answer)
            if isinstance(wanted, sympy.Expr) and isinstance(found, sympy.Expr):
                wanted.equals(found)
        except Exception:  # the protocol: whatever sympy raises, the answer is wrong
            continue


if __name__ == "__main__":
    main()
