"""A package that scores a task's answers is missed before anything is asked or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmes.benchmark import registry
from olmes.cli import olmes
from olmes.data.resolve import DEMO
from olmes.errors import OlmesError
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import RunOptions
from olmes.seal.look import Look
from olmes.tools import extras
from olmes.tools.extras import lacking


def test_a_missing_extra_is_said_before_the_look_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lacking("ifbench") == []
    monkeypatch.setattr(extras, "installed", lambda name: name != "textblob-aptagger")
    assert lacking("ifbench") == ["textblob-aptagger"]
    assert lacking("server") == []
    recording = tmp_path / "said.jsonl"
    recording.write_text('{"task": "ifeval_ood", "doc_id": 0, "response": "Yes."}\n')
    options = RunOptions(data=(DEMO,), out=tmp_path / "runs", look=Look(reason="the end"))
    evaluation = Evaluation([registry.load_task("ifeval_ood")], None, options, say=lambda _: None)
    with pytest.raises(OlmesError, match=r"textblob-aptagger, not installed here.*olmes\[ifbench"):
        evaluation.run(f"replay:{recording}")
    with pytest.raises(OlmesError, match="textblob-aptagger, not installed here"):
        olmes.main(
            ["score", "--task", "ifeval_ood", str(recording), "--reason", "the end",
             "--out", str(tmp_path / "runs")],
            standalone_mode=False,
        )  # fmt: skip
    assert not (tmp_path / "runs").exists()
