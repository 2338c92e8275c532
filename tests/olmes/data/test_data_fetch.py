from __future__ import annotations

import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from olmes.data import fetch, network
from olmes.data.network import NotFetched
from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder
from tests.timing import least_seconds

Kept = Callable[[], list[str]]

IN_ANOTHER_PROCESS = """
import sys
from olmes.data.fetch import fetch
from olmes.benchmark.source import DataFile
print(fetch(DataFile(path=sys.argv[1], github=sys.argv[2], sha256=sys.argv[3], rows=1)))
"""


def start(file: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, file.path, file.github, file.sha256]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def test_a_file_is_fetched_once_and_then_read_from_the_cache(web: Any, official: Any) -> None:
    web.serve(official.web_path, official.content)
    path = fetch.fetch(official.file)
    assert path.read_bytes() == official.content
    assert path == fetch.cache_path(official.file)
    assert oct(path.stat().st_mode & 0o777) == "0o644"
    assert fetch.fetch(official.file) == path
    assert web.gets() == [official.web_path]


def test_an_original_that_is_gzipped_is_checked_by_its_uncompressed_bytes(
    web: Any, official: Any
) -> None:
    official.original = "data/test.jsonl.gz"
    web.serve(official.web_path, gzip.compress(official.content))
    assert fetch.fetch(official.file).read_bytes() == official.content


def test_wrong_bytes_are_refused_with_both_hashes_and_nothing_is_kept(
    web: Any, official: Any, kept: Kept
) -> None:
    wrong = official.content.replace(b"Wien", b"Graz")
    web.serve(official.web_path, wrong)
    with pytest.raises(OlmesError) as refusal:
        fetch.fetch(official.file)
    assert not isinstance(refusal.value, NotFetched)
    assert hashlib.sha256(wrong).hexdigest() in str(refusal.value)
    assert official.file.sha256 in str(refusal.value)
    assert "--data DIR" in str(refusal.value)
    assert kept() == []


@pytest.mark.parametrize(
    "damaged",
    [b"no gzip at all", gzip.compress(b"x" * 999, mtime=0)[:-9]],
    ids=["no gzip at all", "cut short"],
)
def test_a_damaged_gzip_original_is_wrong_bytes(
    web: Any, official: Any, kept: Kept, damaged: bytes
) -> None:
    official.original = "data/test.jsonl.gz"
    web.serve(official.web_path, damaged)
    with pytest.raises(OlmesError, match="SHA-256"):
        fetch.fetch(official.file)
    assert kept() == []


def test_a_damaged_file_in_the_cache_is_fetched_again(web: Any, official: Any) -> None:
    web.serve(official.web_path, official.content)
    fetch.fetch(official.file).write_bytes(official.content[:-5])
    assert not fetch.cached(official.file)
    assert fetch.fetch(official.file).read_bytes() == official.content


def test_a_connection_cut_half_way_leaves_nothing(web: Any, official: Any, kept: Kept) -> None:
    web.cut(official.web_path, official.content)
    with pytest.raises(NotFetched, match=r"was cut off \(.*bytes read.*\) and nothing of it"):
        fetch.fetch(official.file)
    assert kept() == []


def test_a_server_that_falls_silent_is_given_up(
    web: Any, official: Any, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "READ_SECONDS", 0.3)
    web.stall(official.web_path, official.content, seconds=60)

    def given_up() -> None:
        with pytest.raises(NotFetched, match=r"was cut off \(Read timed out"):
            fetch.fetch(official.file)

    assert least_seconds(given_up, 3) < 3
    assert kept() == []


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, r"does not exist \(HTTP 404\).*--data DIR"), (503, r"was refused \(HTTP 503\)")],
)
def test_an_http_error_is_said(
    web: Any, official: Any, kept: Kept, status: int, message: str
) -> None:
    web.fail(official.web_path, status)
    with pytest.raises(NotFetched, match=message):
        fetch.fetch(official.file)
    assert kept() == []


@pytest.mark.parametrize("github", ["", "a/b:data/*.csv@0123456789", "a/b:data/x.csv@main"])
def test_a_file_without_one_pinned_original_is_never_asked_for(
    web: Any, official: Any, github: str
) -> None:
    with pytest.raises(NotFetched, match="no single public original"):
        fetch.fetch(replace(official.file, github=github))
    assert web.asked == []


