"""Who is let in: loopback, tokens, roles, origins, rates."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import OlmesError
from olmes.client.client import AnswerError, Client
from olmes.server.access.audit import Caller
from olmes.server.access.guard import local_caller
from olmes.server.access.limits import RateLimit
from olmes.server.access.token_book import FRESH
from olmes.server.access.tokens import ROLES, create_token, find_token, list_tokens, revoke_token
from olmes.server.refusals import RefusedError
from olmes.server.serving import check_host
from olmes.server.settings import Settings
from olmes.server.store.database import Database
from tests.known import known

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

    Locked = tuple[Running, dict[str, str], Database]


@pytest.fixture
def database(store: str) -> Iterator[Database]:
    database = Database(store)
    database.migrate()
    yield database
    database.close()


def test_a_token_is_kept_as_a_hash_and_shown_once(database: Database, store: str) -> None:
    token = create_token(database, "ann", "write")
    assert len(token) == len("olmes_") + 43
    assert known(find_token(database, token)).role == "write"
    assert find_token(database, token + "x") is None
    with database.reading() as connection:
        everything = str(connection.exec_driver_sql("SELECT * FROM tokens").all())
    assert token not in everything
    with pytest.raises(OlmesError, match="choose another name"):
        create_token(database, "ann", "read")
    with pytest.raises(OlmesError, match="cannot name a token"):
        create_token(database, "../ann", "read")
    revoke_token(database, "ann")
    assert find_token(database, token) is None
    assert [one.name for one in list_tokens(database)] == ["ann"]
    with pytest.raises(OlmesError, match="no token ann to revoke"):
        revoke_token(database, "ann")


def test_others_reach_a_server_only_when_there_is_a_token(database: Database, store: str) -> None:
    settings = Settings(store=store)
    check_host(settings, "127.0.0.1")
    check_host(settings, "::1")
    for host in ("0.0.0.0", "::", "192.0.2.7", "server.example"):
        with pytest.raises(OlmesError, match="olmes token create"):
            check_host(settings, host)
    create_token(database, "ann", "admin")
    check_host(settings, "0.0.0.0")
    revoke_token(database, "ann")
    check_host(settings, "0.0.0.0")  # nobody is let in then, which is safe


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.7", {"host": "localhost"}),
        ("127.0.0.1", {"host": "rebound.example"}),
        ("127.0.0.1", {"host": "rebound.example:8765"}),
        ("127.0.0.1", {}),
        ("127.0.0.1", {"host": "localhost", "x-forwarded-for": "192.0.2.7"}),
        ("127.0.0.1", {"host": "localhost", "forwarded": "for=192.0.2.7"}),
    ],
)
def test_without_tokens_only_this_machine_under_its_own_name(
    address: str, headers: dict[str, Any]
) -> None:
    from starlette.datastructures import Headers

    assert isinstance(local_caller(Headers({"host": "[::1]:80"}), "::1"), Caller)
    with pytest.raises(RefusedError):
        local_caller(Headers(headers), address)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, new_server: type[Running]) -> Iterator[Locked]:
    """A server with tokens, and the tokens."""
    work = tmp_path_factory.mktemp("locked")
    running = new_server(str(work / "store"), work)
    database = Database(running.store)
    database.migrate()
    tokens = {role: create_token(database, role, role) for role in ROLES}
    running.start()
    yield running, tokens, database
    running.kill()
    database.close()


def test_roles(locked: Locked, copy_run: Callable[..., Path]) -> None:
    running, tokens, _ = locked
    with pytest.raises(AnswerError, match="needs a token") as refused:
        next(Client(running.url, patience=1).runs())
    assert refused.value.status == 401
    assert requests.get(f"{running.url}/healthz", timeout=30).ok
    reader, writer, admin = (
        Client(running.url, token=tokens[role], patience=1) for role in ("read", "write", "admin")
    )
    folder = copy_run("roles")
    with pytest.raises(AnswerError, match="needs a token with the role write"):
        reader.push(folder)
    assert writer.push(folder).new
    assert [run["uploaded_by"] for run in reader.runs()] == ["write"]
    for client in (reader, writer):
        with pytest.raises(AnswerError, match="role admin"):
            client._call("DELETE", "/runs/roles")
        with pytest.raises(AnswerError, match="role admin"):
            client._call("GET", "/audit")
    admin._call("DELETE", "/runs/roles")
    actions = [(e["action"], e["who"]) for e in admin._call("GET", "/audit")["entries"]]
    assert ("run removed", "admin") in actions
    assert ("run added", "write") in actions


def test_an_upload_belongs_to_its_token(locked: Locked, copy_run: Callable[..., Path]) -> None:
    running, tokens, database = locked
    other = create_token(database, "other", "write")
    digest = "0" * 64
    manifest = {"files": [{"name": "run.json", "size": 3, "sha256": digest}]}
    first = Client(running.url, token=tokens["write"], patience=1)
    second = Client(running.url, token=other, patience=1)
    begun = first._call("POST", "/uploads", json=manifest)
    assert second._call("POST", "/uploads", json=manifest)["upload"] != begun["upload"]
    place = f"/uploads/{begun['upload']}"
    for method, where in (("GET", place), ("POST", f"{place}/commit"), ("DELETE", place)):
        with pytest.raises(AnswerError, match="no such upload"):
            second._call(method, where)
    with pytest.raises(AnswerError, match="no such upload"):
        second._call("PUT", f"{place}/files/0", params={"offset": 0}, data=b"abc")


def test_a_browser_reads_with_basic_authentication_and_writes_nothing(locked: Locked) -> None:
    running, tokens, _ = locked
    page = f"{running.url}/runs.html"
    asked = requests.get(page, timeout=30)
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic")
    assert requests.get(page, auth=("me", tokens["read"]), timeout=30).ok
    assert requests.get(page, auth=("me", "wrong"), timeout=30).status_code in (401, 429)
    body: dict[str, Any] = {"run": "a", "done": 1, "total": 2}
    place = f"{running.url}/api/v1/progress"
    assert requests.post(
        place, json=body, auth=("me", tokens["admin"]), timeout=30
    ).status_code in (
        401,
        429,
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Content-Encoding": "gzip"}, 415),
        ({}, 204),
    ],
)
def test_no_page_of_another_site_writes(
    locked: Locked, headers: dict[str, Any], status: int
) -> None:
    running, tokens, _ = locked
    bearer = {"Authorization": f"Bearer {tokens['write']}"}
    answer = requests.post(
        f"{running.url}/api/v1/progress", json={"run": "a", "done": 1, "total": 2},
        headers=bearer | headers, timeout=30,
    )  # fmt: skip
    assert answer.status_code == status, answer.text


def test_a_revoked_token_is_worth_nothing_within_seconds(locked: Locked) -> None:
    running, _, database = locked
    client = Client(running.url, token=create_token(database, "leaver", "read"), patience=1)
    list(client.runs())
    revoke_token(database, "leaver")
    time.sleep(FRESH + 0.5)
    with pytest.raises(AnswerError, match="unknown or revoked"):
        list(client.runs())


def test_guessing_is_slowed_down(locked: Locked) -> None:
    running = locked[0]
    codes = [
        requests.get(
            f"{running.url}/runs.html", headers={"Authorization": f"Bearer {n}"}, timeout=30
        ).status_code
        for n in range(14)
    ]
    assert 429 in codes
    # Whoever has been let in goes on.
    assert set(codes) <= {401, 429}


def test_a_bucket_lets_a_burst_and_then_a_rate_through(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    stopped = SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr("olmes.server.access.limits.time", stopped)
    limit = RateLimit(rate=20, burst=3)
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 0]
    seconds = limit.wait("a")
    assert seconds == pytest.approx(0.05)
    assert limit.wait("b") == 0
    clock[0] += seconds + 0.001
    assert limit.wait("a") == 0
    assert all(RateLimit(0, 0).wait("a") == 0 for _ in range(1000))


def test_a_quiet_hour_saves_up_one_burst_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    stopped = SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr("olmes.server.access.limits.time", stopped)
    limit = RateLimit(rate=20, burst=3)
    assert limit.wait("a") == 0
    clock[0] += 3600
    assert [limit.wait("a") == 0 for _ in range(5)] == [True, True, True, False, False]


@pytest.mark.slow
def test_too_many_requests_are_told_to_wait(launch: Callable[..., Running]) -> None:
    running = launch("", "--rate", "5")
    session = requests.Session()
    answers = [session.get(f"{running.url}/api/v1/progress", timeout=30) for _ in range(60)]
    busy = [answer for answer in answers if answer.status_code == 429]
    assert busy
    assert int(busy[0].headers["retry-after"]) >= 1


@pytest.mark.slow
def test_the_commands_make_list_and_revoke(tmp_path: Path) -> None:
    def olmes(*arguments: str) -> str:
        code = "from olmes.cli.token import command; command()"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments, "--store", str(tmp_path / "store")],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    assert olmes("create", "ann", "--role", "read").startswith("olmes_")
    assert "ann" in olmes("list")
    assert olmes("revoke", "ann") == "revoked  ann\n"
