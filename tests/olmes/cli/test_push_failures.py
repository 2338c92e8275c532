"""A results server that is away, refuses or talks nonsense ends no run and no sequence of runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError
from olmes.cli.push import command as push_command
from olmes.client.client import Client
from olmes.client.live import LiveProgress, NotPushedError, Progress, push_record
from olmes.client.sending import Sender
from tests.olmes.cli.echo_runs import make_recordings, run
from tests.olmes.cli.odd_server import ODD, Odd, OddServer, as_json, login_page, serving, status


@pytest.fixture
def odd() -> Iterator[OddServer]:
    with serving() as server:
        yield server


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    """Two recordings of the echo task."""
    return make_recordings(tmp_path)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("olmes.client.sending.PATIENCE", 0.1)
    monkeypatch.setattr("olmes.client.sending.BRIEFLY", 0.1)
    monkeypatch.setattr("olmes.client.sending.TIMEOUT", 0.5)
    monkeypatch.setattr("olmes.client.sending.SHORT_TIMEOUT", 0.5)
    monkeypatch.setattr("olmes.client.live.PATIENCE", 1.0)


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
        lambda client: list(client.events()),
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
