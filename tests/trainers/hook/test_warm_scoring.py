"""The process that scores a training's checkpoints stays warm, and gives memory back in between."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from olmes import Record, evaluate
from olmes.models.checkpoint import folder as files
from olmes.trainers.checkpoints.request import EvalRequest
from olmes.trainers.checkpoints.scoring import ScoringOptions
from olmes.trainers.checkpoints.watch import FolderWatch
from olmes.trainers.checkpoints.worker import Scorer

if TYPE_CHECKING:
    from tests.trainers.hook.conftest import Lab


def test_jobs_that_follow_at_once_swap_their_weights(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    lab.output_dir.mkdir()
    request = EvalRequest(
        target=str(lab.suite), out=str(lab.runs), data=str(lab.data), asked_by="watcher"
    )
    watcher = FolderWatch(lab.output_dir, ScoringOptions(request=request), say=lambda _: None)
    for step in (1, 2, 3):
        folder = lab.output_dir / f"step_{step}"
        shutil.copytree(lab.base, folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        torch.manual_seed(step)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        model.save_pretrained(folder)
    watcher.scan()
    watcher.scan()
    loads: list[str] = []
    load = files.load_weights

    def watched(name: str, *rest: Any) -> Any:
        loads.append(name)
        return load(name, *rest)

    monkeypatch.setattr(files, "load_weights", watched)
    monkeypatch.setattr("os.nice", lambda _: 0)  # this process has other tests to run
    scorer = Scorer(lab.training)
    scorer.work(drain=True)
    assert [score["state"] for score in lab.scores()] == ["done"] * 3
    assert len(loads) == 1
    assert scorer.warm.swaps == 2
    assert scorer.warm.module is None, "the weights stay in memory when nothing waits"
    assert scorer.scorers.pool is None
    for record in map(Record.load, lab.runs.glob("*mini*")):
        trained = record.run.model.step
        alone = evaluate(
            str(lab.suite), model=str(lab.output_dir / f"step_{trained}"), data=lab.data,
            out=lab.folder / "alone", use_cache=False, scoring_processes=1,
        )  # fmt: skip
        samples = [one.samples_path("echo").read_bytes() for one in (record, alone)]
        assert samples[0] == samples[1]
