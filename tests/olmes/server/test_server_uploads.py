"""Uploads under way: who may have how many, whose gives way, and what becomes of abandoned ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from olmes.client.client import AnswerError, Client
from olmes.server.access.audit import Caller
from olmes.server.access.tokens import create_token
from olmes.server.refusals import RefusedError
from olmes.server.settings import Limits, Settings
from olmes.server.store.database import Database
from olmes.server.store.schema import uploads as table
from olmes.server.store.upload_room import Claim, make_room
from olmes.server.store.uploads import UploadFile, Uploads

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

ANN, BOB = Caller("ann", "write", "192.0.2.1"), Caller("bob", "write", "192.0.2.2")
ADMIN = Caller("carol", "admin", "192.0.2.3")
LIMITS = Limits(open_uploads=3, all_uploads=5, staging=100, idle=600)


@dataclass(frozen=True)
class Made:
    """An upload of which the last bytes came some minutes ago: before the test, not its collection."""

    name: str
    who: str
    minutes: float
    size: int = 1

    @property
    def claim(self) -> Claim:
        then = datetime.now(UTC) - timedelta(minutes=self.minutes)
        touched = then.isoformat(timespec="seconds")
        return Claim(id=self.name, who=self.who, size=self.size, touched=touched)


ANNS = [Made("a1", "ann", 3), Made("a2", "ann", 2), Made("a3", "ann", 1)]


@pytest.mark.parametrize(
    ("uploads", "who", "size", "gone"),
    [
        ([], "ann", 1, []),
        (ANNS[:2], "ann", 1, []),
        (ANNS, "bob", 1, []),
        # One's own that stand still, the oldest first, and as few as will do.
        ([*ANNS, Made("a0", "ann", 30), Made("b", "bob", 40)], "ann", 1, None),
        ([*ANNS[:2], Made("a0", "ann", 30)], "ann", 1, ["a0"]),
        ([Made("a0", "ann", 30), Made("a9", "ann", 90), ANNS[0]], "ann", 1, ["a9"]),
        # Nobody else's is touched while there is room for all.
        ([*ANNS, Made("b", "bob", 99)], "ann", 1, None),
        # No room at all: whatever stands still, whosever it is; else one of who has most.
        ([*ANNS, Made("b", "bob", 99), Made("c", "cat", 1)], "dan", 1, ["b"]),
        ([*ANNS, Made("b", "bob", 1), Made("c", "cat", 1)], "dan", 1, ["a1"]),
        ([*ANNS, Made("b", "bob", 1), Made("b2", "bob", 1)], "bob", 1, None),
        # Bytes that are announced count, here or not.
        ([Made("a", "ann", 1, 60), Made("b", "bob", 1, 30)], "cat", 20, ["a"]),
        ([Made("a", "ann", 1, 60), Made("b", "bob", 30, 30)], "cat", 20, ["b"]),
        ([Made("a", "ann", 1, 60), Made("b", "bob", 1, 30)], "bob", 20, ["a"]),
        ([Made("a", "ann", 1, 60), Made("b", "bob", 1, 30)], "ann", 20, None),
        ([Made("a", "ann", 1, 50), Made("b", "bob", 1, 50)], "cat", 50, None),
    ],
)
def test_whose_upload_gives_way(
    uploads: list[Made], who: str, size: int, gone: list[str] | None
) -> None:
    claims = [one.claim for one in uploads]
    if gone is None:
        with pytest.raises(RefusedError) as refused:
            make_room(claims, who, size, LIMITS)
        assert refused.value.status == 429
    else:
        assert make_room(claims, who, size, LIMITS) == gone


def test_an_upload_that_becomes_a_run_does_not_give_way() -> None:
    claims = [one.claim for one in (*ANNS[:2], Made("a0", "ann", 30))]
    with pytest.raises(RefusedError):
        make_room(claims, "ann", 1, LIMITS, busy={"a0"})


@pytest.fixture
def under_way(store: str, tmp_path: Path) -> Iterator[Uploads]:
    database = Database(store)
    database.migrate()
    yield Uploads(Settings(store=store, work=str(tmp_path / "work"), limits=LIMITS), database)
    database.close()


def begin(uploads: Uploads, caller: Caller, number: int, size: int = 1) -> str:
    files = [UploadFile(name="run.json", size=size, sha256=f"{number:064x}")]
    return uploads.begin(files, caller, replace=False).id


def stand_still(uploads: Uploads, upload: str, seconds: int) -> None:
    """Make an upload one of which nothing came for a while."""
    then = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")
    with uploads.database.writing() as connection:
        one = table.id == upload
        connection.execute(update(table.table).where(one).values({table.touched: then}))
    uploads.noted.clear()


def test_one_caller_s_uploads_are_limited_and_nobody_else_s(under_way: Uploads) -> None:
    own = [begin(under_way, ANN, n) for n in range(3)]
    with pytest.raises(RefusedError, match="3 uploads of yours"):
        begin(under_way, ANN, 3)
    begin(under_way, BOB, 3)
    assert begin(under_way, ANN, 1) == own[1]  # that goes on with one
    stand_still(under_way, own[0], 3600)
    begin(under_way, ANN, 4)
    assert [one["upload"] for one in under_way.under_way(ANN)][:2] != own[:2]
    assert not (under_way.folder / own[0]).exists()
    with pytest.raises(RefusedError, match="begin it again"):
        under_way.get(own[0], ANN)


def test_abandoned_uploads_expire_and_those_that_go_on_do_not(under_way: Uploads) -> None:
    left, slow, kept = (begin(under_way, ANN, n) for n in range(3))
    for upload in (left, slow):
        stand_still(under_way, upload, 25 * 3600)
    under_way.resume(slow, ANN)
    (under_way.folder / "stray").mkdir()
    assert under_way.sweep() == 2
    assert {one["upload"] for one in under_way.under_way(ANN)} == {slow, kept}
    assert {place.name for place in under_way.folder.iterdir()} == {slow, kept}
    assert under_way.sweep() == 0
    stand_still(under_way, kept, 25 * 3600)
    under_way.busy.add(kept)
    assert under_way.sweep() == 0


def test_the_list_is_an_admin_s_and_one_s_own(under_way: Uploads) -> None:
    first, second = begin(under_way, ANN, 1, size=7), begin(under_way, BOB, 2)
    upload = under_way.get(first, ANN)
    under_way.path(upload, 0).write_bytes(b"abc")
    [own] = under_way.under_way(ANN)
    assert (own["upload"], own["who"], own["size"], own["received"]) == (first, "ann", 7, 3)
    assert {one["upload"] for one in under_way.under_way(ADMIN)} == {first, second}
    assert under_way.under_way(Caller("", "read", "")) == []
    under_way.give_up(under_way.get(second, ADMIN), ADMIN)
    assert [one["upload"] for one in under_way.under_way(ADMIN)] == [first]


@pytest.mark.slow
def test_abandoned_uploads_of_one_token_stop_nobody_else(
    launch: Callable[..., Running], tmp_path: Path, copy_run: Callable[..., Path]
) -> None:
    store = str(tmp_path / "store")
    database = Database(store)
    database.migrate()
    ann, bob, admin = (
        create_token(database, name, role)
        for name, role in (("ann", "write"), ("bob", "write"), ("carol", "admin"))
    )
    database.close()
    running = launch(store)

    def manifest(number: int) -> dict[str, Any]:
        return {"files": [{"name": "run.json", "size": 1 << 20, "sha256": f"{number:064x}"}]}

    first = Client(running.url, token=ann, patience=0)
    for number in range(200):
        first._call("POST", "/uploads", json=manifest(number))
    with pytest.raises(AnswerError, match="200 uploads of yours") as refused:
        first._call("POST", "/uploads", json=manifest(200))
    assert refused.value.status == 429
    assert Client(running.url, token=bob, patience=1).push(copy_run("through")).new
    running.kill()
    running.start()  # what is under way goes on
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert len(first.uploads()) == 200
        time.sleep(0.5)
    boss = Client(running.url, token=admin, patience=1)
    for one in boss.uploads():
        boss.drop_upload(one["upload"])
    assert boss.uploads() == []
    assert not list((tmp_path / "server-0/staging").iterdir())
    assert first.push(copy_run("again")).new
    actions = [(e["action"], e["detail"]) for e in boss._call("GET", "/audit")["entries"]]
    assert ("upload dropped", "of ann") in actions
