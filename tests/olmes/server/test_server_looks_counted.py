"""Looks that a results server knows count on a machine that pushes to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from olmes import Client
from olmes.cli import olmes as group
from olmes.seal.known_stores import keep_server_looks, looks_elsewhere
from olmes.seal.ledger import Ledger
from olmes.tools.hashing import content_hash

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running


@pytest.fixture
def exam(
    bench: Path, sealed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Another machine: `exam(STORE, ARGUMENTS...)` runs the suite of the sealed run there."""
    monkeypatch.setenv("OLMES_LOOKS", str(tmp_path / "another-machine"))
    monkeypatch.delenv("OLMES_SERVER", raising=False)

    def run(out: str, *arguments: object) -> Result:
        given = [
            "run", "--suite", tmp_path / "exam.toml", "--model", f"replay:{bench}/recording.jsonl",
            "--data", bench, "--out", tmp_path / out, "--scoring-processes", 1,
            "--reason", "final", *arguments,
        ]  # fmt: skip
        return CliRunner().invoke(group, list(map(str, given)), standalone_mode=False)

    return run


def looks_before(out: Path) -> int:
    return int(Ledger(out).entries()[0]["looks_before"])


@pytest.mark.slow
def test_a_look_elsewhere_counts_once_the_server_knows_it(
    exam: Callable[..., Result], server: Running, sealed_run: Path, tmp_path: Path
) -> None:
    exam("alone", "--limit", 2)
    assert looks_before(tmp_path / "alone") == 0
    with Client(server.url) as client:
        client.push(sealed_run)
    told = exam("team", "--push", server.url, "--limit", 3)
    assert told.exception is None, told.exception
    assert looks_before(tmp_path / "team") == 2
    # It is remembered while the server is not asked, and counted once however often it is.
    exam("later", "--limit", 4)
    exam("again", "--push", server.url, "--limit", 5)
    assert [looks_before(tmp_path / name) for name in ("later", "again")] == [3, 4]


class Portal(BaseHTTPRequestHandler):
    """What answers in the place of a server before one has signed in to a network."""

    answer = b"<html>sign in</html>"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"{}", b'{"entries": 3}', b'{"entries": [3]}']
)
def test_what_is_no_results_server_stops_no_look(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmes.client.looks import note_looks

    monkeypatch.setattr(Portal, "answer", answer)
    said: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Portal) as portal:
        Thread(target=portal.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{portal.server_port}"
        note_looks(url, say=said.append)
        portal.shutdown()
    note_looks(url, say=said.append)  # nothing at all answers there any more
    assert len(said) == 2
    assert all(line.startswith(f"the looks that {url} knows of do not count") for line in said)


def test_lines_without_their_hash_are_not_noted(tmp_path: Path) -> None:
    good: dict[str, Any] = {"event": "run", "family": "a", "fingerprint": "b", "number": 1}
    good["hash"] = content_hash(good)
    keep_server_looks("http://a:1", [good, {**good, "family": "c"}, {"event": "run"}])
    assert [one["family"] for one in looks_elsewhere(tmp_path, [])] == ["a"]
    keep_server_looks("http://a:1", json.loads("[]"))
    assert looks_elsewhere(tmp_path, []) == []
