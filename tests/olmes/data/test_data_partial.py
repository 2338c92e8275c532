"""Sub-tasks whose data are not available: left out by name, where the benchmark allows it."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from olmes import DataFile, HubSplit, Source
from olmes.data.catalog import listing
from olmes.data.resolve import at_hand, resolve
from olmes.errors import OlmesError

ROWS = [{"country": "Österreich", "capital": "Wien"}, {"country": "Chile", "capital": "Santiago"}]


def source_of(official: Any) -> Source:
    """One file that is published, and one that is nowhere but, perhaps, on the hub."""
    return Source(
        files=(
            replace(official.file, path="capitals/old.jsonl.gz", subtask="old"),
            DataFile(path="capitals/new.jsonl", github="", sha256="", rows=2, subtask="new"),
        ),
        hub=(HubSplit(repository="atlas/new", split="test", subtask="new"),),
        fields=("country",),
        optional=("capital", "mayor"),
        content_hash="",
        partial=True,
    )


def put(folder: Path, name: str, content: bytes) -> None:
    (folder / "capitals").mkdir(exist_ok=True)
    packed = gzip.compress(content) if name.endswith(".gz") else content
    (folder / "capitals" / name).write_bytes(packed)


def test_what_the_folder_lacks_is_left_out_and_named(
    official: Any, said: list[str], tmp_path: Path, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    put(tmp_path, "old.jsonl.gz", official.content)
    dataset = resolve(make_task(source_of(official)), tmp_path, say=said.append)
    assert [one.id for one in dataset.instances] == ["capitals/old/0", "capitals/old/1"]
    assert dataset.instances[0].doc == {**ROWS[0], "subtask": "old"}
    assert (dataset.origin, dataset.official, dataset.missing) == ("folder", False, ("new",))
    assert dataset.recorded().missing == ["new"]
    assert said[0].startswith("capitals: without new: ")
    assert said[1].startswith("capitals: without new, whose data are not here: its number is ")
    assert at_hand(make_task(source_of(official)), tmp_path) is not None


def test_a_folder_is_not_gone_past_for_what_could_be_put_there(
    web: Any, official: Any, said: list[str], tmp_path: Path, make_task: Any
) -> None:
    web.serve(official.web_path, official.content)
    put(tmp_path, "new.jsonl", official.content)
    dataset = resolve(make_task(source_of(official)), tmp_path, say=said.append)
    assert dataset.missing == ("old",)
    assert "`olmes data pull --to" in said[0]
    assert not web.gets()


def test_sub_tasks_come_from_different_places(
    web: Any, official: Any, said: list[str], tmp_path: Path, make_task: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    web.serve(official.web_path, official.content)
    mirror = tmp_path / "mirror/atlas/new"
    mirror.mkdir(parents=True)
    (mirror / "test.jsonl").write_bytes(official.content)
    monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path / "mirror"))
    dataset = resolve(make_task(source_of(official)), say=said.append)
    assert [one.id for one in dataset.instances] == [
        "capitals/old/0", "capitals/old/1", "capitals/new/0", "capitals/new/1",
    ]  # fmt: skip
    assert (dataset.origin, dataset.missing) == ("hub", ())
    assert dataset.location.endswith(", atlas/new")


def test_a_folder_with_none_of_it_is_a_mistake(
    official: Any, said: list[str], tmp_path: Path, make_task: Any
) -> None:
    with pytest.raises(OlmesError, match=r"old\.jsonl\.gz does not exist"):
        resolve(make_task(source_of(official)), tmp_path, say=said.append)


def test_rows_that_are_not_asked_keep_their_number(
    official: Any, said: list[str], tmp_path: Path, make_task: Any
) -> None:
    put(tmp_path, "old.jsonl.gz", official.content)
    put(tmp_path, "new.jsonl", official.content)
    source = replace(source_of(official), asked=lambda doc: doc["capital"] == "Santiago")
    dataset = resolve(make_task(source), tmp_path, say=said.append)
    assert [one.id for one in dataset.instances] == ["capitals/old/1", "capitals/new/1"]


def test_the_listing_says_of_each_sub_task_where_it_would_come_from(
    official: Any, tmp_path: Path, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(source_of(official))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    assert [one.state for one in listing([task])] == ["nowhere", "nowhere"]
    put(tmp_path, "old.jsonl.gz", official.content)
    assert [one.state for one in listing([task], tmp_path)] == ["folder", "nowhere"]
    monkeypatch.delenv("OLMES_OFFLINE")
    assert [one.state for one in listing([task], tmp_path)] == ["folder", "hub"]
    assert [one.state for one in listing([task])] == ["to fetch", "hub"]
