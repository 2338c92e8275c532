"""Records with samples behind their numbers, for what is paired item by item."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes import Record, stats
from olmes.records.schema import Score
from olmes.tools.as_json import as_json
from tests.factories import data_json, response_row, run_json, task_json, written

LOOK = {
    "family": "tulu",
    "looks_before": 2,
    "dev": None,
    "reason": "final",
    "time": "2026-11-22T11:00:00Z",
}
PAIRS = [{"dev": ["gsm8k", "math"], "unseen": "deepmind_math"}]


def sampled(
    folder: Path,
    model: str,
    values: Mapping[str, Sequence[float]],
    *,
    held_out: bool = False,
    whole: int | None = None,
    higher: bool = True,
    unit: str = "share",
    step: float | None = None,
    family: str = "tulu",
    lineage: Sequence[Mapping[str, Any]] = (),
    pairs: Sequence[Mapping[str, Any]] = PAIRS,
    tasks: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Record:
    """A record of a suite whose items have these values.

    Args:
        folder: of the record.
        model: its name.
        values: of each task, item by item.
        held_out: whether it is a look.
        whole: items of each whole task; more than there are values is a limit.
        higher: whether more is better.
        unit: of the metric.
        step: of the training; None for a model that is no checkpoint.
        family: of the model, where it has a step.
        lineage: of the model.
        pairs: of a held-out suite.
        tasks: fields of every task.
        fields: of the record.
    """
    found, samples = {}, folder / "samples"
    samples.mkdir(parents=True)
    for name, own in values.items():
        estimate = stats.mean(list(own))
        metric = as_json(Score.of(estimate)) | {"higher_is_better": higher, "unit": unit}
        found[name] = task_json(
            n=len(own),
            items=len(own),
            data=data_json(n=whole or len(own)),
            metrics={"exact_match": metric},
            samples=f"samples/{name}.jsonl",
            **(tasks or {}),
        )
        rows = [
            response_row(doc_id=at, doc_hash=f"{at:016x}", values={"exact_match": value})
            for at, value in enumerate(own)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (samples / f"{name}.jsonl").write_text(lines, "utf-8")
    mean = stats.suite_mean(
        {name: stats.mean(list(own)) for name, own in values.items()},
        is_share=unit == "share",
    )
    suite = {
        "name": "unseen" if held_out else "dev",
        "held_out": held_out,
        "missing": [],
        "pairs": list(pairs) if held_out else [],
        "unit": unit,
        **as_json(Score.of(mean)),
    }
    described = {
        "name": model,
        "fingerprint": (model.encode().hex() * 64)[:64],
        "step": step,
        "family": family if step is not None else model,
        "lineage": list(lineage),
    }
    return written(
        folder,
        run_json(
            found,
            **{
                "id": folder.name,
                "suite": suite,
                "held_out": LOOK if held_out else None,
                "model": described,
                "limit": len(next(iter(values.values()))) if whole else None,
            }
            | fields,
        ),
    )
