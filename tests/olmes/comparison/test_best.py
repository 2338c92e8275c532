"""Which checkpoint is best: one answer for a training's best.json, its page, and the record's numbers.

Items that are weighed alike have another best than items that are weighed by their parts, as the task's
own number weighs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from olmes import Record
from olmes.comparison.best import SharedValues, shared_by_suite, shared_by_task
from olmes.comparison.compare import compare_runs
from olmes.comparison.falls import mean_alarm
from olmes.comparison.items import SharedItems
from olmes.records.shown import shown
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.stats import BestOf, best_of
from olmes.trainers.checkpoints.best import Best, best_among, outcome
from olmes.trainers.checkpoints.queue import Job
from olmes.trainers.checkpoints.request import EvalRequest
from tests.factories import response_row, run_json, score_json, task_json, with_fields, written
from tests.known import known

SIZES = [1, 1, 1, 1, 1, 1, 2, 3, 8, 9]
"""Parts of each item, 28 together: two items are most of them."""
RIGHT = {
    100: [1, 1, 1, 1, 1, 1, 1, 1, 2, 1],  # 7.0 + 1/2 + 1/3 + .. of ten items, but 11 of 28 parts
    200: [0, 0, 0, 0, 0, 1, 1, 2, 8, 9],  # fewer of the items, but 21 of 28 parts
    300: [0, 1, 0, 1, 0, 1, 1, 1, 4, 5],
}
"""Parts that a checkpoint gets right, by step and item."""
NUMBERS = ("index", "score", "stderr", "corrected", "bias", "ci_low", "ci_high", "checkpoints", "n")


def checkpoint(folder: Path, step: int, tasks: Sequence[str] = ("parts",)) -> Record:
    """A record of one step, with samples; `plain` has one part an item, the other way about."""
    made = {}
    for name in tasks:
        rows = []
        for doc, (size, right) in enumerate(zip(SIZES, RIGHT[step], strict=True)):
            value: float | list[bool] = [part < right for part in range(size)]
            if name == "plain":
                value = float(right == size)
            rows.append(response_row(doc_id=doc, doc_hash=f"{doc:08x}", values={"right": value}))
        number = sum(RIGHT[step]) / sum(SIZES)
        if name == "plain":
            number = sum(r == s for r, s in zip(RIGHT[step], SIZES, strict=True)) / len(SIZES)
        path = folder / f"step-{step}/samples/{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        score = score_json(number, n=sum(SIZES))
        made[name] = task_json(
            primary="right", metrics={"right": score}, n=10, samples=f"samples/{name}.jsonl"
        )
    mean = sum(task["metrics"]["right"]["value"] for task in made.values()) / len(made)
    run = run_json(
        made, id=f"step-{step}", created=f"2026-11-22T10:00:{step // 10:02}Z",
        model={"name": "m", "fingerprint": f"{step:064x}", "step": step},
        suite={"name": "s", "tasks": list(made), **score_json(mean)},
    )  # fmt: skip
    return written(folder / f"step-{step}", run)


def checkpoints(folder: Path, tasks: Sequence[str] = ("parts",)) -> list[Record]:
    return [checkpoint(folder, step, tasks) for step in RIGHT]


def job(number: int, record: Record) -> Job:
    """A checkpoint that a training's queue has scored."""
    step = int(known(record.run.model.step))
    return Job(
        number=number, id=str(number), label=f"checkpoint-{step}", step=step, signature="a",
        source="", folder="", request_hash="r", request=EvalRequest(target="s", out="runs"),
        policy="every", state="done", attempts=0, deaths=0, not_before=0.0, reason="", owner="",
        fingerprint=record.run.model.fingerprint, result=outcome(record), created=0.0, updated=0.0,
    )  # fmt: skip


def chosen(records: Sequence[Record]) -> Best:
    """What `best.json` would say."""
    return best_among([job(at, record) for at, record in enumerate(records)], SharedItems())


def of_task(records: Sequence[Record], name: str = "parts") -> SharedValues:
    return known(shared_by_task(name, records, SharedItems()))


