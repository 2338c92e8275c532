"""The gate at a training's end: what is refused before it, and the exit status after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from olmes import OlmesError
from olmes.tools import jsonl
from olmes.trainers.checkpoints.request import training_folder
from olmes.trainers.gating import check_gate, gate_last
from olmes.trainers.recipes.identity import recipe_hash
from olmes.trainers.recipes.stages import Recipe, SFTRecipe
from olmes.trainers.recipes.tables import Gate, Scoring
from olmes.trainers.stage_folder import store_of
from tests.factories import response_row, run_json, score_json, task_json, written

RIGHT = [float(at % 2) for at in range(400)]
WRONG = [0.0] * 400


def run(folder: Path, values: list[float]) -> Path:
    rows = [
        response_row(doc_id=at, doc_hash=f"{at:08x}", values={"right": value})
        for at, value in enumerate(values)
    ]
    jsonl.write(folder / "samples/own.jsonl", rows)
    score = score_json(sum(values) / len(values), n=len(values))
    task = task_json(primary="right", metrics={"right": score}, samples="samples/own.jsonl")
    written(folder, run_json({"own": task}, id=folder.name))
    return folder


def recipe(baseline: Path | str, policy: str = "") -> Recipe:
    return SFTRecipe(scoring=Scoring(suite="dev"), gate=Gate(baseline=str(baseline), policy=policy))


def trained(out: Path, records: list[Path]) -> None:
    """What the hook leaves of a training whose checkpoints were scored."""
    folder = training_folder(out / "scores", out)
    folder.mkdir(parents=True)
    jsonl.write(folder / "scores.jsonl", [
        {"step": step, "state": "done", "folder": str(record)}
        for step, record in enumerate(records, start=1)
    ])  # fmt: skip


@pytest.mark.parametrize(("last", "status"), [(RIGHT, 0), (WRONG, 1)])
def test_the_last_checkpoint_is_gated(tmp_path: Path, last: list[float], status: int) -> None:
    base, out = run(tmp_path / "base", RIGHT), tmp_path / "out"
    records = [run(tmp_path / "early", WRONG), run(tmp_path / "late", last)]
    trained(out, records)
    one, said = recipe(base), list[str]()
    check_gate(one, None)
    assert gate_last(one, out, store_of(one, out), None, said.append) == status
    assert said[-1] == f"gate: {'fail' if status else 'pass'}, late against base"
    [line] = jsonl.read(records[-1] / "gates.jsonl")
    assert line["baseline"] == "base"
    assert not (records[0] / "gates.jsonl").exists()


def test_a_chain_is_held_against_its_start(tmp_path: Path) -> None:
    out, start = tmp_path / "out", tmp_path / "start.json"
    start.write_text(jsonl.dumps({"record": str(run(tmp_path / "base", RIGHT))}))
    trained(out, [run(tmp_path / "late", WRONG)])
    one = recipe("start")
    check_gate(one, start)
    assert gate_last(one, out, store_of(one, out), start, lambda _: None) == 1
    with pytest.raises(OlmesError, match="is for a chain that scores the model it starts from"):
        check_gate(one, None)


def test_without_a_score_nothing_is_shown(tmp_path: Path) -> None:
    one = recipe(run(tmp_path / "base", RIGHT))
    said: list[str] = []
    assert gate_last(one, tmp_path / "out", tmp_path / "scores", None, said.append) == 3
    assert "no checkpoint has a score" in said[0]


def test_what_the_gate_would_refuse_is_refused_before_the_training(tmp_path: Path) -> None:
    base, policy = run(tmp_path / "base", RIGHT), tmp_path / "policy.toml"
    policy.write_text("margin = -1")
    with pytest.raises(OlmesError, match="margin is 0 or more"):
        check_gate(recipe(base, str(policy)), None)
    with pytest.raises(OlmesError, match="holds no record"):
        check_gate(recipe(tmp_path / "nowhere"), None)
    with pytest.raises(OlmesError, match="name a suite in"):
        check_gate(replace(recipe(base), scoring=Scoring()), None)


def test_without_a_gate_there_is_none_and_with_one_the_training_is_the_same(tmp_path: Path) -> None:
    plain = SFTRecipe(scoring=Scoring(suite="dev"))
    check_gate(plain, None)
    assert gate_last(plain, tmp_path, tmp_path, None, print) == 0
    assert recipe_hash(recipe("anything")) == recipe_hash(plain)
