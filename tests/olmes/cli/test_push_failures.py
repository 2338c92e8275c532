"""A results server that is away, refuses or talks nonsense ends no run and no sequence of runs."""

from __future__ import annotations

import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError
from olmes.cli.push import command as push_command
from olmes.cli.run import command as run_command
from olmes.client.client import Client
from olmes.client.live import LiveProgress, NotPushedError, Progress, push_record
from olmes.client.sending import Sender
from olmes.requests.callbacks import RunCallback
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import RunOptions
from olmes.sequence import Member, run_sequence

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
UPLOAD: dict[str, Any] = {
    "state": "open",
    "upload": "u",
    "content_hash": "c",
    "run": None,
    "files": [],
}


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers as its server was told to; what a results server never would."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append(f"{self.command} {self.path.partition('?')[0]}")  # type: ignore[attr-defined]
        self.server.answer(self)  # type: ignore[attr-defined]

    do_GET = do_POST = do_PUT = reply  # noqa: N815

    def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def abort(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


Answer = Callable[[Odd], None]


def status(code: int) -> Answer:
    body = json.dumps({"error": {"field": "", "message": f"refused with {code}."}}).encode()
    return lambda odd: odd.send(code, body)


def as_json(**answers: Any) -> Answer:
    """Answers by the last part of the address; an empty object where none is given."""
    return lambda odd: odd.send(
        200, json.dumps(answers.get(odd.path.partition("?")[0].split("/")[-1], {})).encode()
    )


def half(odd: Odd) -> None:
    odd.send_response(200)
    odd.send_header("content-length", "1000")
    odd.end_headers()
    odd.wfile.write(b'{"state": ')
    odd.close_connection = True


def login_page(odd: Odd) -> None:
    odd.send(200, b"<html>please log in \x1b[31m</html>", "text/html")


def redirected(odd: Odd) -> None:
    odd.send_response(302)
    odd.send_header("location", odd.path)
    odd.send_header("content-length", "0")
    odd.end_headers()


def hanging(odd: Odd) -> None:
    odd.server.released.wait(60)  # type: ignore[attr-defined]


ODD: dict[str, Answer] = {
    **{str(code): status(code) for code in (401, 403, 409, 422, 429, 500, 507)},
    "a login page": login_page,
    "a page of an error": lambda odd: odd.send(404, b"<html>", "text/html"),
    "redirected for ever": redirected,
    "reset": Odd.abort,
    "half": half,
    "hanging": hanging,
    "no bytes": lambda odd: odd.send(200, b""),
    "null": lambda odd: odd.send(200, b"null"),
    "a list": lambda odd: odd.send(200, b"[1]"),
    "deep": lambda odd: odd.send(200, b"[" * 200_000),
    "not UTF-8": lambda odd: odd.send(200, b"\xff\xfe{"),
    "another object": as_json(),
    "no files": as_json(uploads=UPLOAD | {"files": None}),
    "odd names": as_json(uploads=UPLOAD | {"upload": 5}),
    "present without a run": as_json(uploads={"state": "present", "run": None}),
    "a run without a name": as_json(uploads={"state": "present", "run": {"id": 3}}),
    "takes nothing": as_json(uploads=UPLOAD, **{"0": {"received": 0}}),
    "takes words": as_json(uploads=UPLOAD, **{"0": {"received": "all"}}),
    "another commit": as_json(
        uploads=UPLOAD, commit={"run": 1}, **{str(n): {"received": 1 << 30} for n in range(9)}
    ),
    "an error of another form": lambda odd: odd.send(422, b'{"error": "no"}'),
    "an error as deep": lambda odd: odd.send(422, b"[" * 200_000),
}


class OddServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Odd)
        self.answer: Answer = status(500)
        self.asked: list[str] = []
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """The client may have gone."""


@pytest.fixture
def odd() -> Iterator[OddServer]:
    server = OddServer()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    """Two recordings of the echo task."""
    (tmp_path / "data/echo").mkdir(parents=True)
    words = [f"word{number}" for number in range(3)]
    rows = "".join(json.dumps({"word": word}) + "\n" for word in words)
    (tmp_path / "data/echo/test.jsonl").write_text(rows)
    for name in "ab":
        answers = [{"doc_id": n, "response": word} for n, word in enumerate(words)]
        text = "".join(json.dumps(row) + "\n" for row in answers)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return [f"replay:{tmp_path / name}.jsonl" for name in "ab"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("olmes.client.sending.PATIENCE", 0.1)
    monkeypatch.setattr("olmes.client.sending.BRIEFLY", 0.1)
    monkeypatch.setattr("olmes.client.sending.TIMEOUT", 0.5)
    monkeypatch.setattr("olmes.client.sending.SHORT_TIMEOUT", 0.5)
    monkeypatch.setattr("olmes.client.live.PATIENCE", 1.0)


def options(tmp_path: Path, *models: str, push: str = "") -> list[str]:
    words = ["--task", str(ECHO), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "runs")]
    words += [word for model in models for word in ("--model", model)]
    return [*words, "--scoring-processes", "1", *(["--push", push] if push else [])]


