"""`olmes train rlvr` on rows that cannot be scored, too few prompts, and prompts that teach nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.conftest import ADDITION
from tests.trainers.launching import Launcher

OWN = Path(__file__).parent / "files/own_rewards.py"
RECIPE = """
stage = "rlvr"
model = "{model}"
template = "tulu"
seed = 3
generations = {generations}
max_prompt_length = 32
max_completion_length = 6
{more}
[data]
"rl.jsonl" = {{ fraction = 1.0 }}
[optimization]
learning_rate = 1e-3
batch_size = {batch}
micro_batch_size = {micro}
{steps}
[checkpoints]
every = 2
[hardware]
device = "cpu"
processes = {processes}
"""


def write(workshop: Any, verifiers: list[dict[str, Any]], more: str = "", **sizes: Any) -> Path:
    """Data of one row a verifier, and a recipe for them."""
    workshop.write(
        "rl.jsonl",
        [
            {"messages": one.pop("asked", f"{n}+{n}"), "verifiers": [one]}
            for n, one in enumerate(verifiers)
        ],
    )
    given = {"generations": 4, "batch": 4, "micro": 4, "processes": 1, "steps": "", **sizes}
    path: Path = workshop.folder / "rl.toml"
    path.write_text(RECIPE.format(model=workshop.model, more=more, **given))
    return path


def log_of(out: Path) -> list[dict[str, Any]]:
    """The rows of the training's log."""
    return [json.loads(line) for line in (out / "train_log.jsonl").open()]


def sums(count: int) -> list[dict[str, Any]]:
    return [
        {"task": str(ADDITION), "doc": {"question": f"{n}+{n}", "answer": str(2 * n)}}
        for n in range(count)
    ]


def fragile(count: int, bad: int) -> list[dict[str, Any]]:
    """Rows of which one's scorer fails on everything but an empty answer."""
    return [{"function": f"{OWN}:fragile", "doc": {"bad": n == bad}} for n in range(count)]


@pytest.mark.parametrize("algorithm", ["grpo", pytest.param("ppo", marks=pytest.mark.slow)])
def test_a_row_without_a_field_is_named_at_the_start_and_left_out(
    workshop: Any, launcher: Launcher, algorithm: str
) -> None:
    rows = sums(6)
    del rows[2]["doc"]["answer"]
    recipe = write(workshop, rows, f'algorithm = "{algorithm}"', steps="max_steps = 2")
    out = workshop.folder / "out"
    said = launcher.start(["train", "rlvr", recipe, "--out", out], workshop.folder).good()
    assert "1 of 6 rows left out" in said
    assert f"{workshop.folder}/rl.jsonl, row 3 (addition: score: KeyError: 'answer'" in said
    assert [row["verifier/crashes"] for row in log_of(out)] == [0, 0]


@pytest.mark.parametrize(
    ("algorithm", "processes"),
    [("grpo", 1), ("ppo", 1), pytest.param("grpo", 2, marks=pytest.mark.slow)],
)
def test_a_row_that_cannot_be_scored_costs_its_prompt_and_not_the_run(
    workshop: Any, launcher: Launcher, algorithm: str, processes: int
) -> None:
    """One prompt a batch, and in two processes one completion each."""
    size = 4 if processes == 1 else 2
    recipe = write(
        workshop, fragile(5, bad=3), f'algorithm = "{algorithm}"\nbeta = 0.0', steps="max_steps = 5",
        processes=processes, generations=size, batch=size, micro=size // processes,
    )  # fmt: skip
    out = workshop.folder / "out"
    said = launcher.start(
        ["train", "rlvr", recipe, "--out", out], workshop.folder, processes=processes
    ).good()
    assert said.count("a scorer of fragile failed") == 1
    assert "rl.jsonl, row 4, so that nothing is learned from it: score: LookupError" in said
    log = log_of(out)
    assert len(log) == 5
    if algorithm == "grpo":
        assert sorted(row["groups/unscored"] for row in log) == [0, 0, 0, 0, 1]
        [bad] = [row for row in log if row["groups/unscored"]]
        assert bad["verifier/crashes"] > 0
        assert bad["grad_norm"] == 0  # without a tie to the reference nothing else pulls
    else:
        assert sum(row["unscored"] for row in log) == 4


