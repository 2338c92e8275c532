"""The alarm on a gamed reward: when it is raised, over what, and that it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from olmes import stats
from olmes.stats import Alarm, Estimate
from olmes.tools import jsonl
from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.data.training_rows import rewarded_constraints
from olmes.trainers.rewards.series import (
    HELD_OUT,
    MEAN,
    WatchedSeries,
    constraints_met,
    share_met,
)
from olmes.trainers.rewards.watch import (
    ALARMS,
    MET,
    RewardWatch,
    planned_checkpoints,
    watch_reward,
    watch_rewards,
)
from tests.factories import response_row, run_json, task_json, written
from tests.known import known


def made_log(rewards: list[float]) -> list[dict[str, float]]:
    return [
        {"step": step, "reward": reward, "completions/mean_length": 10.0 * step}
        for step, reward in enumerate(rewards, start=1)
    ]


def ends(value: float, stderr: float) -> dict[str, float]:
    return {"value": value, "stderr": stderr, "ci_low": value - 2 * stderr,
            "ci_high": value + 2 * stderr, "n": 600}  # fmt: skip


def alarm(*scores: tuple[int, float, float], lower: bool = False) -> Alarm:
    """Of scores alone: step, value and standard error."""
    found = stats.unpaired_alarm(
        [Estimate(**ends(value, stderr)) for _, value, stderr in scores],  # type: ignore[arg-type]
        [str(step) for step, _, _ in scores],
        is_share=not lower,
        higher_is_better=not lower,
    )
    return known(found)


RISING, FALLING = [0.1, 0.2, 0.6, 0.9], [0.9, 0.8, 0.3, 0.1]


def test_the_alarm_on_a_gamed_reward() -> None:
    rising, worse = made_log(RISING), alarm((2, 0.50, 0.02), (4, 0.30, 0.02))
    found = known(watch_reward(rising, worse, MEAN))
    assert (found.since, found.score_from, found.score_to) == (2, 0.50, 0.30)
    assert found.reward_to == pytest.approx(0.75)
    assert "length 15 -> 35" in str(found)
    assert "the score falls (0.5 -> 0.3)" in str(found)
    assert watch_reward(made_log(FALLING), worse, MEAN) is None
    within_chance = alarm((2, 0.50, 0.2), (4, 0.30, 0.2))
    assert watch_reward(rising, within_chance, MEAN) is None
    assert watch_reward(rising, alarm((2, 0.30, 0.02), (4, 0.50, 0.02)), MEAN) is None


def test_a_loss_that_falls_is_no_alarm_and_one_that_rises_is() -> None:
    log = made_log(RISING)
    better = alarm((2, 0.9, 0.02), (3, 0.7, 0.02), (4, 0.5, 0.02), lower=True)
    assert watch_rewards(log, {"loss": better}) == []
    worse = alarm((2, 0.5, 0.02), (4, 0.9, 0.02), lower=True)
    [found] = watch_rewards(log, {"loss": worse})
    assert "while loss rises (0.5 -> 0.9)" in str(found)


def test_the_log_of_ppo_has_other_names() -> None:
    log = [
        {"step": step, "reward": step, "response_tokens": 9.0, "kl": 0.1 * step}
        for step in (1, 2, 3, 4)
    ]
    found = watch_reward(log, alarm((2, 0.50, 0.02), (4, 0.30, 0.02)), MEAN)
    assert "length 9 -> 9, KL 0.15 -> 0.35" in str(known(found))


def test_the_end_of_a_training_is_known() -> None:
    assert planned_checkpoints(SimpleNamespace(max_steps=1000, save_steps=300)) == 4
    assert planned_checkpoints(SimpleNamespace(max_steps=0, save_steps=300)) is None
    assert planned_checkpoints(SimpleNamespace(max_steps=1000, save_steps=0)) is None


class Answers:
    """A record of IFEval-like samples."""

    tasks = ("ifeval",)

    def __init__(self, rows: list[list[tuple[str, bool]]]) -> None:
        self.rows = rows

    def has_samples(self, _: str) -> bool:
        return True

    def samples(self, _: str) -> Any:
        for doc, row in enumerate(self.rows):
            parts: Any = [{"id": id_, "strict": met, "loose": met} for id_, met in row]
            yield response_row(doc_id=doc, doc_hash=f"{doc:08x}", parts=parts)


def test_constraints_that_no_reward_is_for() -> None:
    rows = [
        [("rewarded", True), ("kept", True)],
        [("kept", False), ("other", True)],
        [("rewarded", False)],
    ]
    made: Any = Answers(rows)
    share = share_met(constraints_met(made, frozenset({"rewarded"})))
    # 2 of 3; two responses of 1 and 2 add 1 - 2/3 and 1 - 4/3: sqrt(2 (1/9 + 1/9)) / 3.
    assert share.value == pytest.approx(2 / 3)
    assert share.stderr == pytest.approx((4 / 9) ** 0.5 / 3)
    everything = frozenset({"rewarded", "kept", "other"})
    assert not constraints_met(made, everything).values


def test_a_row_tells_what_it_rewards() -> None:
    doc = {"instruction_id_list": ["a:b", "c:d"], "kwargs": [{}, {}]}
    verifiers = [{"task": "ifeval", "doc": doc}, {"task": "gsm8k", "doc": {"answer": "1"}}]
    assert rewarded_constraints({"verifiers": json.dumps(verifiers)}) == {"a:b", "c:d"}


def scores_row(step: int, mean: float, tasks: dict[str, float], ask: str = "ours") -> Any:
    return {
        "step": step, "state": "done", "ask": ask, "folder": "gone", **ends(mean, 0.01),
        "tasks": {name: ends(value, 0.01) for name, value in tasks.items()},
    }  # fmt: skip


def test_the_mean_every_task_and_no_other_question(tmp_path: Path) -> None:
    """One task falls while the mean stands: it is said once, kept, and not said again on resuming."""
    out, store = tmp_path / "out", tmp_path / "scores"
    folder = training_folder(store, out)
    folder.mkdir(parents=True)
    out.mkdir()
    jsonl.write(
        folder / "scores.jsonl",
        [
            scores_row(2, 0.5, {"a": 0.6, "b": 0.4}),
            scores_row(4, 0.5, {"a": 0.9, "b": 0.1}),
            scores_row(4, 0.0, {"a": 0.0, "b": 0.0}, ask="somebody else's"),
        ],
    )
    jsonl.write(out / "train_log.jsonl", made_log([0.1, 0.2, 0.6, 0.9]))
    state = SimpleNamespace(is_world_process_zero=True, global_step=4, max_steps=4, save_steps=2)
    said: list[str] = []
    for _ in range(2):
        watch = RewardWatch(out, store, frozenset(), "ours", said.append)
        watch.on_save(None, state, None)
        watch.on_train_end(None, state, None)
    assert len(said) == 1
    assert "while b falls (0.4 -> 0.1)" in said[0]
    [kept] = jsonl.read(out / ALARMS)
    assert (kept["step"], kept["what"], kept["since"]) == (4, "b", 2)
    assert not (out / MET).exists()


def held_out(monkeypatch: pytest.MonkeyPatch, met: dict[str, list[bool]]) -> list[str]:
    """Records of responses with one held-out constraint each, by folder; gives what is read."""
    read: list[str] = []

    def load(folder: Path) -> Answers:
        read.append(folder.name)
        return Answers([[("kept", one)] for one in met[folder.name]])

    monkeypatch.setattr("olmes.trainers.rewards.series.Record.load", load)
    return read


def rows_of(folders: list[str]) -> list[Any]:
    """Rows of checkpoints at steps 2, 4 ... that have no other score."""
    return [
        {**scores_row(2 * at, 0.5, {}), "value": None, "folder": folder}
        for at, folder in enumerate(folders, start=1)
    ]


def test_held_out_constraints_are_a_series(monkeypatch: pytest.MonkeyPatch) -> None:
    read = held_out(monkeypatch, {"early": [True] * 12, "late": [False] * 12})
    rows = rows_of(["early", "late"])
    watched = WatchedSeries(frozenset({"rewarded"}))
    found = watched.alarms(rows)
    assert [(step, one.value) for step, one in watched.shares(rows)] == [(2, 1.0), (4, 0.0)]
    assert read == ["early", "late"]  # each record once
    assert list(found) == [HELD_OUT]
    assert found[HELD_OUT].fall.paired
    [raised] = watch_rewards(made_log(RISING), found)
    assert raised.what == HELD_OUT
    assert WatchedSeries(frozenset()).alarms(rows) == {}


def test_one_response_more_or_less_is_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """One item that was met and is not: its error is not known, and the alarm is not certain."""
    held_out(monkeypatch, {"early": [True], "late": [False]})
    found = WatchedSeries(frozenset({"rewarded"})).alarms(rows_of(["early", "late"]))
    assert not found[HELD_OUT].raised


def test_constraints_are_paired_by_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve of 200 lost and none won is a fall; the same shares of other items are not."""
    early = [at < 150 for at in range(200)]
    lost = [at < 138 for at in range(200)]
    other = [at >= 62 for at in range(200)]
    held_out(monkeypatch, {"early": early, "lost": lost, "other": other})
    for late, rings in (("lost", True), ("other", False)):
        found = WatchedSeries(frozenset({"rewarded"})).alarms(rows_of(["early", late]))
        assert found[HELD_OUT].fall.difference == pytest.approx(-0.06)
        assert found[HELD_OUT].raised is rings


