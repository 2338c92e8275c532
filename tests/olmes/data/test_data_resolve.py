from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from olmes import HubSplit, Source
from olmes.benchmark.registry import load_task
from olmes.data import demo
from olmes.data.dataset import Dataset
from olmes.data.resolve import resolve
from olmes.errors import OlmesError
from olmes.tools.as_json import as_json
from olmes.tools.hashing import content_hash as hash_of_one

ROWS = [{"country": "Österreich", "capital": "Wien"}, {"country": "Chile", "capital": "Santiago"}]
Kept = Callable[[], list[str]]


def put_demo_data(folder: Path, rows: list[dict[str, Any]]) -> str:
    """Demo data beside a task's file; returns the task's reference."""
    (folder / "demo").mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "demo/capitals.jsonl").write_text(text)
    return str(folder / "capitals.py")


def two_files(official: Any, **changes: Any) -> Source:
    """One file a sub-task, the same rows in both, so that only the sub-task tells them apart."""
    files = tuple(
        replace(official.file, path=f"capitals/{name}.jsonl.gz", subtask=name)
        for name in ("old", "new")
    )
    source = Source(files=files, fields=("country", "capital"), content_hash="", **changes)
    hashed: Source = official.with_hash(source, [("old", ROWS), ("new", ROWS)])
    return hashed


