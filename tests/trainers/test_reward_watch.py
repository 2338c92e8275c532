"""The alarm on a gamed reward: when it is raised, over what, and that it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from olmes.tools import jsonl
from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.reward_watch import (
    ALARMS,
    HELD_OUT,
    MEAN,
    MET,
    RewardWatch,
    constraints_met,
    series_of,
    watch_reward,
    watch_rewards,
)
from olmes.trainers.training_rows import rewarded_constraints


def made_log(rewards: list[float]) -> list[dict[str, float]]:
    return [
        {"step": step, "reward": reward, "completions/mean_length": 10.0 * step}
        for step, reward in enumerate(rewards, start=1)
    ]


def test_the_alarm_on_a_gamed_reward() -> None:
    rising, falling = made_log([0.1, 0.2, 0.6, 0.9]), made_log([0.9, 0.8, 0.3, 0.1])
    worse = [(2, 0.50, 0.02), (4, 0.30, 0.02)]
    found = watch_reward(rising, worse)
    assert found is not None
    assert (found.since, found.score_from, found.score_to) == (2, 0.50, 0.30)
    assert found.reward_to == pytest.approx(0.75)
    assert "length 15 -> 35" in str(found)
    assert "the score falls (0.5 -> 0.3)" in str(found)
    assert watch_reward(falling, worse) is None
    assert watch_reward(rising, [(2, 0.50, 0.2), (4, 0.30, 0.2)]) is None  # within chance
    assert watch_reward(rising, [(2, 0.30, 0.02), (4, 0.50, 0.02)]) is None
    assert watch_reward(rising, worse[:1]) is None


def test_the_log_of_ppo_has_other_names() -> None:
    log = [
        {"step": step, "reward": step, "response_tokens": 9.0, "kl": 0.1 * step}
        for step in (1, 2, 3, 4)
    ]
    found = watch_reward(log, [(2, 0.50, 0.02), (4, 0.30, 0.02)])
    assert found is not None
    assert "length 9 -> 9, KL 0.15 -> 0.35" in str(found)


def test_several_series_are_held_to_a_stricter_bound() -> None:
    """2.1 standard errors of the difference: an alarm for one series, not for one of ten."""
    log = made_log([0.1, 0.2, 0.6, 0.9])
    fell = [(2, 0.50, 0.03), (4, 0.41, 0.03)]
    assert [one.what for one in watch_rewards(log, {MEAN: fell})] == [MEAN]
    assert watch_rewards(log, {f"task {n}": fell for n in range(10)}) == []


class Answers:
    """A record of IFEval-like samples."""

    tasks = ("ifeval",)

    def __init__(self, rows: list[list[tuple[str, bool]]]) -> None:
        self.rows = rows

    def sealed(self, _: str) -> bool:
        return False

    def samples(self, _: str) -> Any:
        for row in self.rows:
            yield {"parts": [{"id": id_, "strict": met, "loose": met} for id_, met in row]}


def test_constraints_that_no_reward_is_for() -> None:
    rows = [
        [("rewarded", True), ("kept", True)],
        [("kept", False), ("other", True)],
        [("rewarded", False)],
    ]
    found = constraints_met(Answers(rows), frozenset({"rewarded"}))  # type: ignore[arg-type]
    assert found is not None
    # 2 of 3; the responses add 1 - 2/3 and 1 - 4/3 to the mean: sqrt(2/9) / 3.
    assert found[0] == pytest.approx(2 / 3)
    assert found[1] == pytest.approx((2 / 9) ** 0.5 / 3)
    everything = frozenset({"rewarded", "kept", "other"})
    assert constraints_met(Answers(rows), everything) is None  # type: ignore[arg-type]


def test_a_row_tells_what_it_rewards() -> None:
    doc = {"instruction_id_list": ["a:b", "c:d"], "kwargs": [{}, {}]}
    verifiers = [{"task": "ifeval", "doc": doc}, {"task": "gsm8k", "doc": {"answer": "1"}}]
    assert rewarded_constraints({"verifiers": json.dumps(verifiers)}) == {"a:b", "c:d"}


def scores_row(step: int, mean: float, tasks: dict[str, float], ask: str = "ours") -> Any:
    return {
        "step": step, "state": "done", "ask": ask, "value": mean, "stderr": 0.01, "folder": "",
        "tasks": {name: {"value": value, "stderr": 0.01} for name, value in tasks.items()},
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
    state = SimpleNamespace(is_world_process_zero=True, global_step=4)
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


def test_held_out_constraints_are_a_series(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def load(folder: Path) -> Answers:
        read.append(folder.name)
        return Answers([[("kept", folder.name == "early")] * 4])

    monkeypatch.setattr("olmes.trainers.reward_watch.Record.load", load)
    rows: Any = [
        {**scores_row(2, 0.5, {}), "folder": "early"},
        {**scores_row(4, 0.5, {}), "folder": "late"},
    ]
    met: dict[str, Any] = {}
    found = series_of(rows, frozenset({"rewarded"}), met)
    assert found[HELD_OUT] == [(2, 1.0, 0.0), (4, 0.0, 0.0)]
    series_of(rows, frozenset({"rewarded"}), met)
    assert read == ["early", "late"]  # each record once
    [alarm] = watch_rewards(made_log([0.1, 0.2, 0.6, 0.9]), found)
    assert alarm.what == HELD_OUT
    assert HELD_OUT not in series_of(rows, frozenset(), met)
