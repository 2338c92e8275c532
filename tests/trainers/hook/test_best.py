"""The best of several checkpoints, from real records of recorded answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import evaluate
from olmes.comparison.items import SharedItems
from olmes.stats import Part, best_of, stratified_mean
from olmes.trainers.checkpoints.best import best_among, eligible, outcome, publish
from olmes.trainers.checkpoints.manifest import Training
from olmes.trainers.checkpoints.queue import Queue
from olmes.trainers.checkpoints.reporting import best_sentence
from olmes.trainers.checkpoints.request import EvalRequest
from tests.known import known

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab

RIGHT = {2: 3, 4: 9, 6: 8}
"""Items of twelve that a checkpoint gets right."""


@pytest.fixture
def scored(lab: Lab) -> Queue:
    """Three checkpoints that are done."""
    queue = Queue(lab.training)
    Training(name="out", output_dir=str(lab.output_dir), cwd=str(lab.folder)).write(lab.training)
    request = EvalRequest(target=str(lab.suite), out=str(lab.runs), data=str(lab.data))
    for step, right in RIGHT.items():
        recording = lab.folder / f"{step}.jsonl"
        rows = [
            {"response": f"word{i}" if i < right else "no", "doc_id": i, "tokens": 1}
            for i in range(12)
        ]
        recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
        record = evaluate(
            str(lab.suite),
            model=f"replay:{recording}",
            data=lab.data,
            out=lab.runs,
            scoring_processes=1,
        )
        with queue.changing() as connection:
            queue.insert(
                connection, label=f"checkpoint-{step}", step=step, signature="a",
                source=lab.output_dir / f"checkpoint-{step}", request=request, policy="every",
                folder=f"files/x/out/checkpoint-{step}",
            )  # fmt: skip
        job, lock = known(queue.take())
        queue.finish(job, "done", fingerprint=str(step), result=outcome(record))
        lock.release()
    return queue


def test_best_and_scores_are_written(lab: Lab, scored: Queue) -> None:
    (lab.training / "files/x/out/checkpoint-4").mkdir(parents=True)
    items = SharedItems(each=True)
    kept = publish(scored, Training.read(lab.training), items)
    assert kept == {"files/x/out/checkpoint-4"}
    assert len(items.runs or ()) == 3
    (best,) = lab.best()
    assert (best["checkpoint"], best["step"], best["k"], best["n"]) == ("checkpoint-4", 4, 3, 12)
    assert best["aside"] == str(lab.training / "files/x/out/checkpoint-4")
    columns = [[float(i < right) for right in RIGHT.values()] for i in range(12)]
    wanted = best_of(columns)
    found = dict(best)
    for name in ("score", "stderr", "corrected", "bias", "ci_low", "ci_high"):
        assert found[name] == pytest.approx(getattr(wanted, name), abs=1e-12), name
    assert known(best["corrected"]) < known(best["score"]) == 0.75
    assert best["note"] == ""
    assert "checkpoint-4 with 75.0" in best_sentence(best)
    rows = lab.scores()
    assert [(row["step"], row["value"], row["n"]) for row in rows] == [
        (2, 0.25, 12), (4, 0.75, 12), (6, pytest.approx(8 / 12), 12),
    ]  # fmt: skip
    assert rows[0]["tasks"]["echo"]["metric"] == "exact_match"
    assert all(Path(row["folder"], "run.json").exists() for row in rows)


def test_what_is_not_whole_or_held_out_is_not_chosen_from(scored: Queue) -> None:
    job = scored.jobs()[1]
    assert eligible(job)
    for change in ({"complete": False}, {"held_out": True}, {"value": None}, {"same_as": "x"}):
        with scored.changing() as connection:
            result = json.dumps({**known(job.result), **change})
            connection.execute("UPDATE jobs SET result = ? WHERE id = ?", (result, job.id))
        assert not eligible(scored.jobs()[1])


@pytest.mark.parametrize(
    ("change", "why"),
    [({"complete": False}, "scored completely"), ({"value": None}, "units or directions differ")],
)
def test_where_none_can_be_chosen_none_is_removed(
    lab: Lab, scored: Queue, change: dict[str, Any], why: str
) -> None:
    for job in scored.jobs():
        with scored.changing() as connection:
            result = json.dumps({**known(job.result), **change})
            connection.execute("UPDATE jobs SET result = ? WHERE id = ?", (result, job.id))
    kept = publish(scored, Training.read(lab.training), SharedItems())
    assert kept == {f"files/x/out/checkpoint-{step}" for step in RIGHT}
    assert lab.best() == []
    [undecided] = json.loads((lab.training / "best.json").read_text())["undecided"]
    assert why in undecided["note"]


def test_one_checkpoint_needs_no_correction(scored: Queue) -> None:
    best = best_among(scored.jobs()[:1], SharedItems())
    assert best.numbers["corrected"] == best.numbers["score"] == 0.25


def test_weights_give_the_mean_of_the_suite() -> None:
    """A plain task, one over parts, and one that averages its sub-tasks, as a suite does."""
    tasks = {
        "plain": ([1.0, 0.0, 0.0], ["", "", ""], [1, 1, 1]),
        "parts": ([1.0, 0.0], ["", ""], [3, 1]),
        "macro": ([1.0, 1.0, 0.0, 0.0], ["a", "b", "b", "b"], [1, 1, 1, 1]),
    }
    values: list[float] = []
    strata: list[Part] = []
    sizes: list[float] = []
    for name, (numbers, subtasks, parts) in tasks.items():
        values += numbers
        strata += [Part(name, subtask) for subtask in subtasks]
        sizes += parts
    expected = (1 / 3 + 3 / 4 + (1 + 1 / 3) / 2) / 3
    assert stratified_mean(values, strata=strata, sizes=sizes).value == pytest.approx(expected)
    found = best_of([[value] for value in values], strata=strata, sizes=sizes)
    assert found.score == pytest.approx(expected)