def of_suite(records: Sequence[Record]) -> SharedValues:
    return known(shared_by_suite(list(records[0].tasks), records, SharedItems()))


def numbers(found: BestOf) -> list[float | int | None]:
    return [getattr(found, name) for name in NUMBERS]


def test_items_that_weigh_alike_would_choose_another() -> None:
    """Else this file would show nothing."""
    alike = [[RIGHT[step][at] / size for step in RIGHT] for at, size in enumerate(SIZES)]
    assert best_of(alike).index == 0


def test_trainer_page_and_record_agree_where_items_have_parts(tmp_path: Path) -> None:
    records = checkpoints(tmp_path)
    by_task, by_suite = of_task(records).best(), of_suite(records).best()
    assert by_task.index == by_suite.index == 1
    assert numbers(by_task) == pytest.approx(numbers(by_suite))
    best = chosen(records)
    assert best.job.step == 200
    assert best.note == ""
    for name in ("score", "stderr", "corrected", "bias", "ci_low", "ci_high", "n"):
        assert best.numbers[name] == pytest.approx(getattr(by_task, name)), name
    # The score is the record's own number, and the highest of them.
    values = [record.value("parts") for record in records]
    assert by_task.score == pytest.approx(max(values)) == pytest.approx(records[1].value("parts"))


def test_so_they_do_over_a_suite_of_several_tasks(tmp_path: Path) -> None:
    records = checkpoints(tmp_path, ("parts", "plain"))
    by_suite = of_suite(records).best()
    means = [known(known(record.run.suite).value) for record in records]
    assert by_suite.score == pytest.approx(means[by_suite.index])
    assert by_suite.index == means.index(max(means))
    best = chosen(records)
    assert best.job.step == records[by_suite.index].run.model.step
    assert best.numbers["score"] == pytest.approx(by_suite.score)
    assert best.numbers["corrected"] == pytest.approx(by_suite.corrected)
    # Each task alone has an answer of its own.
    assert of_task(records, "plain").best().index == 0
    assert of_task(records, "parts").best().index == 1


def test_the_page_of_the_training_shows_that_best(tmp_path: Path) -> None:
    records = checkpoints(tmp_path)
    page = tmp_path / "page.html"
    write_checkpoints_page([(float(known(r.run.model.step)), r) for r in records], page)
    text = page.read_text("utf-8")
    best = chosen(records).numbers
    assert shown(best["score"], "share") in text
    assert shown(best["corrected"], "share") in text
    assert shown(best["corrected"], "share") != shown(best["score"], "share")


def test_less_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    field = ("tasks", "parts", "metrics", "right", "higher_is_better")
    records = [with_fields(record, {field: False}) for record in checkpoints(tmp_path)]
    by_task, by_suite = of_task(records).best(), of_suite(records).best()
    assert by_task.index == by_suite.index == 0  # 11 of 28 parts
    assert numbers(by_task) == pytest.approx(numbers(by_suite))
    for record in records:  # best.json reads the records from their folders
        written(record.folder, record.to_json())
    assert chosen(records).job.step == 100


def test_the_alarm_weighs_as_the_best_does(tmp_path: Path) -> None:
    records = [*checkpoints(tmp_path)[:2], checkpoint(tmp_path, 100)]
    names = [record.id for record in records]
    by_task, by_suite = of_task(records).alarm(names), of_suite(records).alarm(names)
    assert by_task == by_suite


LOSSES = {100: 2.31, 200: 1.12, 300: 0.47}
"""Mean loss by step: a number of which less is better, and the last is the best."""