class TestFolder:
    @pytest.mark.parametrize("named", ["argument", "environment"])
    def test_the_official_file_in_a_named_folder(
        self,
        official: Any,
        said: list[str],
        tmp_path: Path,
        named: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        official.write(tmp_path)
        if named == "environment":
            monkeypatch.setenv("OLMES_DATA", str(tmp_path))
        dataset = resolve(
            official.task(), tmp_path if named == "argument" else None, say=said.append
        )
        assert dataset.origin == "folder"
        assert dataset.location == str(tmp_path)
        assert dataset.official
        assert dataset.content_hash == official.source.content_hash
        assert [instance.id for instance in dataset.instances] == ["capitals/0", "capitals/1"]
        assert [instance.doc for instance in dataset.instances] == ROWS
        assert said == []

    def test_the_argument_comes_before_the_environment(
        self, official: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        official.write(tmp_path / "a", ROWS[:1])
        official.write(tmp_path / "b")
        monkeypatch.setenv("OLMES_DATA", str(tmp_path / "a"))
        assert len(resolve(official.task(), tmp_path / "b", say=said.append).instances) == 2

    def test_a_plain_file_will_do(self, official: Any, said: list[str], tmp_path: Path) -> None:
        packed = official.write(tmp_path)
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
        assert resolve(official.task(), tmp_path, say=said.append).official

    def test_order_and_added_columns_are_the_same_data_and_the_same_documents(
        self, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path, [{"id": i, **row} for i, row in enumerate(reversed(ROWS))])
        dataset = resolve(official.task(), tmp_path, say=said.append)
        assert dataset.official
        official.write(tmp_path)
        plain = resolve(official.task(), tmp_path, say=said.append)
        assert [i.doc_hash for i in dataset.instances] == [
            i.doc_hash for i in reversed(plain.instances)
        ]

    @pytest.mark.parametrize(
        "rows", [ROWS[:1], [*ROWS, ROWS[0]], [ROWS[0], {**ROWS[1], "capital": "Lima"}]]
    )
    def test_other_content_is_used_and_said(
        self, official: Any, said: list[str], tmp_path: Path, rows: list[dict[str, Any]]
    ) -> None:
        official.write(tmp_path, rows)
        dataset = resolve(official.task(), tmp_path, say=said.append)
        assert not dataset.official
        (note,) = dataset.notes
        assert "differs from the official set" in note
        assert ("where the official set has 2" in note) == (len(rows) != 2)
        assert said == [f"capitals: {note}"]

    def test_a_missing_file_stops_instead_of_falling_through(
        self, web: Any, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        web.serve(official.web_path, official.content)
        with pytest.raises(OlmesError, match=r"capitals/test\.jsonl\.gz does not exist.*data pull"):
            resolve(official.task(), tmp_path, say=said.append)
        assert web.asked == []

    def test_a_missing_file_of_the_environments_folder_stops_as_well(
        self, official: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OLMES_DATA", str(tmp_path))
        with pytest.raises(OlmesError, match="does not exist"):
            resolve(official.task(), say=said.append)

    @pytest.mark.parametrize("named", ["--data", "OLMES_DATA"])
    def test_a_folder_that_is_none_stops(
        self,
        official: Any,
        said: list[str],
        tmp_path: Path,
        named: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        absent = tmp_path / "absent"
        monkeypatch.setenv("OLMES_DATA", str(absent))
        with pytest.raises(OlmesError, match=rf"{named} names .*absent, which is not a folder"):
            resolve(official.task(), absent if named == "--data" else None, say=said.append)

    def test_a_row_without_a_field_is_named(
        self, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        path = official.write(tmp_path, [ROWS[0], {"country": "Chile", "answer": "Santiago"}])
        with pytest.raises(OlmesError, match=rf"{path.name}, row 2: no field 'capital'"):
            resolve(official.task(), tmp_path, say=said.append)

    def test_an_empty_file_is_an_error(
        self, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path, [])
        with pytest.raises(OlmesError, match="holds no rows"):
            resolve(official.task(), tmp_path, say=said.append)

    def test_a_task_that_declares_no_content_hash_is_told_what_to_declare(
        self, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path)
        dataset = resolve(official.task(content_hash=""), tmp_path, say=said.append)
        assert not dataset.official
        assert official.source.content_hash in dataset.notes[0]


class TestSubtasks:
    def test_one_file_each(
        self, official: Any, said: list[str], tmp_path: Path, make_task: Any
    ) -> None:
        source = two_files(official)
        for file in source.files:
            path = tmp_path / file.path
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(official.content))
        dataset = resolve(make_task(source), tmp_path, say=said.append)
        assert dataset.official
        assert [i.id for i in dataset.instances] == [
            "capitals/old/0", "capitals/old/1", "capitals/new/0", "capitals/new/1",
        ]  # fmt: skip
        official.write(tmp_path, ROWS)
        swapped = make_task(replace(source, files=(source.files[0], source.files[0])))
        assert not resolve(swapped, tmp_path, say=said.append).official

    def test_several_in_one_file_are_told_by_the_task(
        self, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.rows = [{**ROWS[0], "continent": "EU"}, {**ROWS[1], "continent": "SA"}]
        official.write(tmp_path, official.rows)
        task = official.task(fields=("country", "capital", "continent"))
        ids = [i.id for i in resolve(task, tmp_path, say=said.append).instances]
        assert ids == ["capitals/EU/0", "capitals/SA/1"]

    def test_files_that_share_a_subtask_are_numbered_on(
        self, official: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path)
        task = official.task(files=(official.file, official.file))
        ids = [i.id for i in resolve(task, tmp_path, say=said.append).instances]
        assert ids == [f"capitals/{row}" for row in range(4)]


class TestOfficial:
    def test_fetched_then_cached(self, web: Any, official: Any, said: list[str]) -> None:
        web.serve(official.web_path, official.content)
        first = resolve(official.task(), say=said.append)
        assert (first.origin, first.official, first.notes) == ("official", True, ())
        assert first.location == "atlas/capitals@0123456789abcdef0123456789abcdef01234567"
        assert said == [f"capitals: fetching {web.base}{official.web_path}"]
        assert resolve(official.task(), say=said.append) == first
        assert len(said) == 1
        assert len(web.gets()) == 1

    def test_exemplars_are_fetched_too(self, web: Any, official: Any, said: list[str]) -> None:
        shots = official.source
        shots = replace(shots, content_hash=hash_of_one(official.rows))
        task = official.task(exemplars=shots)
        web.serve(official.web_path, official.content)
        dataset = resolve(task, say=said.append)
        assert (dataset.origin, dataset.official) == ("official", True)
        assert task.exemplar_rows == official.rows

    def test_a_cached_file_needs_no_network(
        self, web: Any, official: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web.serve(official.web_path, official.content)
        resolve(official.task(), say=said.append)
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        assert resolve(official.task(), say=said.append).origin == "official"

    def test_wrong_bytes_stop_the_run(
        self, web: Any, official: Any, said: list[str], kept: Kept, make_task: Any, tmp_path: Path
    ) -> None:
        web.serve(official.web_path, official.content + b"\n")
        task = make_task(official.source, put_demo_data(tmp_path / "t", ROWS))
        with pytest.raises(OlmesError, match="SHA-256"):
            resolve(task, say=said.append)
        assert kept() == []
        assert (
            len(said) == 1
        )  # that it was fetched; neither the hub nor the demo data was turned to

    def test_a_wrong_content_hash_of_the_task_is_its_authors_to_correct(
        self, web: Any, official: Any, said: list[str]
    ) -> None:
        web.serve(official.web_path, official.content)
        with pytest.raises(OlmesError, match=official.source.content_hash):
            resolve(official.task(content_hash="0" * 64), say=said.append)

    @pytest.mark.parametrize("failure", ["404", "cut", "unreachable", "no original", "offline"])
    def test_what_is_missing_is_said_once_and_the_demo_data_is_used(
        self,
        web: Any,
        official: Any,
        said: list[str],
        kept: Kept,
        make_task: Any,
        tmp_path: Path,
        failure: str,
        closed_port: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        source = official.source
        message = {"404": "HTTP 404", "unreachable": "cannot be reached"}.get(failure, failure)
        if failure == "cut":
            web.cut(official.web_path, official.content)
        elif failure == "unreachable":
            monkeypatch.setenv("OLMES_GITHUB_RAW", closed_port)
        elif failure == "no original":
            source = replace(source, files=(replace(official.file, github=""),))
            message = "no single public original"
        elif failure == "offline":
            monkeypatch.setenv("OLMES_OFFLINE", "1")
            source = replace(source, hub=(HubSplit(repository="atlas/capitals", split="test"),))
            message = "OLMES_OFFLINE"
        task = make_task(source, put_demo_data(tmp_path / "t", ROWS[:1]))
        dataset = resolve(task, say=said.append)
        assert dataset.origin == "demo"
        assert sum(message in line for line in said) == 1
        assert all(line.startswith("capitals: ") and "\n" not in line for line in said)
        assert kept() == []

    def test_one_file_that_cannot_be_had_spoils_the_set(
        self, web: Any, official: Any, said: list[str], make_task: Any, tmp_path: Path
    ) -> None:
        source = two_files(official)
        old, new = source.files
        new = replace(new, github=new.github.replace("te st", "absent"), sha256="0" * 64)
        source = replace(source, files=(old, new))
        web.serve(official.web_path, official.content)
        reference = put_demo_data(tmp_path / "t", [{**ROWS[0], "subtask": "new"}])
        dataset = resolve(make_task(source, reference), say=said.append)
        assert dataset.origin == "demo"
        assert "and 1 more" in said[0]


class TestDemoData:
    def test_it_says_what_it_is(
        self, official: Any, said: list[str], make_task: Any, tmp_path: Path
    ) -> None:
        task = make_task(replace(official.source, files=()), put_demo_data(tmp_path, ROWS[:1]))
        dataset = resolve(task, say=said.append)
        assert as_json(dataset.recorded()) == {
            "origin": "demo",
            "location": "demo/capitals.jsonl",
            "content_hash": dataset.content_hash,
            "official": False,
            "n": 1,
            "notes": [
                "demo data: 1 items written for this project, never comparable with numbers on "
                "the real set."
            ],
        }
        assert said[-1] == f"capitals: {dataset.notes[0]}"

    def test_rows_name_their_subtask_where_one_file_a_subtask_is_due(
        self, official: Any, said: list[str], make_task: Any, tmp_path: Path, offline: None
    ) -> None:
        rows = [
            {**ROWS[0], "subtask": "new"},
            {**ROWS[1], "subtask": "old"},
            {**ROWS[1], "subtask": "new"},
        ]
        task = make_task(two_files(official), put_demo_data(tmp_path, rows))
        instances = resolve(task, say=said.append).instances
        assert [i.id for i in instances] == ["capitals/old/0", "capitals/new/0", "capitals/new/1"]
        assert all(set(i.doc) == {"country", "capital", "subtask"} for i in instances)

    @pytest.mark.parametrize("subtask", [{}, {"subtask": "ancient"}])
    def test_a_row_that_names_none_is_an_error(
        self,
        official: Any,
        said: list[str],
        make_task: Any,
        tmp_path: Path,
        offline: None,
        subtask: dict[str, str],
    ) -> None:
        task = make_task(two_files(official), put_demo_data(tmp_path, [{**ROWS[0], **subtask}]))
        with pytest.raises(OlmesError, match=r"row 1: 'subtask' is .*old, new"):
            resolve(task, say=said.append)

    def test_without_any_data_the_error_says_what_was_tried(
        self, official: Any, said: list[str], offline: None
    ) -> None:
        with pytest.raises(
            OlmesError, match=r"has no data here.*--data DIR.*OLMES_OFFLINE.*demo data"
        ):
            resolve(official.task(), say=said.append)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")


def test_a_dataset_is_frozen(official: Any, said: list[str], tmp_path: Path) -> None:
    official.write(tmp_path)
    dataset = resolve(official.task(), tmp_path, say=said.append)
    assert isinstance(dataset, Dataset)
    with pytest.raises(AttributeError):
        dataset.official = False  # type: ignore[misc]


def test_importing_the_modules_imports_no_library_that_fetches() -> None:
    code = (
        "import sys, olmes.data.resolve, olmes.data.catalog;"
        "print([m for m in ('datasets', 'pooch', 'requests', 'torch', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_demo_data_of_an_older_task_are_still_found(tmp_path: Path) -> None:
    echo = Path(__file__).parents[1] / "files/echo_task.py"
    (tmp_path / "samples").mkdir()
    (tmp_path / "task.py").write_text(echo.read_text("utf-8"), "utf-8")
    (tmp_path / "samples/echo.jsonl").write_text('{"question": "a", "answer": "a"}\n', "utf-8")
    found = demo.find(load_task(str(tmp_path / "task.py")))
    assert found is not None
    assert found.name == "echo.jsonl"
