from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from olmes import DataFile, HubSplit
from olmes.data import fetch
from olmes.data.catalog import listing, pull
from olmes.data.resolve import resolve
from olmes.errors import OlmesError

Kept = Callable[[], list[str]]


def second_file(official: Any, **changes: Any) -> DataFile:
    file: DataFile = official.file
    github = file.github.replace("te st", "second")
    return replace(file, **{"path": "capitals/second.jsonl.gz", "github": github, **changes})


class TestListing:
    def test_a_file_to_fetch_with_all_that_is_known_of_it(
        self, official: Any, web: Any, tmp_path: Path
    ) -> None:
        (status,) = listing([official.task()])
        assert (status.task, status.path, status.rows) == ("capitals", "capitals/test.jsonl.gz", 2)
        assert (status.state, status.location) == ("to fetch", web.base + official.web_path)
        assert status.sha256 == official.file.sha256
        assert status.content_hash == official.source.content_hash
        assert status.licence == "CC0"
        assert web.asked == []

    def test_a_cached_file(self, official: Any, web: Any) -> None:
        web.serve(official.web_path, official.content)
        path = fetch.fetch(official.file)
        (status,) = listing([official.task()])
        assert (status.state, status.location) == ("cache", str(path))
        path.write_bytes(b"damaged")
        assert listing([official.task()])[0].state == "to fetch"

    def test_a_named_folder(self, official: Any, tmp_path: Path) -> None:
        path = official.write(tmp_path)
        task = official.task(files=(official.file, second_file(official)))
        there, absent = listing([task], tmp_path)
        assert (there.state, there.location) == ("folder", str(path))
        assert (absent.state, absent.location) == (
            "missing",
            str(tmp_path / "capitals/second.jsonl.gz"),
        )

    def test_offline_one_file_that_is_not_cached_sends_all_to_the_next_source(
        self,
        official: Any,
        web: Any,
        tmp_path: Path,
        make_task: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        web.serve(official.web_path, official.content)
        fetch.fetch(official.file)
        source = replace(
            official.source,
            files=(official.file, second_file(official, sha256="0" * 64)),
            hub=(HubSplit(repository="atlas/capitals", split="test"),),
        )
        (tmp_path / "demo").mkdir()
        (tmp_path / "demo/capitals.jsonl").write_text("{}\n")
        task = make_task(source, str(tmp_path / "capitals.py"))
        assert [status.state for status in listing([task])] == ["cache", "to fetch"]
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        assert [status.state for status in listing([task])] == ["demo", "demo"]
        assert [status.state for status in listing([make_task(source)])] == ["nowhere", "nowhere"]
        monkeypatch.setenv("OLMES_HUB_MIRROR", str(tmp_path))
        assert [status.state for status in listing([task])] == ["hub", "hub"]

    def test_a_task_without_an_official_file(self, official: Any) -> None:
        hub = (HubSplit(repository="atlas/capitals", split="test"),)
        (status,) = listing([official.task(files=(), hub=hub)])
        assert (status.path, status.state, status.location) == ("", "hub", "atlas/capitals")


class TestPull:
    def test_into_a_folder_as_data_wants_it_and_the_same_bytes_each_time(
        self, official: Any, web: Any, said: list[str], tmp_path: Path, kept: Kept
    ) -> None:
        web.serve(official.web_path, official.content)
        for name in ("one", "two"):
            (pulled,) = pull([official.task()], tmp_path / name, said.append)
            assert pulled.fetched
            assert pulled.location == tmp_path / name / "capitals/test.jsonl.gz"
        one, two = (tmp_path / n / "capitals/test.jsonl.gz" for n in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        assert one.read_bytes()[4:8] == bytes(4)  # no time of writing in the gzip header
        assert gzip.decompress(one.read_bytes()) == official.content
        assert [p.name for p in one.parent.iterdir()] == ["test.jsonl.gz"]
        assert kept() == []
        assert resolve(official.task(), tmp_path / "one", say=said.append).official
        place = f"{web.base}{official.web_path}"
        assert said == [f"capitals/test.jsonl.gz: fetching {place}"] * 2

    def test_a_path_without_gz_is_written_plain(
        self, official: Any, web: Any, said: list[str], tmp_path: Path
    ) -> None:
        official.path = "capitals/test.jsonl"
        web.serve(official.web_path, official.content)
        (pulled,) = pull([official.task()], tmp_path, said.append)
        assert pulled.location.read_bytes() == official.content

    def test_into_the_cache(
        self, official: Any, web: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web.serve(official.web_path, official.content)
        (pulled,) = pull([official.task()], None, said.append)
        assert (pulled.fetched, pulled.location) == (True, fetch.cache_path(official.file))
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        (again,) = pull([official.task()], None, said.append)
        assert not again.fetched
        assert resolve(official.task(), say=said.append).origin == "official"

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_what_is_there_and_right_is_left_alone(
        self, official: Any, web: Any, said: list[str], tmp_path: Path, suffix: str
    ) -> None:
        path = tmp_path / f"capitals/test.jsonl{suffix}"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(official.content, 1) if suffix else official.content)
        before = path.stat().st_mtime_ns
        (pulled,) = pull([official.task()], tmp_path, said.append)
        assert (pulled.fetched, pulled.location) == (False, path)
        assert path.stat().st_mtime_ns == before
        assert web.asked == []
        assert said == []

    def test_what_is_there_and_differs_is_not_overwritten(
        self, official: Any, web: Any, said: list[str], tmp_path: Path
    ) -> None:
        web.serve(official.web_path, official.content)
        path = official.write(tmp_path, [{"country": "mine", "capital": "own"}])
        before = path.read_bytes()
        with pytest.raises(OlmesError, match="is not the official file; remove it"):
            pull([official.task()], tmp_path, said.append)
        assert path.read_bytes() == before

    def test_what_the_cache_has_is_copied_without_a_network(
        self,
        official: Any,
        web: Any,
        said: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        web.serve(official.web_path, official.content)
        fetch.fetch(official.file)
        monkeypatch.setenv("OLMES_OFFLINE", "1")
        (pulled,) = pull([official.task()], tmp_path / "to", said.append)
        assert gzip.decompress(pulled.location.read_bytes()) == official.content
        assert said == []

    @pytest.mark.parametrize("failure", ["404", "cut", "wrong bytes"])
    def test_a_failure_does_not_stop_the_others_and_is_listed_at_the_end(
        self, official: Any, web: Any, said: list[str], tmp_path: Path, failure: str
    ) -> None:
        web.serve(official.web_path, official.content)
        other = official.web_path.replace("te%20st", "second")
        if failure == "cut":
            web.cut(other, official.content)
        elif failure == "wrong bytes":
            web.serve(other, b"{}")
        task = official.task(files=(second_file(official), official.file))
        message = {"404": "HTTP 404", "cut": "cut off", "wrong bytes": "SHA-256"}[failure]
        with pytest.raises(
            OlmesError, match=rf"1 of 2 files (?s:.*)second\.jsonl\.gz: .*{message}"
        ):
            pull([task], tmp_path, said.append)
        assert [p.name for p in (tmp_path / "capitals").iterdir()] == ["test.jsonl.gz"]

    def test_an_unreachable_host_is_named_once_for_all_files(
        self,
        official: Any,
        closed_port: str,
        said: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("OLMES_GITHUB_RAW", closed_port)
        task = official.task(files=(official.file, second_file(official)))
        with pytest.raises(OlmesError) as error:
            pull([task], tmp_path, said.append)
        assert str(error.value).count("cannot be reached") == 1
        assert said == []

    def test_a_file_of_two_tasks_is_fetched_once(
        self, official: Any, web: Any, said: list[str], tmp_path: Path
    ) -> None:
        web.serve(official.web_path, official.content)
        assert len(pull([official.task(), official.task()], tmp_path, said.append)) == 1
        assert len(web.gets()) == 1

    def test_a_folder_that_cannot_be_written(
        self, official: Any, web: Any, said: list[str], tmp_path: Path
    ) -> None:
        web.serve(official.web_path, official.content)
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OlmesError, match="cannot be written"):
            pull([official.task()], tmp_path / "file", said.append)