def test_too_few_prompts_for_a_batch_are_refused_with_the_numbers(
    workshop: Any, launcher: Launcher
) -> None:
    recipe = write(workshop, sums(1), batch=8)
    running = launcher.start(["train", "rlvr", recipe], workshop.folder)
    assert running.wait() == [2]
    assert "the prompts are 1, and a batch takes 2" in running.text()
    assert "'count' in [data] repeats them" in running.text()


@pytest.mark.slow
def test_ppo_asks_few_prompts_more_than_once(workshop: Any, launcher: Launcher) -> None:
    recipe = write(workshop, fragile(1, bad=9), 'algorithm = "ppo"', steps="max_steps = 2")
    out = workshop.folder / "out"
    launcher.start(["train", "rlvr", recipe, "--out", out], workshop.folder).good()
    assert len(log_of(out)) == 2


def taught(count: int) -> list[dict[str, Any]]:
    """Half of the prompts are answered rightly whatever is said."""
    return [
        {
            "function": f"{OWN}:easy_or_hard",
            "asked": f"{'easy' if n % 2 else 'hard'} {n}",
            "doc": {},
        }
        for n in range(count)
    ]


@pytest.mark.slow
def test_groups_that_teach_nothing_are_shown(workshop: Any, launcher: Launcher) -> None:
    recipe = write(workshop, taught(8), batch=16, steps="max_steps = 2")
    out = workshop.folder / "out"
    said = launcher.start(["train", "rlvr", recipe, "--out", out], workshop.folder).good()
    assert "zero_variance" in said
    for row in log_of(out):
        assert row["groups/zero_variance"] >= row["groups/all_right"] + row["groups/all_wrong"]
        assert row["groups/zero_variance"] == pytest.approx(row["frac_reward_zero_std"])
    assert sum(row["groups/all_right"] for row in log_of(out)) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_dynamic_sampling_fills_the_batch_and_resumes_to_the_same_bytes(
    workshop: Any, launcher: Launcher, processes: int
) -> None:
    recipe = write(
        workshop, taught(24), "dynamic_sampling = true", batch=16, micro=8 // processes,
        steps="max_steps = 4", processes=processes,
    )  # fmt: skip
    out = workshop.folder / "out"
    command = ["train", "rlvr", recipe, "--out", out]
    launcher.start(command, workshop.folder, processes=processes).good()
    log = log_of(out)
    assert sum(row["groups/zero_variance"] for row in log) > 0
    for row in log:
        assert row["frac_reward_zero_std"] == 0  # of the batch that was learned from
        assert (row["groups/draws"] > 1) == (row["groups/zero_variance"] > 0)
    whole = (out / "final/model.safetensors").read_bytes()
    for name in ("checkpoint-4", "final"):
        shutil.rmtree(out / name)
    (out / "done.json").unlink()
    launcher.start(command, workshop.folder, processes=processes).good()
    assert (out / "final/model.safetensors").read_bytes() == whole
    assert [{**row, "step_time": 0} for row in log_of(out)] == [
        {**row, "step_time": 0} for row in log
    ]


def test_what_has_no_chance_of_a_full_batch_ends_after_the_last_draw(
    workshop: Any, launcher: Launcher
) -> None:
    easy = [one for one in taught(16) if one["asked"].startswith("easy")]
    more = "dynamic_sampling = true\nmost_draws = 3"
    recipe = write(workshop, easy, more, batch=8, steps="max_steps = 1")
    out = workshop.folder / "out"
    launcher.start(["train", "rlvr", recipe, "--out", out], workshop.folder).good()
    [row] = log_of(out)
    assert (row["groups/draws"], row["groups/all_right"]) == (4, 1)


def test_dynamic_sampling_is_not_for_ppo(workshop: Any, launcher: Launcher) -> None:
    recipe = write(workshop, sums(4), 'algorithm = "ppo"\ndynamic_sampling = true')
    running = launcher.start(["train", "rlvr", recipe], workshop.folder)
    assert running.wait() == [2]
    assert "dynamic_sampling is for GRPO" in running.text()
