"""What a run would cost, held against what it costs; and what a warm run does not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from olmes import Record, evaluate
from olmes.models.checkpoint import folder as files
from olmes.runs.cost_estimate import CostEstimate, estimate_all
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import RunOptions
from olmes.runs.planning import plan_run, tasks_of
from tests.factories import lasting
from tests.known import known

SETTINGS = {"gsm8k.shots": 1, "gsm8k.max_tokens": 12}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


def run(model: Path, out: Path, limit: int, **options: Any) -> Record:
    return evaluate(
        "gsm8k",
        model=str(model),
        settings=SETTINGS,
        out=out,
        scoring_processes=1,
        limit=limit,
        **options,
    )


def estimated(
    model: Path,
    out: Path,
    limit: int,
    task: str = "gsm8k",
    settings: dict[str, Any] | None = SETTINGS,
    **options: Any,
) -> CostEstimate:
    given = RunOptions(limit=limit, settings=settings or {}, out=out, **options)
    [found] = estimate_all([str(model)], Evaluation.of(task, given))
    return found


def tree(*folders: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for folder in folders
        for path in folder.rglob("*")
    }


def test_an_estimate_is_near_the_truth(tiny_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    first = estimated(tiny_folder, out, 8, use_cache=False)
    assert first.seconds is None  # nothing to tell the speed by
    assert first.lengths_from == {"gsm8k": ""}
    assert first.new_tokens == first.new_tokens_limit == 8 * 12
    run(tiny_folder, out, 8, use_cache=False)

    told = estimated(tiny_folder, out, 24, use_cache=False)
    record = run(tiny_folder, out, 24, use_cache=False)
    cost = known(record.run.cost)
    assert told.run == record.id
    assert told.asked == cost.requests == 24
    assert told.prompt_tokens == cost.prefill_tokens + known(cost.shared_tokens)
    assert told.prompt_tokens == record.tasks["gsm8k"].tokens["prompt"]
    assert told.shared_tokens == pytest.approx(known(cost.shared_tokens), rel=0.02)
    assert told.new_tokens == pytest.approx(cost.decode_tokens, rel=0.25)
    assert cost.decode_tokens <= told.new_tokens_limit
    assert told.seconds is not None
    # Twice as many rows at once are faster, and a shared machine is slower.
    assert cost.model_s / 8 < told.seconds < 8 * cost.model_s
    parameters = 4 * 60_000
    assert told.weights_bytes is not None
    assert parameters < told.weights_bytes < 2 * parameters


def test_log_likelihoods_are_counted_as_they_are_computed(
    tiny_folder: Path, tmp_path: Path
) -> None:
    task = str(Path(__file__).parents[1] / "files/weighing_task.py")
    told = estimated(tiny_folder, tmp_path / "runs", 8, task=task, settings=None)
    record = evaluate(
        task,
        model=str(tiny_folder),
        out=tmp_path / "runs",
        limit=8,
        scoring_processes=1,
        use_cache=False,
    )
    cost = known(record.run.cost)
    assert cost.decode_tokens == told.new_tokens_limit == 0
    assert told.prompt_tokens == cost.prefill_tokens + known(cost.shared_tokens)
    assert told.shared_tokens == pytest.approx(known(cost.shared_tokens), rel=0.02)
    assert known(cost.shared_tokens) > cost.prefill_tokens > 0


def test_an_estimate_loads_no_weights_and_writes_nothing(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, cache = tmp_path / "runs", tmp_path / "cache"
    run(tiny_folder, out, 3)
    before = tree(out, cache)
    monkeypatch.setattr(files, "load_weights", lambda *_: pytest.fail("weights were loaded"))
    told = estimated(tiny_folder, out, 5)
    assert (told.in_cache, told.asked, told.finished) == (3, 2, False)
    assert estimated(tiny_folder, out, 3).finished
    assert estimated(tiny_folder, out, 3).asked == 0
    suite = tmp_path / "late.toml"
    suite.write_text(
        'name = "late"\ntitle = "Late"\ntasks = ["gsm8k"]\naggregate = "mean"\nheld_out = true\n'
        'description = "x"\n'
    )
    assert estimated(tiny_folder, out, 5, task=str(suite)).asked == 2
    assert tree(out, cache) == before


def test_what_is_in_the_journal_is_not_asked(tiny_folder: Path, tmp_path: Path) -> None:
    record = run(tiny_folder, tmp_path / "runs", 4, use_cache=False)
    rows = record.samples_path("gsm8k").read_text("utf-8").splitlines()
    told = estimated(tiny_folder, tmp_path / "runs", 4, use_cache=False)
    assert told.finished
    # As it lies there after a kill: no record, and a journal of some responses.
    suite, tasks = tasks_of("gsm8k")
    from olmes.models.spec import load_model

    plan = plan_run(tasks, load_model(str(tiny_folder)), limit=4, settings=SETTINGS)
    (record.folder / "run.json").unlink()
    journal = [
        json.dumps({"item": item.key, "response": json.loads(row)["response"]})
        for item, row in zip(plan.items[:3], rows, strict=False)
    ]
    (record.folder / "journal.jsonl").write_text("\n".join([*journal, '{"item": "to']), "utf-8")
    told = estimated(tiny_folder, tmp_path / "runs", 4, use_cache=False)
    assert suite is None
    assert (told.in_journal, told.asked, told.finished) == (3, 1, False)


def test_a_second_run_from_the_cache_loads_no_weights(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tiny_folder, tmp_path / "a", 4)
    monkeypatch.setattr(files, "load_weights", lambda *_: pytest.fail("weights were loaded"))
    second = run(tiny_folder, tmp_path / "b", 4)
    cost = known(second.run.cost)
    assert lasting(second) == lasting(first)
    assert (cost.requests, cost.reused, cost.prefill_tokens) == (0, 4, 0)
    assert (cost.load_s, cost.model_s) == (0, 0)


def test_the_command_prints_an_estimate(tiny_folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "olmes", "run", "--task", "gsm8k", "--limit", "2", "--estimate",
        "--set", "gsm8k.shots=1", "--model", str(tiny_folder), "--out", str(tmp_path / "runs"),
    ]  # fmt: skip
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "2 to ask" in printed
    assert "time      not known" in printed
    rows = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout
    assert json.loads(rows)["asked"] == 2
    assert not (tmp_path / "runs").exists()