def test_scores_are_paired_where_the_records_can_be_read(tmp_path: Path) -> None:
    """The same scores: too little apart for two numbers, but all on the same items."""
    rows: list[Any] = []
    for step, right in ((2, 150), (4, 138)):
        folder = tmp_path / f"step-{step}"
        values = [float(at < right) for at in range(200)]
        jsonl.write(folder / "samples/a.jsonl", [
            response_row(doc_id=at, doc_hash=f"{at:08x}", values={"right": value})
            for at, value in enumerate(values)
        ])  # fmt: skip
        score = {"value": right / 200, "stderr": 0.03, "ci_low": right / 200 - 0.06,
                 "ci_high": right / 200 + 0.06, "n": 200}  # fmt: skip
        task = task_json(primary="right", metrics={"right": score}, samples="samples/a.jsonl")
        written(folder, run_json({"a": task}))
        rows.append({**scores_row(step, right / 200, {}), **score, "folder": str(folder)})
    found = WatchedSeries(frozenset()).alarms(rows)[MEAN]
    assert found.fall.paired
    assert found.raised
    gone: list[Any] = [{**row, **row["tasks"], "folder": "gone"} for row in rows]
    alone = WatchedSeries(frozenset()).alarms(gone)[MEAN]
    assert not alone.fall.paired
    assert not alone.raised


def test_more_series_make_each_alarm_harder() -> None:
    """What rings for one task does not for one of ten."""

    def fell(tasks: int) -> Any:
        names = [f"task {at}" for at in range(tasks)]
        return [
            {**scores_row(step, 0.5, dict.fromkeys(names, value)), "value": None}
            for step, value in ((2, 0.52), (4, 0.479))
        ]

    watched = WatchedSeries(frozenset())
    few, many = watched.alarms(fell(2)), watched.alarms(fell(10))
    assert few["task 0"].raised
    assert not many["task 0"].raised
    assert many["task 0"].fall.p_adjusted == pytest.approx(5 * few["task 0"].fall.p_adjusted)
