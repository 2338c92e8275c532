"""The pairs go straight into the trainings: `olmes train dpo` and `olmes train reward` read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from olmes.synthesis.preferences.binarised import Pair, binarised
from olmes.synthesis.preferences.rows import write_pairs, write_ratings
from olmes.trainers.data.training_rows import dpo_row
from olmes.trainers.recipes.files import read_recipe
from olmes.trainers.train import train
from tests.olmes.synthesis.preferences.panels import fair, judged_by


class Named:
    """As far as a row asks a model: a stand-in for one that was loaded."""

    def __init__(self, name: str) -> None:
        self.name = name


def pairs_in(folder: Path) -> Path:
    """The rows of eight pairs, one of them of a chat."""
    judged = judged_by({"j": fair}, prompts=8)
    pairs = [pair for one in judged if isinstance(pair := binarised(one, 0), Pair)]
    models: Any = {f"m{at}": Named(f"model {at}") for at in range(4)}
    judges: Any = {"j": Named("judge")}
    write_ratings(folder, judged)
    path = write_pairs(folder, pairs, models, judges, 0)
    chat = json.loads(path.read_text().splitlines()[0])
    chat["prompt"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello. What is it?"},
        {"role": "user", "content": "Name a lake."},
    ]
    with path.open("a") as stream:
        stream.write(json.dumps(chat) + "\n")
    return path


def test_every_row_is_a_preference(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in pairs_in(tmp_path).read_text().splitlines()]
    assert len(rows) >= 7
    for row in rows:
        read = dpo_row(row)
        assert read["chosen"][0]["content"] == row["chosen"]
        assert read["rejected"][0]["content"] == row["rejected"]
    assert [turn["role"] for turn in dpo_row(rows[-1])["prompt"]] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["dpo", "reward"])
def test_a_step_is_trained_on_them(tmp_path: Path, stage: str) -> None:
    path = pairs_in(tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'stage = "{stage}"\nmodel = "smollm2"\nmax_length = 256\n'
        f'[data]\n"{path}" = {{ fraction = 1.0 }}\n'
        "[optimization]\nmax_steps = 1\nbatch_size = 2\nmicro_batch_size = 2\n"
    )
    out = tmp_path / "trained"
    train(read_recipe(str(recipe), stage), out)  # type: ignore[arg-type]
    assert (out / "final").is_dir()
