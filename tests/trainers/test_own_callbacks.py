"""Callbacks of a user's own: called in every stage, and what goes wrong in them named as theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from olmes.errors import OlmesError
from olmes.trainers.own_callbacks import load_callback
from olmes.trainers.train import train

MINE = """
import json
from pathlib import Path
from transformers import TrainerCallback

class Mine(TrainerCallback):
    def __init__(self):
        self.steps = []

    def on_log(self, args, state, control, logs=None, **_):
        self.steps.append(state.global_step)

    def on_train_end(self, args, state, control, **_):
        Path(args.output_dir, "mine.json").write_text(json.dumps(self.steps))

class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        control.should_training_stop = state.global_step == 2
        return control

class Broken(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        return {}["no such key"]

def made():
    return Mine()

def helpless():
    return 1 / 0

ready = Mine()
number = 3
"""


@pytest.fixture
def shop(workshop: Any) -> Any:
    (workshop.folder / "mine.py").write_text(MINE)
    return workshop


@pytest.mark.parametrize("stage", ["sft", pytest.param("ppo", marks=pytest.mark.slow)])
def test_a_recipes_callbacks_are_called(shop: Any, stage: str, tmp_path: Path) -> None:
    table: dict[str, Any] = {"callbacks": ["mine.py:Mine", "mine.py:Stop"]}
    if stage == "ppo":
        table["algorithm"] = "ppo"
    out = tmp_path / "out"
    train(shop.recipe("rlvr" if stage == "ppo" else stage, **table), out, say=lambda _: None)
    assert json.loads((out / "mine.json").read_text())[:2] == [1, 2]
    assert json.loads((out / "done.json").read_text())["step"] == 2


def test_callbacks_may_be_given_in_python(shop: Any, tmp_path: Path) -> None:
    class Counting(TrainerCallback):  # type: ignore[misc]
        saved = 0

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.saved += 1

    mine = Counting()
    train(shop.recipe("sft"), tmp_path / "out", say=lambda _: None, callbacks=[mine])
    assert mine.saved == 1


def test_a_broken_callback_is_named_with_its_line(shop: Any, tmp_path: Path) -> None:
    recipe = shop.recipe("sft", callbacks=["mine.py:Broken"])
    with pytest.raises(
        OlmesError, match=r"mine.py:Broken' failed in on_step_end: KeyError.*line 23"
    ):
        train(recipe, tmp_path / "out", say=lambda _: None)


@pytest.mark.parametrize("name", ["made", "ready", "Mine"])
def test_a_class_a_function_and_a_callback_will_do(shop: Any, name: str) -> None:
    assert type(load_callback(f"{shop.folder}/mine.py:{name}")).__name__ == "Mine"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine.py", "names no callback; write FILE.py:NAME"),
        ("mine.py:", "names no callback"),
        ("mine.py:Nobody", "has no 'Nobody'; check the name"),
        ("mine.py:number", "is a int and no callback; derive it"),
        ("mine.py:helpless", "cannot be made: ZeroDivisionError: division by zero .line 29"),
        ("none.py:Mine", "there is no file .*none.py"),
        ("no_such_module:Mine", "cannot be made: ModuleNotFoundError"),
        ("json:dumps", "cannot be made: TypeError"),
    ],
)
def test_what_is_no_callback_is_refused_before_anything_is_loaded(
    shop: Any, name: str, sentence: str, tmp_path: Path
) -> None:
    recipe = shop.recipe("sft", callbacks=[name], model=str(tmp_path / "no-such-model"))
    with pytest.raises(OlmesError, match=sentence):
        train(recipe, tmp_path / "out", say=lambda _: None)
