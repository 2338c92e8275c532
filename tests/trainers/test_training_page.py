"""`training.html`: of a stage alone, of a stopped one, of several in a row."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.reports.checkpoints_page import write_checkpoints_page
from olmes.reports.training_curves import FRAME, LEAST, StageLog, stage_charts
from olmes.tools import jsonl
from olmes.trainers.train import train
from olmes.trainers.training_page import (
    PAGE,
    PageRefresh,
    StagePlace,
    note_chain,
    write_stage_page,
    write_training_page,
)
from tests.trainers.conftest import Workshop
from tests.trainers.launching import Launcher


def titles(page: Path) -> list[str]:
    """The titles of the charts, and the headings."""
    text = page.read_text("utf-8")
    found = re.findall(r"<figcaption><strong>(.*?)</strong>|<h2[^>]*>(.*?)</h2>", text)
    return [re.sub(r"<[^>]+>", "", html.unescape(a or b)) for a, b in found]


def log_of(kind: str, steps: int, **numbers: float) -> StageLog:
    rows = [{"step": step, "epoch": 0.1, **numbers} for step in range(1, steps + 1)]
    return StageLog(name=kind.upper(), kind=kind, rows=rows)


RECIPE = """
model = "{model}"
template = "tulu"
max_length = 64
[data]
"{stage}.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-3
batch_size = 8
micro_batch_size = 4
max_steps = {steps}
[hardware]
device = "cpu"
[checkpoints]
every = 2
"""


def recipe_file(workshop: Workshop, stage: str, steps: int, more: str = "") -> Path:
    path = workshop.folder / f"one-{stage}.toml"
    text = RECIPE.format(model=workshop.model, stage=stage, steps=steps)
    path.write_text(more + text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("stage", "more", "drawn"),
    [
        ("sft", "", ["Loss per token", "Token accuracy", "Gradient norm", "Learning rate"]),
        ("dpo", "", ["Normalized margin", "Normalized accuracy", "Gradient norm"]),
        (
            "rlvr", "generations = 4\nmax_completion_length = 4\nmax_prompt_length = 32\n",
            ["Reward", "Verified: addition", "KL to the reference", "Clip fraction",
             "Zero-variance groups", "Response length"],
        ),
        (
            "rlvr",
            'algorithm = "ppo"\nmax_completion_length = 4\nmax_prompt_length = 32\n',
            ["Reward", "Verified", "Verified: addition", "KL to the reference", "Value loss",
             "Clip fraction", "Entropy", "Learning rate", "Gradient norm"],
        ),
    ],
    ids=["sft", "dpo", "grpo", "ppo"],
)  # fmt: skip
@pytest.mark.slow
def test_a_stage_alone_names_its_page_on_the_last_line(
    launcher: Launcher, workshop: Workshop, stage: str, more: str, drawn: list[str]
) -> None:
    recipe = recipe_file(workshop, stage, 2, more)
    said = launcher.start(["train", stage, recipe], workshop.folder).good()
    page = workshop.folder / f"trained/one-{stage}" / PAGE
    assert said.splitlines()[-1].endswith(f"its page: trained/one-{stage}/{PAGE}")
    assert set(drawn) <= set(titles(page))
    assert "no checkpoint scored" in page.read_text("utf-8")
    assert "not finished" not in page.read_text("utf-8")
    page.unlink()
    again = launcher.start(["train", stage, recipe], workshop.folder).good()
    assert "nothing to do; its page:" in again
    assert page.is_file()


@pytest.mark.slow
def test_the_first_of_two_processes_writes_the_page(launcher: Launcher, workshop: Workshop) -> None:
    recipe = recipe_file(workshop, "sft", 4)
    recipe.write_text(recipe.read_text("utf-8").replace('"cpu"', '"cpu"\nprocesses = 2'), "utf-8")
    running = launcher.start(["train", "sft", recipe], workshop.folder, processes=2)
    assert running.good().count("its page:") == 1
    assert "4 updates" in (workshop.folder / f"trained/one-sft/{PAGE}").read_text("utf-8")


@pytest.mark.slow
def test_a_killed_stage_has_a_page(launcher: Launcher, workshop: Workshop) -> None:
    recipe = recipe_file(workshop, "sft", 100_000)
    running = launcher.start(["train", "sft", recipe], workshop.folder)
    page = workshop.folder / f"trained/one-sft/{PAGE}"
    end = time.monotonic() + 120
    while not page.is_file() and time.monotonic() < end:
        time.sleep(0.05)
    running.kill()
    assert "not finished when this page was written" in page.read_text("utf-8")
    assert "Loss per token" in titles(page)


def test_an_error_leaves_a_page_and_is_what_is_seen(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = workshop.recipe("sft")
    out = workshop.folder / "out"

    def stopped(*_: Any, **__: Any) -> Path:
        out.mkdir()
        jsonl.write(out / "train_log.jsonl", [{"step": 1, "loss": 2.0}])
        raise KeyboardInterrupt

    monkeypatch.setattr("olmes.trainers.train.train_stage", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, out, say=lambda _: None)
    assert (out / PAGE).is_file()


def test_each_stage_has_its_own_axis(tmp_path: Path) -> None:
    stages = [log_of("sft", 14_677, loss=1.0), log_of("rlvr", 447, reward=1.0, kl=0.1)]
    for stage in stages:
        charts = stage_charts(stage)
        line = charts.main[0].lines[0].d
        ends = [float(point.split(",")[0]) for point in line.removeprefix("M").split("L")]
        assert ends[-1] == pytest.approx(FRAME.x_end, abs=0.6)
        assert ends[0] == pytest.approx(FRAME.left, abs=1)
    assert stage_charts(stages[1]).main[0].x_ticks[-1].label == "400"
    page = write_checkpoints_page([], tmp_path / "page.html", title="x", stages=stages)
    assert "447 updates" in page.read_text("utf-8")


def test_sums_are_folded_away_and_nothing_is_lost() -> None:
    numbers = {
        "loss": 0.7, "normalized_margin": 1.0, "normalized_accuracy": 0.5, "rewards/margins": 30.0,
        "rewards/accuracies": 1.0, "logps/chosen": -9.0, "mine": 3.0,
    }  # fmt: skip
    charts = stage_charts(log_of("dpo", 3, **numbers))
    assert [chart.title for chart in charts.main] == [
        "Loss", "Normalized margin", "Normalized accuracy",
    ]  # fmt: skip
    assert {chart.title for chart in charts.more} == {
        "rewards/margins", "rewards/accuracies", "logps/chosen", "mine",
    }  # fmt: skip
    margins = next(chart for chart in charts.more if chart.title == "rewards/margins")
    assert "sum over tokens" in margins.y_title


@pytest.mark.parametrize(
    ("kind", "numbers", "expected"),
    [
        ("sft", {"loss": 9, "loss_per_token": 1, "eval_loss": 1},
         {"Loss per token": ["training", "validation"], "Loss summed over an update": [""]}),
        ("sft", {"loss": 1, "eval_math_loss": 1, "eval_code_loss": 1},
         {"Loss per token": ["training", "validation: math", "validation: code"]}),
        ("rlvr", {"kl": 1, "value_loss": 1}, {"KL to the reference": [""], "Value loss": [""]}),
        ("rlvr", {"no_end": 0.5}, {"Ended and truncated responses": ["truncated"]}),
        ("rlvr", {"groups/zero_variance": 0.5, "frac_reward_zero_std": 0.5},
         {"Zero-variance groups": [""]}),
        ("rlvr", {"reward": 1, "verifier/a": 1, "verifier/b": 0, "verifier/timeouts": 0},
         {"Reward": [""], "Verified by task": ["a", "b"]}),
        ("rlvr", {"verifier/timeouts": 2, "verifier/crashes": 0},
         {"Verifiers that failed": ["out of time", "crashed"]}),
        ("reward", {"loss": 1, "accuracy": 1, "mean_reward": 0, "min_reward": -1},
         {"Loss": [""], "Accuracy": [""], "Reward of chosen and rejected": ["mean", "lowest"]}),
        ("", {"loss": 1, "mean_token_accuracy": 1}, {"Loss per token": [""], "Token accuracy": [""]}),
        ("", {"loss": 1, "reward": 1, "kl": 1},
         {"Policy loss": [""], "Reward": [""], "KL to the reference": [""]}),
        ("", {"loss": 1, "grad_norm": 1}, {"Loss": [""], "Gradient norm": [""]}),
    ],
)  # fmt: skip
def test_the_table_of_curves(
    kind: str, numbers: dict[str, float], expected: dict[str, list[str]]
) -> None:
    charts = stage_charts(log_of(kind, 3, **numbers)).main
    assert {chart.title: [line.name for line in chart.lines] for chart in charts} == expected


def test_long_logs_are_thinned_and_short_ones_narrow() -> None:
    rows: list[dict[str, Any]] = [{"step": step, "loss": float(step)} for step in range(1, 1001)]
    rows[3]["loss"] = float("nan")
    long = stage_charts(StageLog(kind="sft", rows=rows))
    assert 200 < long.main[0].lines[0].d.count("L") < 300
    assert long.frame == FRAME
    narrow = stage_charts(StageLog(kind="sft", rows=rows[:3])).frame
    assert narrow.x_end - narrow.left == LEAST


def test_a_stage_of_a_chain_is_on_the_chain_s_page(workshop: Workshop) -> None:
    out = workshop.folder / "chain"
    recipe = workshop.recipe("dpo")
    places = [
        StagePlace(stage=stage, folder=out / stage, store=out / "runs")
        for stage in ("sft", "dpo", "rlvr")
    ]
    note_chain("toy", places, out)
    assert write_stage_page(recipe, out / "dpo") is None
    for stage, steps in (("sft", 5), ("dpo", 3)):
        (out / stage).mkdir()
        rows = [{"step": step, "loss": 1.0} for step in range(1, steps + 1)]
        jsonl.write(out / stage / "train_log.jsonl", rows)
    (out / "sft/done.json").write_text("{}")
    (out / "start.json").write_text('{"record": "elsewhere/gone-for-good"}')
    page = write_stage_page(recipe, out / "dpo")
    assert page == out / PAGE
    text = page.read_text("utf-8")
    assert "SFT to step 5, DPO to step 8 so far" in text
    assert "steps 6 to 8 of the whole; not finished when this page was written" in text
    assert text.count("not finished when") == 1
    assert "Records that are gone</strong> gone-for-good" in text
    elsewhere = workshop.folder / "alone"
    elsewhere.mkdir()
    jsonl.write(elsewhere / "train_log.jsonl", [{"step": 1, "loss": 1.0}])
    assert write_stage_page(recipe, elsewhere) == elsewhere / PAGE


def test_a_page_that_cannot_be_written_stops_no_training(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    calls: list[int] = []

    def broken(*_: Any) -> Path | None:
        calls.append(1)
        raise OlmesError("the record is damaged.")

    monkeypatch.setattr("olmes.trainers.training_page.write_stage_page", broken)
    refresh = PageRefresh(workshop.recipe("sft"), workshop.folder, said.append)

    class State:
        is_world_process_zero = True

    for _ in range(3):
        refresh.on_save(None, State(), None)
    assert len(calls) == 1
    assert said == ["the page of the training cannot be written: the record is damaged.; the "
                    "training continues"]  # fmt: skip


def test_refreshing_costs_little(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    written: list[float] = []
    monkeypatch.setattr("olmes.trainers.training_page.time.monotonic", lambda: clock[0])

    def slow(*_: Any) -> Path | None:
        written.append(clock[0])
        clock[0] += 2.0
        return None

    monkeypatch.setattr("olmes.trainers.training_page.write_stage_page", slow)
    refresh = PageRefresh(workshop.recipe("sft"), workshop.folder, print)

    class State:
        is_world_process_zero = True

    clock[0] = 1.0
    for _ in range(1000):
        refresh.on_save(None, State(), None)
        clock[0] += 1.0
    assert 2 * len(written) <= 0.03 * clock[0]
    assert len(written) > 5


def test_nothing_yet_is_no_page(tmp_path: Path) -> None:
    place = StagePlace(stage="sft", folder=tmp_path, store=tmp_path / "scores")
    assert write_training_page("x", [place], tmp_path) is None
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"
