"""What a run costs before and after its model: ours beside lm-eval's, and once more from the cache.

`python -m bench.fixed_cost`. Ours is a recorded response to one item, from the start of the process to
its end, record and page included. lm-eval's is its `dummy` model on one item of a task of its own, read
from a file. Last, the development suite with the embedded model whose answers are all in the cache:
neither weights nor the libraries that load them are touched.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench.start_up import OLMES, measured, replayed

LM_EVAL = Path(sys.executable).parent / "lm-eval"
TASK = """\
task: olmes_fixed
dataset_path: json
dataset_kwargs:
  data_files:
    test: {items}
test_split: test
output_type: generate_until
doc_to_text: "{{{{q}}}}"
doc_to_target: "{{{{a}}}}"
metric_list:
  - metric: exact_match
"""
TIMES = 3
SUITE = (
    "--suite", "dev", "--limit", "2", "--set", "gsm8k.max_tokens=4", "--set",
    "math.max_tokens=4", "--set", "ifeval.max_tokens=4",
)  # fmt: skip


def lm_eval(folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of lm-eval's run of one item; its data set is prepared before."""
    items = folder / "items.jsonl"
    items.write_text(json.dumps({"q": "a", "a": "b"}) + "\n", "utf-8")
    (folder / "olmes_fixed.yaml").write_text(TASK.format(items=items), "utf-8")
    command = (
        str(LM_EVAL), "run", "--model", "dummy", "--tasks", "olmes_fixed", "--include_path",
        str(folder), "--limit", "1",
    )  # fmt: skip
    environment = {"HF_DATASETS_CACHE": str(folder / "datasets"), "HF_HUB_OFFLINE": "1"}
    measured(command, environment)
    return medians([measured(command, environment) for _ in range(TIMES)])


def cached(folder: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """CPU and wall seconds of the development suite: answered by the model, then by the cache."""
    environment = {"OLMES_OFFLINE": "1"}
    pairs = [
        measured((*OLMES, "run", *SUITE, "--out", str(folder / f"cached{at}")), environment)
        for at in range(TIMES + 1)
    ]
    for at in range(1, TIMES + 1):
        [record] = (folder / f"cached{at}").glob("*/run.json")
        cost = json.loads(record.read_text("utf-8"))["cost"]
        assert cost["requests"] == cost["load_s"] == 0, "the model was asked"
    return pairs[0], medians(pairs[1:])


def medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The median of each of two numbers."""
    return statistics.median(one[0] for one in pairs), statistics.median(one[1] for one in pairs)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = replayed(folder, 1)
        theirs = lm_eval(folder)
        first, second = cached(folder)
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(f"{'one item, process start to end':44} {'cpu s':>8} {'wall s':>8}")
    for label, (cpu, wall) in (
        ("lm-eval run --model dummy", theirs),
        ("olmes run, a recorded response", ours),
        ("dev suite, embedded model: first run", first),
        ("dev suite, all answers in the cache", second),
    ):
        print(f"{label:44} {cpu:8.2f} {wall:8.2f}")
    print(f"{'lm-eval over ours':44} {theirs[0] / ours[0]:8.1f} {theirs[1] / ours[1]:8.1f}")


if __name__ == "__main__":
    main()
