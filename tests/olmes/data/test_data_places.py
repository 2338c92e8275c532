"""Data beside the task's own file, in several folders, and in a package."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from olmes import DataFile, Source
from olmes.benchmark import registry
from olmes.cli import olmes
from olmes.cli.data import print_all, show_one
from olmes.data.catalog import listing
from olmes.data.contents import contents
from olmes.data.places import as_folders, data_folders, resolved_folders
from olmes.data.resolve import at_hand, resolve
from olmes.errors import OlmesError

ROWS = [{"country": "Österreich", "capital": "Wien"}, {"country": "Chile", "capital": "Santiago"}]
FIELDS = ("country", "capital")
ECHO = (Path(__file__).parents[1] / "files/echo_task.py").read_text("utf-8")


def own(make_task: Any, folder: Path, source: Source) -> Any:
    """A task whose file lies in a folder."""
    return make_task(source, str(folder / "capitals.py"))


class TestBeside:
    def test_what_is_declared_is_official_and_nothing_is_said(
        self, official: Any, make_task: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path / "own")
        task = own(make_task, tmp_path / "own", official.source)
        dataset = resolve(task, say=said.append)
        assert (dataset.origin, dataset.location) == ("folder", str(tmp_path / "own"))
        assert dataset.official
        assert said == []
        here = at_hand(task)
        assert here is not None
        assert here.content_hash == official.source.content_hash

    def test_it_comes_before_a_named_folder_which_is_said(
        self, official: Any, make_task: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path / "own")
        official.write(tmp_path / "named", ROWS[:1])
        task = own(make_task, tmp_path / "own", official.source)
        assert len(resolve(task, tmp_path / "named", say=said.append).instances) == 2
        [line] = said
        assert f"read from {tmp_path / 'own'}" in line
        assert f"{tmp_path / 'named'} has the file as well" in line

    def test_an_undeclared_set_is_used_and_is_not_official(
        self, make_task: Any, said: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        source = Source(files=(DataFile(path="capitals.jsonl"),), fields=FIELDS)
        dataset = resolve(own(make_task, tmp_path, source), say=said.append)
        assert not dataset.official
        assert dataset.notes[0].startswith("the task declares no content hash")

    def test_an_absolute_path_is_itself(
        self, make_task: Any, said: list[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "far" / "rows.jsonl.gz"
        path.parent.mkdir()
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
        source = Source(files=(DataFile(path=str(path)),), fields=FIELDS)
        for data in (None, tmp_path):
            dataset = resolve(own(make_task, tmp_path, source), data, say=said.append)
            assert dataset.location == str(path.parent)
            assert len(dataset.instances) == 2

    def test_the_error_says_where_to_put_it(
        self, make_task: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        source = Source(files=(DataFile(path="capitals.jsonl"),), fields=FIELDS)
        place = tmp_path / "capitals.jsonl"
        with pytest.raises(OlmesError, match=f"put it beside the task's file as {place}, or into"):
            resolve(own(make_task, tmp_path, source), say=said.append)

    def test_a_part_of_the_set_is_not_the_set(
        self, official: Any, make_task: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.write(tmp_path)
        other = replace(official.file, path="capitals/other.jsonl.gz")
        source = replace(official.source, files=(official.file, other))
        with pytest.raises(OlmesError, match=r"other\.jsonl\.gz does not exist, though others"):
            resolve(own(make_task, tmp_path, source), say=said.append)

    def test_parquet(self, make_task: Any, said: list[str], tmp_path: Path) -> None:
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "capitals.parquet")
        source = Source(files=(DataFile(path="capitals.parquet"),), fields=FIELDS)
        dataset = resolve(own(make_task, tmp_path, source), say=said.append)
        assert [instance.doc for instance in dataset.instances] == ROWS


class TestSeveralFolders:
    def test_each_file_is_of_the_first_that_has_it(
        self, official: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = replace(official.file, path="capitals/other.jsonl.gz", github="")
        task = official.task(files=(official.file, other), content_hash="")
        a, b = tmp_path / "a", tmp_path / "b"
        official.write(a, ROWS[:1])
        official.write(b)
        (b / other.path).write_bytes((b / official.path).read_bytes())
        dataset = resolve(task, (a, b), say=said.append)
        assert len(dataset.instances) == 3
        assert dataset.location == f"{a}, {b}"
        assert task.data_folders == (a, b)
        monkeypatch.setenv("OLMES_DATA", f"{b}{os.pathsep}{a}")
        assert len(resolve(task, say=said.append).instances) == 4

    def test_an_absent_file_names_all(self, official: Any, said: list[str], tmp_path: Path) -> None:
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        names = f"does not exist in {folders[0]} or {folders[1]}; put the official file into one"
        with pytest.raises(OlmesError, match=names):
            resolve(official.task(), folders, say=said.append)

    def test_the_ways_to_name_folders(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert as_folders(None) == as_folders(()) == as_folders("") == ()
        assert as_folders(["a", Path("b"), "a"]) == (Path("a"), Path("b"))
        assert resolved_folders(None) is None
        assert resolved_folders(tmp_path) == str(tmp_path)
        assert resolved_folders([tmp_path, "/"]) == (str(tmp_path), "/")
        odd = tmp_path / f"with{os.pathsep}in"
        odd.mkdir()
        monkeypatch.setenv("OLMES_DATA", str(odd))
        assert data_folders(()) == (odd,)
        monkeypatch.setenv("OLMES_DATA", f"{odd.parent}{os.pathsep}{tmp_path / 'absent'}")
        with pytest.raises(OlmesError, match=r"OLMES_DATA names .*absent, which is not a folder"):
            data_folders(())

    def test_official_data_and_ones_own_in_one_command(
        self, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OLMES_DATA", str(shared_data))
        (tmp_path / "echo").mkdir()
        (tmp_path / "echo/test.jsonl").write_text('{"word": "one"}\n', "utf-8")
        (tmp_path / "echo_task.py").write_text(ECHO, "utf-8")
        asked = ["data", "list", "gsm8k", str(tmp_path / "echo_task.py"), "--json"]
        gsm8k, echo = map(json.loads, CliRunner().invoke(olmes, asked).stdout.splitlines())
        assert (gsm8k["set"]["items"], echo["set"]["items"]) == (1319, 1)
        assert gsm8k["set"]["content_hash"] == gsm8k["content_hash"]
        assert gsm8k["found"]["sha256"] == gsm8k["sha256"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as pip lays it out, with a task and its data beside the module."""
    registry.third_party.cache_clear()
    folder = tmp_path / "site" / "their_benchmark"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "their_echo.py").write_text(ECHO, "utf-8")
    (folder / "echo").mkdir()
    (folder / "echo/test.jsonl").write_text('{"word": "one"}\n{"word": "two"}\n', "utf-8")
    info = tmp_path / "site" / "their_benchmark-1.0.dist-info"
    info.mkdir()
    about = "Metadata-Version: 2.1\nName: their_benchmark\nVersion: 1.0\n"
    (info / "METADATA").write_text(about, "utf-8")
    entry = "[olmes.tasks]\ntheir_echo = their_benchmark.their_echo\n"
    (info / "entry_points.txt").write_text(entry, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield folder
    registry.third_party.cache_clear()


def test_a_package_brings_its_data_which_are_no_demo_data(package: Path, said: list[str]) -> None:
    task = registry.load_task("their_echo")
    dataset = resolve(task, say=said.append)
    assert (dataset.origin, len(dataset.instances)) == ("folder", 2)
    assert dataset.location == str(package)
    done = CliRunner().invoke(olmes, ["data", "list", "their_echo"], env={"COLUMNS": "200"})
    assert f'content_hash="{dataset.content_hash}"  # not declared yet' in done.output


def test_the_list_counts_exemplars_apart(
    official: Any, make_task: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    official.write(tmp_path)
    shots = replace(official.file, path="capitals/dev.jsonl.gz", rows=5)
    lines = "".join(json.dumps({"country": str(n), "capital": str(n)}) + "\n" for n in range(5))
    (tmp_path / shots.path).write_bytes(gzip.compress(lines.encode()))
    exemplars = Source(files=(shots,), fields=FIELDS)
    task = own(make_task, tmp_path, replace(official.source, exemplars=exemplars))
    print_all(listing([task]))
    line = next(line for line in capsys.readouterr().out.splitlines() if "capitals" in line)
    assert line.split()[:5] == ["capitals", "folder", "2", "2", "5"]
    inside = contents(task)
    assert inside is not None
    assert (inside.items, inside.exemplars) == (2, 5)
    assert inside.content_hash == official.source.content_hash
    declared = replace(exemplars, content_hash=inside.exemplars_hash)
    whole = own(make_task, tmp_path, replace(official.source, exemplars=declared))
    assert resolve(whole, say=print).official


def test_a_set_that_is_not_here_is_not_counted(
    official: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    done = CliRunner().invoke(olmes, ["data", "list", "gsm8k"], env={"COLUMNS": "200"})
    assert "not on this machine" in done.output
    assert "olmes data pull gsm8k" in done.output


def test_of_ones_own_set_it_is_said_where_to_put_it(
    make_task: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = DataFile(path="part.jsonl")
    source = Source(files=(DataFile(path="all.jsonl"),), fields=FIELDS, other_files=(other,))
    task = own(make_task, tmp_path, source)
    show_one(task, listing([task]), (), as_json=False)
    assert f"put it there as {tmp_path / 'all.jsonl'}" in capsys.readouterr().out.replace("\n", "")
    (tmp_path / "part.jsonl").write_text(json.dumps(ROWS[0]) + "\n", "utf-8")
    show_one(task, listing([task]), (), as_json=False)
    assert "of what is here, which may be a part of the set" in capsys.readouterr().out
