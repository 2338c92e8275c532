"""Recordings that say who gave their responses, made of real runs and replayed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from olmes import evaluate
from olmes.data.resolve import DEMO
from olmes.errors import OlmesError
from olmes.export.recording import write_recording
from olmes.models.recorded_rows import read_recorded
from olmes.models.recording import checked_head, read_head
from olmes.models.replay import ReplayModel
from olmes.records.record import Record

ANSWERS = ["There are 84 - 59 = 25 left. #### 25", "I do not know.", "#### 7"]
STEP = {"name": "mine", "family": "training", "step": 20, "lineage": [{"base": "smollm2"}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Three plain responses, scored: nothing is known of who gave them."""
    folder = tmp_path_factory.mktemp("plain")
    rows = [{"response": text, "doc_id": at} for at, text in enumerate(ANSWERS)]
    (folder / "plain.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = f"replay:{folder / 'plain.jsonl'}"
    return evaluate("gsm8k", model=model, data=DEMO, limit=3, out=folder / "runs", use_cache=False)


def test_a_recording_is_replayed_as_the_model_that_gave_it(run: Record, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl.gz"
    head = write_recording([run], path, about=STEP)
    assert head == checked_head(path)
    assert len(read_recorded(path)) == head.rows == len(ANSWERS)
    again = evaluate(
        "gsm8k", model=f"replay:{path}", data=DEMO, limit=3, out=tmp_path / "runs", use_cache=False
    )
    model = again.run.model
    assert (model.name, model.family, model.step) == ("mine", "training", 20)
    assert (model.lineage, model.fingerprint) == ([{"base": "smollm2"}], run.run.model.fingerprint)
    assert model.engine["backend"] == "replay of replay"
    assert again.value("gsm8k") == run.value("gsm8k") == pytest.approx(1 / 3)
    assert head.sentence in again.run.warnings
    with pytest.raises(OlmesError, match="given to another prompt or with other settings"):
        evaluate("gsm8k", model=f"replay:{path}", data=DEMO, limit=3, out=tmp_path / "other",
                 settings={"gsm8k.shots": 1})  # fmt: skip


def test_what_was_changed_is_refused(run: Record, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl.gz"
    write_recording([run], path, about=STEP)
    first, *rows = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    plain = tmp_path / "changed.jsonl"
    for changed in (rows[:-1], [*rows, rows[0]], [rows[0].replace(b"25", b"26"), *rows[1:]]):
        plain.write_bytes(first + b"".join(changed))
        with pytest.raises(OlmesError, match="is not as it was recorded"):
            _ = ReplayModel("replay:x", plain).fingerprint
    plain.write_bytes(first.replace(b'"recorded": "', b'"recorded": "in ') + b"".join(rows))
    with pytest.raises(OlmesError, match=r"line 1: recorded .*docs/recordings\.md"):
        read_head(plain)
    plain.write_bytes(b"".join(rows))
    assert ReplayModel("replay:x", plain).engine == {"backend": "replay"}


def test_a_field_of_that_name_is_no_head(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"response": "#### 1", "doc_id": 0, "recording": "mine"}\n')
    assert read_head(path) is None
    assert len(read_recorded(path)) == 1


def test_runs_of_several_models_are_no_recording(run: Record, tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="these runs are of 0"):
        write_recording([], tmp_path / "none.jsonl.gz")