def test_a_cache_that_cannot_be_written_is_an_error_with_the_remedy(
    web: Any, official: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "file"))
    web.serve(official.web_path, official.content)
    with pytest.raises(OlmesError, match=r"cannot be written .*OLMES_CACHE"):
        fetch.fetch(official.file)


def test_two_processes_fetch_the_same_file_at_once(web: Any, official: Any, kept: Kept) -> None:
    web.together(official.web_path, official.content, clients=2)
    both = [start(official.file), start(official.file)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert Path(out.strip()).read_bytes() == official.content
    assert web.gets() == [official.web_path] * 2
    assert len(kept()) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_process_stopped_half_way_leaves_no_file_that_could_be_read(
    web: Any, official: Any, kept: Kept, how: signal.Signals
) -> None:
    web.stall(official.web_path, official.content, seconds=10)
    process = start(official.file)
    deadline = time.monotonic() + 30
    while not kept():
        assert time.monotonic() < deadline, "the download did not begin"
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not fetch.cache_path(official.file).exists()
    if how is signal.SIGINT:
        assert kept() == []
    web.serve(official.web_path, official.content)
    assert fetch.fetch(official.file).read_bytes() == official.content


def test_the_cache_is_the_users_own_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder("data", "x") == tmp_path / "cache/data/x"
    monkeypatch.delenv("OLMES_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder("data").is_relative_to(tmp_path)
    assert cache_folder("data").parts[-2:] == ("olmes", "data")
    assert not (tmp_path / "cache").exists()


class TestNetwork:
    def test_a_host_is_asked_once(self, web: Any) -> None:
        network.require(f"{web.base}/a")
        network.require(f"{web.base}/b")
        assert web.asked == [("HEAD", "/")]

    def test_a_host_is_asked_again_after_a_while(
        self, web: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network.require(web.base)
        monkeypatch.setattr(network, "MEMORY_SECONDS", 0.0)
        network.require(web.base)
        assert len(web.asked) == 2

    def test_a_closed_port_is_unreachable_at_once_and_remembered(
        self, closed_port: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused() -> None:
            network._answers.clear()
            with pytest.raises(NotFetched, match=r"cannot be reached \(.*refused"):
                network.require(closed_port)

        assert least_seconds(refused, 2) < 2
        monkeypatch.setattr(network, "_ask", lambda host: pytest.fail("asked again"))
        with pytest.raises(NotFetched, match="cannot be reached"):
            network.require(f"{closed_port}/other")

    def test_a_name_that_does_not_resolve_is_unreachable_at_once(self) -> None:
        def unknown() -> None:
            network._answers.clear()
            with pytest.raises(NotFetched, match=r"host\.invalid cannot be reached"):
                network.require("https://host.invalid/x")

        assert least_seconds(unknown, 5) < 5

    def test_a_host_that_drops_packets_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full queue of a listener that never accepts looks like a firewall that drops."""
        monkeypatch.setattr(network, "CONNECT_SECONDS", 0.5)
        monkeypatch.setattr(network, "READ_SECONDS", 0.5)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            address = listener.getsockname()
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(address)

            def dropped() -> None:
                network._answers.clear()
                with pytest.raises(NotFetched, match=r"cannot be reached \(.*timed out"):
                    network.require(f"http://127.0.0.1:{address[1]}")

            assert least_seconds(dropped, 3) < 3
            for each in waiting:
                each.close()

    @pytest.mark.parametrize("value", ["1", "true", "YES"])
    def test_offline_asks_nobody(
        self, web: Any, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OLMES_OFFLINE", value)
        with pytest.raises(NotFetched, match="OLMES_OFFLINE"):
            network.require(web.base)
        assert web.asked == []

    @pytest.mark.parametrize("url", ["mirror.example", "ftp://mirror.example", "https://"])
    def test_what_is_no_web_address_is_an_error(self, url: str) -> None:
        with pytest.raises(OlmesError, match="not the address of a web server") as error:
            network.require(url)
        assert not isinstance(error.value, NotFetched)
