"""What a server takes for held out: by its name, and by its data whatever it is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from olmes.benchmark.registry import load_task
from olmes.client.client import files_of
from olmes.data.dataset import made_dataset
from olmes.data.resolve import _from_demo
from olmes.server.intake.run_files import take_in
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.tools.hashing import file_sha256


@pytest.mark.parametrize(
    ("task", "of"),
    [
        ("agieval", ""),
        ("ifbench", "ifeval_ood"),
        ("anything", "agieval"),
        ("gsm8k", "deepmind_math"),
    ],
)
@pytest.mark.parametrize("origin", ["official", "demo"])
def test_open_samples_of_held_out_data_are_refused_under_any_name(
    copy_run: Callable[..., Path], tmp_path: Path, task: str, of: str, origin: str
) -> None:
    folder = named(copy_run("data"), task)
    data = json.loads((folder / "run.json").read_text())
    data["tasks"][task]["data"]["origin"] = origin
    if of:
        data["tasks"][task]["data"]["content_hash"] = load_task(of).source.content_hash
    (folder / "run.json").write_text(json.dumps(data))
    with pytest.raises(RefusedError, match="held out by the suite unseen") as refused:
        take(folder, tmp_path)
    assert refused.value.status == 422
    assert refused.value.field == f"tasks.{task}"


def named(folder: Path, task: str) -> Path:
    """The run under another task's name."""
    data = json.loads((folder / "run.json").read_text())
    data["tasks"] = {task: data["tasks"]["echo"] | {"samples": f"samples/{task}.jsonl"}}
    (folder / "run.json").write_text(json.dumps(data))
    (folder / "samples/echo.jsonl").rename(folder / f"samples/{task}.jsonl")
    return folder


def take(folder: Path, tmp_path: Path) -> None:
    files = files_of(folder)
    hashes = {name: file_sha256(path) for name, path in files.items()}
    take_in(Settings(store=str(tmp_path / "taken")), files, hashes)


def test_demo_data_are_nobodys_secret(copy_run: Callable[..., Path], tmp_path: Path) -> None:
    """Items that a held-out task brings along are not those of its benchmark."""
    folder = named(copy_run("demo"), "my_agieval")
    data = json.loads((folder / "run.json").read_text())
    task = load_task("agieval")
    demo = made_dataset(task, _from_demo(task, print), print)
    data["tasks"]["my_agieval"]["data"] |= {"origin": "demo", "content_hash": demo.content_hash}
    (folder / "run.json").write_text(json.dumps(data))
    take(folder, tmp_path)
