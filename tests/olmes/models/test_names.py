"""What a model is called: short in tables, whole in the record, and the same however it is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from olmes.api import evaluate
from olmes.models.options import Asking
from olmes.models.spec import load_model


@pytest.fixture
def home(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `tiny`, `smollm2`, `ckpts/step_1` and a recording."""
    for name in ("tiny", "smollm2", "ckpts/step_1", "ckpts/final"):
        shutil.copytree(tiny_folder, tmp_path / "home" / name)
    (tmp_path / "home" / "said.jsonl").write_text("")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("tiny", "tiny"),
        ("./tiny/", "tiny"),
        ("{home}/tiny", "tiny"),
        ("hf:{home}/tiny/", "tiny"),
        ("vllm:{home}/tiny?tensor_parallel_size=2", "tiny"),
        ("./smollm2", "smollm2"),
        ("smollm2", "smollm2"),
        ("ckpts/step_1", "ckpts/step_1"),
        ("{home}/ckpts/step_1/", "ckpts/step_1"),
        ("ckpts/final", "ckpts/final"),
        ("owner/name", "owner/name"),
        ("vllm:owner/name@main", "owner/name@main"),
        ("openai:gpt-x@http://10.0.0.1:8000/v1", "gpt-x"),
        ("openai:owner/name@https://vendor.example/v1", "owner/name"),
        ("openai:/data/models/tiny@http://127.0.0.1:1", "tiny"),
        ("replay:{home}/said.jsonl", "said"),
    ],
)
def test_the_short_name_has_no_path_and_no_host(home: Path, written: str, title: str) -> None:
    assert load_model(written.format(home=home)).title == title


def test_an_adapter_is_in_the_short_name(home: Path) -> None:
    lora = home / "runs/lora/checkpoint-7"
    lora.mkdir(parents=True)
    (lora / "adapter_config.json").write_text("{}")
    asking = Asking(adapter=str(lora))
    assert load_model("owner/base", asking=asking).title == "owner/base + lora/checkpoint-7"
    assert load_model("smollm2", asking=asking).title == "smollm2 + lora/checkpoint-7"


@pytest.mark.parametrize("same", ["ckpts/step_1/", "./ckpts/step_1", "ckpts//step_1/."])
def test_a_slash_at_the_end_is_nothing(home: Path, same: str) -> None:
    assert load_model(same).name == load_model("ckpts/step_1").name == "ckpts/step_1"


def run(echo: Any, model: str, out: Path, **options: Any) -> Any:
    settings = {"echo.max_tokens": 2}
    return evaluate(
        str(echo.task), model=model, data=echo.data, out=out, limit=1, settings=settings, **options
    )


def test_a_run_is_found_again_however_its_folder_is_written(
    home: Path, echo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "runs"
    first = run(echo, "ckpts/step_1", out)
    for written in ("ckpts/step_1/", "./ckpts/step_1", str(home / "ckpts/step_1")):
        assert run(echo, written, out).id == first.id
    monkeypatch.chdir(home / "ckpts/step_1")
    assert run(echo, ".", out).id == run(echo, "./", out).id == first.id
    assert len(list(out.iterdir())) == 1
    assert first.run.model.name == "ckpts/step_1"


def test_the_users_name_is_shown_and_the_written_one_kept(
    home: Path, echo: Any, tmp_path: Path
) -> None:
    from olmes.reports.run_page import write_run_page

    written = str(home / "tiny")
    record = run(echo, written, tmp_path / "runs", name="SFT with half the data")
    model = record.run.model
    assert (model.name, model.written) == ("SFT with half the data", written)
    page = tmp_path / "page.html"
    write_run_page(record.folder, page)
    assert "· SFT with half the data</span>" in page.read_text("utf-8")


def test_a_finished_run_takes_a_new_name(home: Path, echo: Any, tmp_path: Path) -> None:
    first = run(echo, "tiny", tmp_path / "runs")
    named = run(echo, "tiny", tmp_path / "runs", name="Mine")
    assert (first.id, first.run.model.name) == (named.id, "tiny")
    assert named.run.model.name == "Mine"
    assert named.run.timing == first.run.timing  # nothing was run again
    assert run(echo, "tiny", tmp_path / "runs").run.model.name == "Mine"


def test_a_lineage_that_names_a_folder_finds_the_model_by_it(
    home: Path, echo: Any, tmp_path: Path
) -> None:
    import json

    from olmes.comparison.model_scores import by_model

    base = home / "tiny"
    child = home / "ckpts/step_1"
    # Other content, for the same would be the same model.
    (child / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    (child / "lineage.json").write_text(json.dumps([{"base": str(base)}]))
    records = [run(echo, str(one), tmp_path / "runs") for one in (child, base)]
    trained, start = by_model(records)
    assert trained.came_from(start)
    assert not start.came_from(trained)