def losses(folder: Path, steps: Mapping[int, float] = LOSSES) -> list[Record]:
    """Records of a task of one's own whose metric is a loss, ten items of it."""
    made = []
    for step, mean in steps.items():
        order = {100: 1, 200: 3, 300: 7}[
            step
        ]  # differences that are all alike would be no evidence
        values = [mean + 0.01 * (at * order % 10 - 4.5) for at in range(10)]
        path = folder / f"step-{step}/samples/own.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(
            json.dumps(response_row(doc_id=at, doc_hash=f"{at:08x}", values={"loss": value})) + "\n"
            for at, value in enumerate(values)
        ))  # fmt: skip
        score = {**score_json(mean, stderr=0.01, n=10), "unit": "number", "higher_is_better": False}
        task = task_json(primary="loss", metrics={"loss": score}, n=10, samples="samples/own.jsonl")
        mine = score_json(mean, stderr=0.01, n=10) | {"unit": "number"}
        made.append(written(folder / f"step-{step}", run_json(
            {"own": task}, id=f"step-{step}", created=f"2026-11-22T10:00:{step // 10:02}Z",
            model={"name": "m", "fingerprint": f"{step:064x}", "step": step},
            suite={"name": "s", "tasks": ["own"], **mine},
        )))  # fmt: skip
    return made


def test_the_best_loss_is_the_lowest_and_is_shown_as_it_is(tmp_path: Path) -> None:
    records = losses(tmp_path)
    best = chosen(records)
    assert best.job.step == 300
    assert best.note == ""
    assert best.numbers["score"] == pytest.approx(0.47)
    assert known(best.numbers["corrected"]) >= 0.47
    assert best.to_json(tmp_path)["unit"] == "number"
    page = tmp_path / "page.html"
    write_checkpoints_page([(float(known(r.run.model.step)), r) for r in records], page)
    text = page.read_text("utf-8")
    assert "Best at step 300: 0.470" in text
    assert "-0.470" not in text
    assert "47.0" not in text
    assert "Fallen" not in text  # it got better at every step


def test_a_loss_that_rises_has_fallen(tmp_path: Path) -> None:
    records = losses(tmp_path, {100: 2.31, 200: 0.47, 300: 1.12})
    assert chosen(records).job.step == 200
    page = tmp_path / "page.html"
    write_checkpoints_page([(float(known(r.run.model.step)), r) for r in records], page)
    text = page.read_text("utf-8")
    assert "Fallen" in text
    assert "▼ worse" in text
    assert "+0.650" in text


def test_the_latest_against_the_best_is_what_compare_says_of_the_two(tmp_path: Path) -> None:
    """Items with parts: the change on the page is `olmes compare`'s, parts and all."""
    records = checkpoints(tmp_path)[1:]  # 21 of 28 parts, then 14
    names = ["200", "300"]
    [task] = compare_runs(*records).tasks
    wanted = known(task.difference)
    for alarm in (of_task(records).alarm(names), of_suite(records).alarm(names)):
        fall = known(alarm).fall
        assert (
            fall.difference == pytest.approx(wanted.difference) == pytest.approx(-7 / 28, abs=0.1)
        )
        assert (fall.ci_low, fall.ci_high) == pytest.approx((wanted.ci_low, wanted.ci_high))
        assert (fall.before, fall.after) == pytest.approx((wanted.baseline, wanted.candidate))


def test_without_samples_or_a_choice_there_is_none(tmp_path: Path) -> None:
    records = checkpoints(tmp_path)
    assert shared_by_task("parts", records[:1], SharedItems()) is None
    assert shared_by_suite(["parts"], records[:1], SharedItems()) is None
    assert shared_by_task("other", records, SharedItems()) is None
    records[1].samples_path("parts").unlink()
    assert shared_by_task("parts", records, SharedItems()) is None
    assert shared_by_suite(["parts"], records, SharedItems()) is None
    assert chosen(records).note == "not corrected: the checkpoints share too few items"
    assert chosen(records).job.step == 200


def test_the_alarm_of_a_mean_has_the_interval_of_compare(tmp_path: Path) -> None:
    records = checkpoints(tmp_path, ("parts", "plain"))
    names = [record.id for record in records]
    alarm = known(mean_alarm(records, names, SharedItems()))
    fall = alarm.against_previous
    found = known(compare_runs(records[-2], records[-1]).suite).difference
    assert (fall.difference, fall.ci_low, fall.ci_high) == pytest.approx(
        (found.value, found.ci_low, found.ci_high)
    )
    assert min(fall.p_value, 1 - fall.p_value) == pytest.approx(found.p_value / 2)