def run(tmp_path: Path, *models: str, push: str = "") -> int:
    status = run_command.main(options(tmp_path, *models, push=push), standalone_mode=False)
    return int(status)


@pytest.mark.usefixtures("hurried")
def test_every_model_is_run_whatever_the_server_does(
    odd: OddServer, recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One sequence, and then each odd answer to the record of the first run."""
    odd.answer = login_page
    assert run(tmp_path, *recordings, push=odd.url) == 1
    records = sorted((tmp_path / "runs").glob("*/run.json"))
    assert len(records) == 2
    said = capfd.readouterr().err
    for record in records:
        assert f"olmes push {record.parent} --to {odd.url}" in said
    assert "2 runs are not on the server: `olmes push " in said
    assert "login page" in said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert "\x1b[31m" not in said
    folder = records[0].parent
    for name, answer in ODD.items():
        odd.answer = answer
        lines: list[str] = []
        began = time.monotonic()
        sender = Sender(odd.url, say=lines.append)
        sender.send(folder)
        assert not sender.finish(), name
        assert list(sender.missing) == [folder], name
        assert time.monotonic() - began < 30, name
        assert f"`olmes push {folder} --to {odd.url}`" in lines[-1], name
        assert not [line for line in lines if "internal error" in line], (name, lines)


@pytest.mark.usefixtures("hurried")
def test_what_an_odd_server_says_of_runs_is_refused_in_a_sentence(odd: OddServer) -> None:
    asked: list[Callable[[Client], Any]] = [
        lambda client: list(client.runs()),
        lambda client: list(client.samples("a", "b")),
        lambda client: client.run("a"),
        lambda client: client.leaderboard(),
        lambda client: client.compare("a", "b"),
        lambda client: client.checkpoints("a"),
        lambda client: client.ledger(),
        lambda client: client.running(),
    ]
    endless = {"next": 5, "runs": [], "samples": [{"row": {}}]}
    for answer in (login_page, lambda odd: odd.send(200, b"[]"), as_json(runs={"next": 5})):
        odd.answer = answer
        with Client(odd.url, patience=0.0, timeout=5) as client:
            for question in asked:
                if answer is login_page or question in asked[:2]:
                    with pytest.raises(OlmesError):
                        question(client)
    odd.answer = as_json(runs=endless | {"next": "x"}, samples=endless)
    with Client(odd.url, patience=0.0, timeout=5) as client:
        for question in asked[:2]:
            with pytest.raises(OlmesError, match="repeats the same part"):
                question(client)


@pytest.mark.usefixtures("hurried")
def test_a_server_that_was_away_is_asked_briefly_and_gets_everything_at_the_end(
    odd: OddServer, recordings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, *recordings) == 0
    folders = sorted(path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    monkeypatch.setattr("olmes.client.sending.PATIENCE", 1.0)
    odd.answer = status(503)
    sender = Sender(odd.url, say=lambda _: None)
    sender.send(folders[0])
    waited = len(odd.asked)
    assert waited > 2
    sender.send(folders[1])
    assert len(odd.asked) <= waited + 2  # not waited for once more
    there = {"id": "x", "content_hash": "c", "opened": False}
    odd.answer = as_json(uploads={"state": "present", "run": there})
    assert sender.finish()
    assert sender.missing == {}
    # Refused is not away: the next record may be taken, and is given the whole patience.
    odd.answer = status(409)
    sender.send(folders[0])
    assert not sender.away
    assert sender.missing


def test_one_run_that_does_not_get_there_ends_with_1_and_is_shown(
    odd: OddServer, recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    odd.answer = status(401)
    assert run(tmp_path, recordings[0], push=odd.url) == 1
    out, err = capfd.readouterr()
    assert "100.0" in out
    assert "refused with 401" in err
    assert "olmes push" in err
    with pytest.raises(OlmesError, match="not the address of a server"):
        run(tmp_path / "other", recordings[0], push="127.0.0.1:80")
    assert not (tmp_path / "other").exists()


def test_one_refused_run_does_not_keep_the_others_from_the_server(
    odd: OddServer, recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, *recordings)
    first, second = sorted(path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    there = {"id": "x", "content_hash": "c", "opened": False}
    answers = [status(422), as_json(uploads={"state": "present", "run": there})]
    odd.answer = lambda one: answers.pop(0)(one)
    words = [str(tmp_path / "runs"), "--to", odd.url]
    assert push_command.main(words, standalone_mode=False) == 1
    out, err = capfd.readouterr()
    assert "present  x" in out
    assert f"{first}: refused with 422" in err
    assert str(second) not in err
    odd.answer = status(403)
    with pytest.raises(OlmesError, match="refused with 403"):
        push_command.main([str(first), "--to", odd.url], standalone_mode=False)


class Broken(RunCallback):
    """A user's callback that fails at one event; counts what it still hears."""

    def __init__(self, event: str) -> None:
        self.heard: list[str] = []
        self.event = event
        for name in ("started", "answered", "scoring", "ended"):
            setattr(self, name, lambda *_, name=name: self.hear(name))

    def hear(self, name: str) -> None:
        self.heard.append(name)
        if name == self.event:
            raise RuntimeError("my own fault")


@pytest.mark.parametrize("event", ["started", "answered", "scoring", "ended"])
def test_a_callback_that_raises_stops_nothing(
    event: str, recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    callbacks: list[Broken] = []

    def callback() -> RunCallback:
        if len(callbacks) == 1:
            callbacks.append(Broken("none"))
            raise RuntimeError("there is no second one")
        callbacks.append(Broken(event))
        return callbacks[-1]

    def ended(member: Member) -> None:
        raise OSError(28, "no room for my notes")

    made = RunOptions(data=tmp_path / "data", out=tmp_path / "runs", scoring_processes=1)
    evaluation = Evaluation.of(str(ECHO), made)
    members = run_sequence(recordings, evaluation, callback=callback, ended=ended)
    assert [member.complete for member in members] == [True, True]
    first = callbacks[0]
    assert first.heard.count(event) == 1
    assert first.heard[-1] == "ended"
    err = capfd.readouterr().err
    assert "my own fault" in err or event != "started"  # each sentence is said once a process
    assert "Traceback" not in err


def test_one_models_files_do_not_stop_the_others(recordings: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "broken.jsonl"
    bad.write_text('{"doc_id": 0, "response": 5}\n[')
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "config.json").write_text("[" * 100_000)
    models = [f"replay:{bad}", str(folder), *recordings]
    made = RunOptions(data=tmp_path / "data", out=tmp_path / "runs", scoring_processes=1)
    members = run_sequence(models, Evaluation.of(str(ECHO), made))
    assert [member.complete for member in members] == [False, False, True, True]
    assert all(member.trouble for member in members[:2])


def test_a_page_that_cannot_be_written_is_said(
    recordings: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, recordings[0]) == 0
    [page] = (tmp_path / "runs").glob("*/report.html")
    page.unlink()
    page.mkdir()  # nobody, not even root, can write a file there
    capfd.readouterr()
    for models in (recordings[:1], recordings):
        assert run(tmp_path, *models) == 1
        out, err = capfd.readouterr()
        assert f"{page} could not be written" in err
        assert f"olmes report {page.parent}" in err
        assert "100.0" in out
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2


@pytest.mark.parametrize("closed", ["stderr", pytest.param("stdout", marks=pytest.mark.slow)])
def test_a_closed_terminal_ends_no_sequence(
    closed: str, recordings: list[str], tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams[closed] = write
    ended = subprocess.run(
        [sys.executable, "-m", "olmes", "run", *options(tmp_path, *recordings)],
        timeout=300, check=False, **streams,
    )  # fmt: skip
    os.close(write)
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2
    assert b"Traceback" not in (ended.stderr or b"")
    if closed == "stderr":
        assert ended.returncode == 0


def test_live_reports_say_nothing_worse_than_a_line(
    odd: OddServer, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("olmes.client.live.INTERVAL", 0.05)
    for answer in (login_page, Odd.abort, status(401)):
        odd.answer = answer
        said: list[str] = []

        def say(line: str, said: list[str] = said) -> None:
            said.append(line)
            raise BrokenPipeError

        live = LiveProgress(odd.url, say=say)
        live.progress = Progress(run="x", done=1, total=2, suite="")
        live.thread = threading.Thread(target=live.report, daemon=True)
        live.thread.start()
        deadline = time.monotonic() + 30
        while not said and time.monotonic() < deadline:
            time.sleep(0.02)
        live.ended()
        assert len(said) == 1
        assert "not shown live" in said[0]
    assert capfd.readouterr().err == ""


def test_a_record_that_cannot_be_read_is_said_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotPushedError, match="olmes push"):
        push_record(tmp_path, "http://127.0.0.1:9", patience=0.0, say=pytest.fail)


def test_an_unwritable_token_is_refused_without_being_shown(
    recordings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, recordings[0])
    [record] = (tmp_path / "runs").glob("*/run.json")
    for token in ("olmes_secret\n", "olmes_secret…"):
        monkeypatch.setenv("OLMES_TOKEN", token)
        with pytest.raises(NotPushedError) as refused:
            push_record(record.parent, "http://127.0.0.1:9", patience=0.0, say=pytest.fail)
        assert "OLMES_TOKEN" in str(refused.value)
        assert "secret" not in str(refused.value)
