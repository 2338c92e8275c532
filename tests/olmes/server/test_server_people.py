"""Several people on one server: what is whose, and what becomes of it when somebody leaves."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import OlmesError
from olmes.client.client import AnswerError, Client
from olmes.server.access.audit import Caller
from olmes.server.access.guard import local_caller
from olmes.server.access.tokens import create_token, revoke_token
from olmes.server.refusals import RefusedError
from olmes.server.serving import check_host
from olmes.server.settings import Settings
from olmes.server.store.database import Database, shown_store, store_url
from olmes.server.store.replacement import source_of
from olmes.server.store.store import Store
from tests.olmes.server.taken_in import add

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

    Team = tuple[Running, Callable[..., Client], Database]

ANN, BOB = Caller("ann", "write", "192.0.2.1"), Caller("bob", "write", "192.0.2.2")
ADMIN = Caller("carol", "admin", "192.0.2.3")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory, new_server: type[Running]) -> Iterator[Team]:
    """A server with a token for everybody who is named."""
    work = tmp_path_factory.mktemp("team")
    running = new_server(str(work / "store"), work)
    database = Database(running.store)
    database.migrate()
    create_token(database, "first", "admin")

    def client(name: str, role: str = "write") -> Client:
        return Client(running.url, token=create_token(database, name, role), patience=2)

    yield running.start(), client, database
    running.kill()
    database.close()


@pytest.fixture
def shelf(store: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(Settings(store=store, work=str(tmp_path / "work")))
    opened.database.migrate()
    yield opened
    opened.database.close()


def owner(store: Store, run: str) -> str:
    return store.run_row(run).uploaded_by


def unfinished(folder: Path, *, fingerprint: str = "") -> Path:
    """A run whose record says that some requests have no response yet."""
    data = json.loads((folder / "run.json").read_text())
    data["complete"] = False
    if fingerprint:
        data["model"]["fingerprint"] = fingerprint
    (folder / "run.json").write_text(json.dumps(data))
    return folder


def test_a_run_is_replaced_by_who_brought_it_or_an_admin(
    shelf: Store, copy_run: Callable[..., Path]
) -> None:
    assert add(shelf, copy_run("one", right=1), ANN)
    with pytest.raises(RefusedError, match="uploaded by ann; only ann or an admin") as refused:
        add(shelf, copy_run("one", right=2), BOB, replace=True)
    assert (refused.value.status, refused.value.field) == (403, "id")
    with pytest.raises(RefusedError, match="only ann or an admin"):
        add(shelf, copy_run("one", right=2), BOB)
    with pytest.raises(RefusedError, match="push with --replace"):
        add(shelf, copy_run("one", right=3), ANN)
    first = shelf.run_row("one").content_hash
    assert add(shelf, copy_run("one", right=3), ANN, replace=True)
    said = shelf.audit_entries(limit=1, before=None)[0]
    assert (said["action"], said["who"]) == ("run replaced", "ann")
    assert said["detail"].endswith(f"in the place of {first}, uploaded by ann")
    assert add(shelf, copy_run("one", right=4), ADMIN, replace=True)
    assert owner(shelf, "one") == "carol"
    with pytest.raises(RefusedError, match="uploaded by carol"):
        add(shelf, copy_run("one", right=5), ANN, replace=True)
    # What the command line or a served folder brought is whose server it is.
    assert add(shelf, copy_run("house"))
    with pytest.raises(RefusedError, match="uploaded by local"):
        add(shelf, copy_run("house", right=2), ANN, replace=True)
    # The same content is there already, whoever brings it once more.
    assert not add(shelf, copy_run("house"), BOB, replace=True)
    assert owner(shelf, "house") == "local"


def test_an_unfinished_run_gives_way_to_its_own_continuation(
    shelf: Store, copy_run: Callable[..., Path]
) -> None:
    assert add(shelf, unfinished(copy_run("half", rows=6, right=1)), ANN)
    other = unfinished(copy_run("half", rows=12, right=9), fingerprint="f" * 64)
    with pytest.raises(RefusedError, match="only ann or an admin"):
        add(shelf, other, BOB)  # of another model
    with pytest.raises(RefusedError, match="only ann or an admin"):
        add(shelf, unfinished(copy_run("half", rows=5, right=1)), BOB)  # and less of it
    assert add(shelf, copy_run("half", rows=12, right=9), BOB)
    assert (owner(shelf, "half"), shelf.run_row("half").complete) == ("bob", True)
    assert add(shelf, unfinished(copy_run("mine", rows=6, right=1)), ANN)
    assert add(shelf, copy_run("mine", rows=5, right=2), ANN)  # one's own always


def test_a_folder_takes_back_nothing_that_was_done_here_since(
    shelf: Store, copy_run: Callable[..., Path]
) -> None:
    source = source_of(copy_run("fry", right=3))
    assert add(shelf, copy_run("fry", right=3), source=source)
    assert add(shelf, copy_run("fry", right=9), ADMIN, replace=True)
    assert not add(shelf, copy_run("fry", right=3), source=source)
    assert owner(shelf, "fry") == "carol"
    shelf.remove("fry", ADMIN)
    assert not add(shelf, copy_run("fry", right=3), source=source)
    with pytest.raises(RefusedError, match="there is no run"):
        shelf.run_row("fry")
    # Written anew, it is a new one.
    assert add(shelf, copy_run("fry", right=4), source=source)
    assert add(shelf, copy_run("fry", right=9), ADMIN, replace=True)
    assert add(shelf, copy_run("fry", right=5), source=source)
    # What somebody pushed of a name that the folder had not brought before stays.
    assert add(shelf, copy_run("pushed", right=9), ANN)
    with pytest.raises(RefusedError, match="only ann or an admin"):
        add(shelf, copy_run("pushed", right=3), source=source_of(Path("pushed")))
    assert owner(shelf, "pushed") == "ann"


@pytest.mark.slow
def test_a_restart_reverts_neither_a_replacement_nor_a_removal(
    launch: Callable[..., Running], copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    runs = tmp_path / "served"
    for name in ("fry", "leela"):
        shutil.copytree(copy_run(name, right=3), runs / name)
    running = launch("", "--runs", str(runs))

    def shown() -> dict[str, float]:
        with Client(running.url) as client:
            return {run["id"]: run["tasks"]["echo"]["value"] or 0.0 for run in client.runs()}

    def waited(wanted: dict[str, float]) -> bool:
        deadline = time.monotonic() + 120
        while shown() != pytest.approx(wanted):
            assert time.monotonic() < deadline, shown()
            time.sleep(0.3)
        return True

    assert waited({"fry": 0.25, "leela": 0.25})
    with Client(running.url) as client:
        client.push(copy_run("fry", right=9), replace=True)
        client._call("DELETE", "/runs/leela")
    running.stop()
    shutil.copytree(copy_run("bender", right=6), runs / "bender")
    running.start()
    assert waited({"fry": 0.75, "bender": 0.5})  # the folder was looked at, and these stand
    shutil.rmtree(runs / "fry")
    shutil.copytree(copy_run("fry", right=12), runs / "fry")
    assert waited({"fry": 1.0, "bender": 0.5})
    assert waited({"fry": 1.0, "bender": 0.5})


@pytest.mark.slow
def test_over_http_replacing_needs_the_token_that_brought_it(
    team: Team, copy_run: Callable[..., Path]
) -> None:
    _, client, _ = team
    ann, bob, carol = client("r-ann"), client("r-bob"), client("r-carol", "admin")
    ann.push(copy_run("http", right=1))
    with pytest.raises(AnswerError, match="only r-ann or an admin") as refused:
        bob.push(copy_run("http", right=2), replace=True)
    assert (refused.value.status, refused.value.field) == (403, "id")
    assert bob.uploads() == []  # what was refused is not kept under way
    assert ann.push(copy_run("http", right=3), replace=True).new
    assert carol.push(copy_run("http", right=4), replace=True).new


def test_a_revoked_token_loses_what_it_is_listening_to_and_sending(team: Team) -> None:
    running, client, database = team
    leaver, stays = client("leaver"), client("stays")
    ended: dict[str, float] = {}

    def listen(name: str, one: Client) -> None:
        headers = {"Authorization": f"Bearer {one.session.auth.token}"}  # type: ignore[union-attr]
        with requests.get(
            f"{running.url}/api/v1/events", headers=headers, stream=True, timeout=20
        ) as answer:
            assert answer.ok
            try:
                for _ in answer.iter_content(1):
                    ended.setdefault(f"{name} heard", time.monotonic())
            except requests.RequestException:
                return
            ended[name] = time.monotonic()

    for name, one in (("leaver", leaver), ("stays", stays)):
        threading.Thread(target=listen, args=(name, one), daemon=True).start()
    digest = "0" * 64
    manifest = {"files": [{"name": "run.json", "size": 9, "sha256": digest}]}
    upload = leaver._call("POST", "/uploads", json=manifest)["upload"]
    slow = socket.create_connection(("127.0.0.1", running.port))
    slow.sendall(
        f"PUT /api/v1/uploads/{upload}/files/0?offset=0 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {leaver.session.auth.token}\r\n"  # type: ignore[union-attr]
        "Content-Length: 9\r\n\r\nabc".encode()
    )
    deadline = time.monotonic() + 60
    while len(ended) < 2:  # both have heard the first line
        assert time.monotonic() < deadline
        time.sleep(0.05)
    revoke_token(database, "leaver")
    revoked = time.monotonic()
    slow.settimeout(60)
    assert slow.recv(4096).startswith(b"HTTP/1.1 401")
    while "leaver" not in ended:
        assert time.monotonic() < revoked + 60
        time.sleep(0.05)
    assert "stays" not in ended
    # Two seconds as the command says; more only where the machine is busy with other things.
    assert ended["leaver"] - revoked < 10
    with pytest.raises(AnswerError, match="unknown or revoked"):
        leaver.uploads()
    assert stays.uploads() == []


def test_nobody_is_called_what_the_server_calls_its_own(team: Team) -> None:
    _, _, database = team
    with pytest.raises(OlmesError, match="whoever runs the server"):
        create_token(database, "local", "write")
    from starlette.datastructures import Headers

    asked = local_caller(Headers({"host": "localhost"}), "127.0.0.1", "secret")
    assert (asked.name, asked.role) == ("", "read")


SECRET = "S3CRET"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://olmes:{SECRET}@db/olmes",
        f"postgresql+psycopg://olmes:{SECRET}@db:5432/olmes?sslmode=require",
        f"postgresql://olmes:{SECRET}@db:port/olmes",
        f"postgresql://olmes:{SECRET}%40{SECRET}@db/olmes",
        f"postgresql://olmes:x@{SECRET}@db/olmes",
        f"postgresql://olmes:{SECRET}/{SECRET}@db/olmes",
        f"postgresql://db/olmes?user=olmes&password={SECRET}",
        f"postgresql://db/olmes?sslpassword={SECRET}&password={SECRET}",
        f"mysql://olmes:{SECRET}@db/olmes",
        f"postgres ://olmes:{SECRET}@db/olmes",
    ],
)
def test_a_password_in_a_store_s_address_is_not_shown(url: str) -> None:
    assert SECRET not in shown_store(url)
    try:
        store_url(url)
    except OlmesError as error:
        assert SECRET not in str(error)  # noqa: PT017 (some are addresses, others are not)


@pytest.mark.parametrize("place", ["here", "away"])
def test_no_message_about_a_store_shows_its_password(
    postgresql: Callable[[], str], place: str
) -> None:
    url = postgresql().replace("olmes@", f"olmes:{SECRET}@")
    if place == "away":
        url = url.replace(url.rpartition(":")[2].partition("/")[0], "9")
    with pytest.raises(OlmesError, match="olmes token create" if place == "here" else "9") as told:
        check_host(Settings(store=url), "0.0.0.0")
    assert SECRET not in str(told.value)


def test_a_database_that_is_away_is_told_without_the_password(
    capfd: pytest.CaptureFixture[str],
) -> None:
    database = Database(f"postgresql://olmes:{SECRET}@127.0.0.1:9/olmes")
    with pytest.raises(OlmesError, match="cannot be opened") as told:
        database.migrate()
    shown: Any = (str(told.value), repr(database.url), repr(database.engine), *capfd.readouterr())
    assert SECRET not in str(shown)
