"""The bundled tasks over the real benchmark files."""

from __future__ import annotations

import gzip
import json
import pkgutil
import time
from pathlib import Path
from typing import Any

import pytest

from olmes.data import fetch, files
from olmes.data.network import NotFetched
from olmes.data.resolve import resolve

olmes_tasks = pytest.importorskip("olmes.tasks")
BUNDLED = sorted(module.name for module in pkgutil.iter_modules(olmes_tasks.__path__))
MADE = ["ifeval_ood_fresh"]
"""Tasks whose items are made by rule."""
READ = [name for name in BUNDLED if name not in MADE]


def bundled(name: str) -> Any:
    return pytest.importorskip(f"olmes.tasks.{name}").TASK


@pytest.mark.parametrize("name", READ)
def test_the_official_files_have_the_content_the_task_declares(
    name: str, shared_data: Path, said: list[str]
) -> None:
    task = bundled(name)
    if any(files.find(shared_data, file.path) is None for file in task.source.files):
        pytest.skip(f"the files of {name} are not in ../shared/data")
    dataset = resolve(task, shared_data, say=said.append)
    assert dataset.official, dataset.notes
    assert len(dataset.instances) == sum(file.rows for file in task.source.files)
    assert len({instance.id for instance in dataset.instances}) == len(dataset.instances)
    assert said == []


@pytest.mark.parametrize("name", READ)
def test_the_demo_data_is_there_and_is_not_the_official_set(
    name: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    dataset = resolve(bundled(name), say=said.append)
    assert dataset.origin == "demo"
    assert not dataset.official
    assert len({instance.id for instance in dataset.instances}) == len(dataset.instances)


@pytest.mark.parametrize("name", READ)
def test_the_official_place_is_spelled_as_it_can_be_fetched(
    name: str, shared_data: Path, web: Any, said: list[str]
) -> None:
    """The server stands for GitHub and gives the bytes that lie in the data folder."""
    task = bundled(name)
    for file in task.source.files:
        there = files.find(shared_data, file.path)
        if there is None:
            pytest.skip(f"the files of {name} are not in ../shared/data")
        try:
            place = fetch.url(file)
        except NotFetched:
            pytest.skip(f"{file.path} has no single public original")
        content = files.uncompressed(there)
        packed = gzip.compress(content, 1) if place.endswith(".gz") else content
        web.serve(place.removeprefix(web.base), packed)
    dataset = resolve(task, say=said.append)
    assert (dataset.origin, dataset.official) == ("official", True)


@pytest.mark.parametrize("name", MADE)
def test_items_made_by_rule_need_no_source(name: str, said: list[str]) -> None:
    task = bundled(name)
    dataset = resolve(task, say=said.append)
    assert (dataset.origin, dataset.official, said) == ("generated", True, [])
    other = resolve(task.with_settings({"seed": "7"}), say=said.append)
    assert (other.origin, other.official) == ("generated", False)
    assert "another set of items than the standard one" in said[0]


def test_a_folder_need_not_hold_what_nobody_can_fetch(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    dataset = resolve(bundled("href"), tmp_path, say=said.append)
    assert dataset.origin == "demo"
    assert "does not hold it; looking elsewhere" in said[0]
    (tmp_path / "href").mkdir()
    row = dict.fromkeys(bundled("href").source.fields, "a") | {"category": "Open QA"}
    (tmp_path / "href/dev.jsonl").write_text(json.dumps(row) + "\n")
    assert resolve(bundled("href"), tmp_path, say=said.append).origin == "folder"


def test_gsm8k_from_a_folder_takes_less_than_a_tenth_of_a_second(
    shared_data: Path, said: list[str]
) -> None:
    task = bundled("gsm8k")
    took = []
    for _ in range(5):
        began = time.perf_counter()
        resolve(task, shared_data, say=said.append)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.1


@pytest.mark.parametrize("changed", [False, True])
def test_gsm8k_from_the_hubs_own_library(
    shared_data: Path,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: bool,
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path / "mirror"))
    task = bundled("gsm8k")
    folder = tmp_path / "mirror" / task.source.hub[0].repository
    (folder / "main").mkdir(parents=True)
    rows = files.rows(shared_data / task.source.files[0].path)
    if changed:
        rows[7]["answer"] += "0"
    datasets.Dataset.from_list(rows).to_parquet(folder / "main/test-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n"
        "  - split: test\n    path: main/test-*\n---\n"
    )
    dataset = resolve(task, say=said.append)
    assert dataset.origin == "hub"
    assert dataset.official is not changed
    assert len(dataset.notes) == changed
    assert [i.doc_id for i in dataset.instances] == list(range(1319))


def test_a_changed_official_file_is_said(
    shared_data: Path, said: list[str], tmp_path: Path
) -> None:
    task = bundled("gsm8k")
    (file,) = task.source.files
    target = tmp_path / file.path
    target.parent.mkdir()
    lines = files.uncompressed(shared_data / file.path).splitlines(keepends=True)
    target.write_bytes(gzip.compress(b"".join(lines[:-1])))
    dataset = resolve(task, tmp_path, say=said.append)
    assert not dataset.official
    assert "1318 rows where the official set has 1319" in dataset.notes[0]
