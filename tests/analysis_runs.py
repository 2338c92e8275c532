"""The made-up training that docs/analysis.md analyses: nine checkpoints, five looks at unseen tasks.

Nothing was trained: every item has a difficulty, every step a skill, and chance decides between them.
`python -m tests.analysis_runs` draws the pictures of the page again.
"""

from __future__ import annotations

import json
import math
import random
import re
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import msgspec

from olmes import stats
from olmes.records.schema import ResponseRow, Score
from olmes.seal.ledger import Ledger
from olmes.seal.look import TakenLook
from olmes.seal.sealing import sealed_files, sealed_samples
from olmes.stats import Estimate
from olmes.tools.as_json import as_json
from olmes.tools.jsonl import line_of
from tests.factories import data_json, response_row, run_json, task_json

DOCS = Path(__file__).parents[1] / "docs"
DEV = {"gsm8k": "GSM8K", "math": "MATH", "ifeval": "IFEval"}
UNSEEN = {"deepmind_math": "DeepMind Mathematics", "ifeval_ood": "IFEval-OOD"}
ITEMS = {"gsm8k": 600, "math": 400, "ifeval": 300, "deepmind_math": 400, "ifeval_ood": 200}
GAIN = {"gsm8k": 1.7, "math": 1.0, "ifeval": 2.0, "deepmind_math": 0.5, "ifeval_ood": 1.1}
"""By how much a task gets easier over the training, in log-odds."""
STEPS = range(0, 2001, 250)
LOOKS = (0, 500, 1000, 1500, 2000)
FAMILY = "example-sft"


def write_runs(store: Path) -> None:
    """Write the runs of the training into a folder."""
    for step in STEPS:
        write_run(store, "dev", DEV, step)
        if step in LOOKS:
            write_run(store, "unseen", UNSEEN, step)


def write_run(store: Path, suite: str, titles: dict[str, str], step: int) -> None:
    """One checkpoint on one suite."""
    folder = store / f"{FAMILY}-{step}-{suite}"
    rows = {name: responses(name, step) for name in titles}
    scores = {name: stats.mean(values_of(own)) for name, own in rows.items()}
    tasks = {
        name: task_json(
            title=title,
            data=data_json(n=ITEMS[name], content_hash=name.encode().hex().ljust(64, "0")),
            n=ITEMS[name],
            items=ITEMS[name],
            metrics={"exact_match": score_of(scores[name])},
            tokens={"prompt": 900 * ITEMS[name], "completion": (210 - step // 20) * ITEMS[name]},
            samples=f"samples/{name}.jsonl",
        )
        for name, title in titles.items()
    }
    mean = stats.suite_mean(scores, is_share=True)
    assert mean is not None
    run = run_json(
        tasks,
        id=folder.name,
        created=f"2026-11-2{1 + step // 1000}T{10 + step % 1000 // 125:02d}:00:00Z",
        model={
            "name": f"{FAMILY}/{step}",
            "fingerprint": f"{step + 1:064x}",
            "family": FAMILY,
            "step": step,
            "lineage": [{"base": "example-base"}, {"training": FAMILY, "step": step}],
        },
        suite={
            "name": suite,
            "title": f"{'Development' if suite == 'dev' else 'Unseen'} suite",
            "held_out": suite == "unseen",
            "tasks": list(titles),
            **score_of(mean),
            "pairs": [
                {"dev": ["gsm8k", "math"], "unseen": "deepmind_math"},
                {"dev": ["ifeval"], "unseen": "ifeval_ood"},
            ],
        },
        timing={"answer_s": 410.0 - step / 10, "score_s": 3.0},
        cost={"sessions": 1, "requests": sum(ITEMS[name] for name in titles), "wall_s": 420.0,
              "model_s": 400.0 - step / 10, "load_s": 9.0, "gpu_s": 400.0 - step / 10},
    )  # fmt: skip
    folder.mkdir(parents=True)
    if suite == "unseen":
        run["held_out"] = sealed(store, folder, rows, step)
    else:
        for name, own in rows.items():
            path = folder / "samples" / f"{name}.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in own), "utf-8")
    (folder / "run.json").write_text(json.dumps(run), "utf-8")


def sealed(store: Path, folder: Path, rows: dict[str, list[ResponseRow]], step: int) -> Any:
    """The look that a run was, its line in the ledger, its samples under seal."""
    look = {
        "who": "somebody@somewhere", "asked_by": "person", "reason": "the curve of the example",
        "family": FAMILY, "lineage": [], "looks_before": LOOKS.index(step), "dev": None,
    }  # fmt: skip
    taken = TakenLook.of(
        {name: ["unseen"] for name in rows}, Ledger(store).append("run", folder.name, look)
    )
    for name, own in rows.items():
        with sealed_samples(folder, name) as write:
            for row in own:
                write(line_of(row))
    counts = {name: len(own) for name, own in rows.items()}
    return as_json(taken.held_out) | {"sealed": as_json(sealed_files(folder, counts))}


def responses(task: str, step: int) -> list[ResponseRow]:
    """The rows of one task at one step: the same items at every step."""
    items, luck = random.Random(task), random.Random(f"{task} {step}")
    skill = GAIN[task] * (1 - math.exp(-step / 600)) - (0.25 if step == STEPS[-1] else 0.0)
    found = []
    for number in range(ITEMS[task]):
        odds = math.exp(skill - items.gauss(0.4, 1.6))
        right = luck.random() < odds / (1 + odds)
        found.append(
            response_row(
                doc_id=number,
                doc_hash=f"{number:016x}",
                values={"exact_match": float(right)},
                response={
                    "text": "made up",
                    "finish": "stop",
                    "prompt_tokens": 900,
                    "completion_tokens": 210 - step // 20,
                },
            )
        )
    return found


def values_of(rows: Sequence[ResponseRow]) -> list[float]:
    """Right or wrong, row by row."""
    found = [row["values"]["exact_match"] for row in rows]
    return [value for value in found if isinstance(value, float)]


def score_of(found: Estimate) -> dict[str, Any]:
    """A number as a record has it."""
    return dict(msgspec.to_builtins(Score.of(found)))


def cells(page: str) -> Sequence[tuple[str, str]]:
    """The cells of code of a page, each with the text that is shown below it, or ''."""
    found = re.findall(
        r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", page, re.MULTILINE | re.DOTALL
    )
    return [(str(code), str(text)) for code, text in found]


def draw() -> None:
    """Draw the pictures of the page again."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        write_runs(Path("runs"))
        names: dict[str, Any] = {}
        for code, _ in cells((DOCS / "analysis.md").read_text("utf-8")):
            exec(code, names)
        for path in Path().glob("*.png"):
            (DOCS / "images" / path.name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    draw()
