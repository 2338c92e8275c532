"""Development and held-out scores side by side, from the records of one or several models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, Record
from olmes.benchmark.suite import Pair
from olmes.comparison.generalization import PairOverModels, generalization
from olmes.tools.as_json import as_json
from tests.factories import run_json, score_json, task_json, with_fields, written
from tests.known import known

PAIRS = [{"dev": ["gsm8k", "math"], "unseen": "deepmind_math"}]


def record(folder: Path, model: str, scores: dict[str, float | None], **fields: Any) -> Record:
    """A record with the suite's members and their values."""
    held = fields.pop("held_out", None)
    diagnosis = {"n": 9, "wrong": 3, "lost": 1, "lost_by": {"latex": 1}, "flags": {}}
    known_values = [value for value in scores.values() if value is not None]
    suite = {
        "name": "unseen" if held else "dev",
        "held_out": bool(held),
        "missing": [],
        "pairs": PAIRS if held else [],
        **score_json(sum(known_values) / len(known_values)),
    }
    tasks = {name: task_json(value, diagnosis=diagnosis) for name, value in scores.items()}
    fields = {"id": f"{model}-{suite['name']}", "suite": suite, "held_out": held} | fields
    return written(folder, run_json(tasks, model=model, **fields))


LOOK = {
    "family": "tulu",
    "looks_before": 2,
    "dev": None,
    "reason": "final",
    "time": "2026-11-22T11:00:00Z",
}


def test_a_pair_has_both_scores_the_gap_and_its_interval(tmp_path: Path) -> None:
    found = generalization(
        [
            record(tmp_path / "a", "m", {"gsm8k": 0.8, "math": 0.4, "ifeval": 0.7}),
            record(tmp_path / "b", "m", {"deepmind_math": 0.35}, held_out=LOOK),
        ]
    )
    [pair] = found.pairs
    [row] = pair.rows
    dev, gap = known(row.dev), known(row.gap)
    assert dev.value == pytest.approx(0.6)
    assert dev.stderr == pytest.approx(0.01 / 2**0.5)
    assert gap.value == pytest.approx(0.25)
    assert gap.stderr == pytest.approx((0.01**2 / 2 + 0.01**2) ** 0.5)
    assert known(gap.ci_low) < 0.25 < known(gap.ci_high)
    assert row.runs == {"gsm8k": "m-dev", "math": "m-dev", "deepmind_math": "m-unseen"}
    assert known(found.suites.rows[0].gap).value == pytest.approx(1.9 / 3 - 0.35)
    [model] = found.models
    assert as_json(model.looks) == [LOOK]
    assert set(found.diagnosis[0]) == {"gsm8k", "math", "ifeval", "deepmind_math"}


def test_of_two_runs_of_a_task_the_newest_counts_everywhere(tmp_path: Path) -> None:
    old = record(tmp_path / "a", "m", {"gsm8k": 0.5})
    new = record(tmp_path / "b", "m", {"gsm8k": 0.8})
    look = record(tmp_path / "c", "m", {"deepmind_math": 0.35}, held_out=LOOK)
    old = with_fields(old, {"id": "old", "created": "2026-01-01T00:00:00Z"})
    new = with_fields(
        new,
        {"id": "new", "created": "2026-01-02T00:00:00Z", "tasks.gsm8k.diagnosis.wrong": 7},
    )
    found = generalization([new, old, look], [Pair(dev=("gsm8k",), unseen="deepmind_math")])
    assert known(found.pairs[0].rows[0].dev).value == 0.8
    assert found.models[0].run_of["gsm8k"] == "new"
    assert found.diagnosis[0]["gsm8k"].wrong == 7


def test_what_was_not_run_is_named_and_not_filled_in(tmp_path: Path) -> None:
    found = generalization(
        [
            record(tmp_path / "a", "m", {"gsm8k": 0.8, "ifeval": 0.7}),
            record(tmp_path / "b", "m", {"deepmind_math": None, "agieval": 0.5}, held_out=LOOK),
        ],
        [Pair(dev=("gsm8k", "math"), unseen="deepmind_math"), Pair(dev=("bbh",), unseen="agieval")],
    )
    maths, reading = (pair.rows[0] for pair in found.pairs)
    assert maths.left_out == ["math"]
    assert known(maths.dev).value == pytest.approx(0.8)
    assert (maths.unseen, maths.gap) == (None, None)
    assert (reading.dev, reading.gap) == (None, None)
    assert known(reading.unseen).value == pytest.approx(0.5)


def test_the_newest_record_counts(tmp_path: Path) -> None:
    old, new = "2026-11-20T10:00:00Z", "2026-11-22T10:00:00Z"
    found = generalization(
        [
            record(tmp_path / "a", "m", {"gsm8k": 0.9}, created=new),
            record(tmp_path / "b", "m", {"gsm8k": 0.1}, created=old),
            record(tmp_path / "c", "m", {"deepmind_math": 0.5}, held_out=LOOK),
        ]
    )
    assert known(found.pairs[0].rows[0].dev).value == pytest.approx(0.9)


def test_gains_that_carry_over_and_gains_that_do_not(tmp_path: Path) -> None:
    def checkpoints(unseen: list[float]) -> PairOverModels:
        records = []
        for step, (dev, held) in enumerate(zip((0.3, 0.4, 0.5, 0.6, 0.7), unseen, strict=True)):
            folder = tmp_path / f"{unseen[0]}-{unseen[-1]}"
            records.append(record(folder / f"d{step}", f"step{step}", {"gsm8k": dev}))
            records.append(
                record(folder / f"u{step}", f"step{step}", {"deepmind_math": held}, held_out=LOOK)
            )
        return generalization(records).pairs[0]

    carried = checkpoints([0.2, 0.26, 0.29, 0.36, 0.4])
    assert carried.carry_over.slope == pytest.approx(0.5, abs=0.01)
    assert known(carried.carry_over.ci_low) > 0
    assert known(carried.carry_over.spearman).value == 1
    assert carried.in_words.startswith("gains carry over")
    flat = checkpoints([0.3, 0.28, 0.31, 0.29, 0.3])
    assert flat.in_words.startswith("no carry-over is shown")
    assert checkpoints([0.5, 0.44, 0.41, 0.36, 0.3]).in_words.startswith("what is gained")


def test_two_models_are_no_trend(tmp_path: Path) -> None:
    found = generalization(
        [
            record(tmp_path / "a", "m", {"gsm8k": 0.9}),
            record(tmp_path / "c", "m", {"deepmind_math": 0.5}, held_out=LOOK),
        ]
    )
    assert found.pairs[0].carry_over.slope is None
    assert found.pairs[0].in_words.startswith("no trend")


def test_without_a_held_out_run_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="olmes run --suite unseen"):
        generalization([record(tmp_path / "a", "m", {"gsm8k": 0.9})])
