"""Who opens what is under seal on a server, and what is taken for held out there."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from sqlalchemy import update

from olmes.client.client import AnswerError, Client, files_of
from olmes.seal.counted_overlap import count_overlap
from olmes.seal.ledger import Ledger
from olmes.seal.sealing import unseal
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.artifacts import sealed_name
from olmes.server.store.store import Store
from olmes.tools.hashing import file_sha256

if TYPE_CHECKING:
    from tests.olmes.server.conftest import People, Running

Exam = Callable[..., Path]
REASON = {"reason": "curious", "who": "ann@lab"}


def forged(store: Path, target: Path, *lines: tuple[str, str], upto: int | None = None) -> Path:
    """A copy of a store's ledger with lines of somebody's own behind it; its file."""
    target.mkdir(parents=True)
    kept = (store / "ledger.jsonl").read_text().splitlines(keepends=True)[:upto]
    (target / "ledger.jsonl").write_text("".join(kept))
    last = json.loads(kept[-1])
    head = {key: last[key] for key in ("number", "hash")}
    (target / "ledger.head").write_text(json.dumps(head))
    for event, run in lines:
        Ledger(target).append(event, run, REASON)
    return target / "ledger.jsonl"


def closed(client: Client, run: str) -> bool:
    """Whether nobody gets a run's samples."""
    answer = client.session.get(f"{client.url}/api/v1/runs/{run}/tasks/echo/samples/0", timeout=60)
    assert answer.status_code in (200, 403)
    return answer.status_code == 403


def test_a_line_that_somebody_else_writes_opens_nothing(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    folder = take_exam(tmp_path / "runs", "target")
    ann = people.client("ann")
    name = ann.push(folder).id
    ledger = forged(folder.parent, tmp_path / "eve", ("unseal", name))
    answer = people.bring("eve", ledger)
    assert answer.status_code == 403
    assert answer.json()["error"]["field"] == "ledger.jsonl"
    assert people.bring("reader", ledger).status_code == 403
    assert [line["event"] for line in ann.ledger() if line["run"] == name] == ["run", "result"]
    turned_away = people.audit()[0]
    assert (turned_away["who"], turned_away["action"]) == ("eve", "ledger refused")
    # The same by a push of the run, which eve has a copy of, with her line in the ledger beside it.
    shutil.copytree(folder, tmp_path / "eve" / folder.name)
    with pytest.raises(AnswerError, match="other people's runs"):
        people.client("eve").push(tmp_path / "eve" / folder.name)
    with pytest.raises(AnswerError, match="other people's runs"):
        people.client("eve").push(tmp_path / "eve" / folder.name, replace=True)
    assert all(closed(people.client(one), name) for one in ("ann", "eve", "boss", "reader"))
    # Whose it is opens it as ever, and so it goes on.
    unseal(folder, "maths is low")
    ann.push(folder)
    assert not closed(people.client("reader"), name)
    assert ann.run(name)["run"]["opened"]
    ann.push(take_exam(folder.parent, "target-next"))


def test_who_has_a_run_of_the_same_ledger_opens_that_one_alone(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    store = tmp_path / "shared"
    anns, bobs = take_exam(store, "shared-a"), take_exam(store, "shared-b")
    ann, bob = people.client("ann"), people.client("bob")
    ann.push(anns)
    bob.push(bobs)
    unseal(anns, "ann's look")
    unseal(bobs, "bob's look")
    answer = people.bring("bob", store / "ledger.jsonl").json()
    assert answer["opened"] == [bobs.name]
    [left] = answer["closed"]
    assert left["id"] == anns.name
    assert "uploaded by ann" in left["why"]
    assert closed(bob, anns.name)
    assert not closed(ann, bobs.name)
    refused = next(one for one in people.audit() if one["action"] == "unseal refused")
    assert (refused["who"], refused["target"]) == ("bob", anns.name)
    with pytest.raises(AnswerError, match=r"stays closed.*uploaded by ann"):
        bob.push(anns)
    assert people.bring("ann", store / "ledger.jsonl").json()["opened"] == [anns.name]
    assert not closed(bob, anns.name)


@pytest.mark.slow
def test_an_admin_opens_any_run(people: People, take_exam: Exam, tmp_path: Path) -> None:
    folder = take_exam(tmp_path / "runs", "for-boss")
    people.client("bob").push(folder)
    unseal(folder, "bob is away")
    with pytest.raises(AnswerError, match="other people's runs"):
        people.client("ann").push(folder)
    people.client("boss").push(folder)
    assert not closed(people.client("reader"), folder.name)


def test_who_looks_on_pushes_a_folder_of_others_without_a_failure(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    """A nightly job with a token of its own: nothing was unsealed, and nothing has to be opened."""
    folder = take_exam(tmp_path / "runs", "nightly")
    people.client("ann").push(folder)
    Ledger(folder.parent).append("run", "still-under-way", REASON)
    assert not people.client("eve").push(folder).new
    assert closed(people.client("ann"), folder.name)


@pytest.mark.parametrize("own", [True, False], ids=["owner", "stranger"])
def test_a_ledger_of_lines_left_out_opens_nothing(
    people: People, take_exam: Exam, tmp_path: Path, own: bool
) -> None:
    """`olmes unseal` opens no run whose result the ledger lacks: this one was written by hand."""
    folder = take_exam(tmp_path / "runs", f"left-out-{own}")
    people.client("ann").push(folder)
    ledger = forged(folder.parent, tmp_path / "cut", ("unseal", folder.name), upto=1)
    answer = people.bring("ann" if own else "bob", ledger)
    assert answer.status_code == (409 if own else 403)
    assert closed(people.client("ann"), folder.name)


def test_a_line_of_another_run_is_nobodys_look(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    """Else a run that names somebody's line as its own would make its owner one of that ledger."""
    folder = take_exam(tmp_path / "runs", "looked-at")
    people.client("ann").push(folder)
    copy = tmp_path / "eve" / "own"
    shutil.copytree(folder, copy)
    data = json.loads((copy / "run.json").read_text()) | {"id": "own"}
    (copy / "run.json").write_text(json.dumps(data))
    forged(folder.parent, tmp_path / "lines")
    for name in ("ledger.jsonl", "ledger.head"):
        shutil.copy(tmp_path / "lines" / name, copy.parent / name)
    Ledger(copy.parent).append("result", "own", {"record": file_sha256(copy / "run.json")})
    with pytest.raises(AnswerError, match="is not the look of own"):
        people.client("eve").push(copy)


@pytest.mark.slow
def test_an_open_run_brings_no_lines_into_somebodys_ledger(
    people: People, take_exam: Exam, copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = take_exam(tmp_path / "runs", "beside")
    people.client("ann").push(folder)
    own = copy_run("eves-open-run")
    ledger = forged(folder.parent, tmp_path / "eve", ("unseal", folder.name))
    files = files_of(own) | {"ledger.jsonl": ledger}
    eve = people.client("eve")
    manifest = {
        "files": [
            {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
            for name, path in files.items()
        ],
        "replace": False,
    }
    with pytest.raises(AnswerError, match="other people's runs") as refused:
        eve._upload(manifest, list(files.values()))
    assert refused.value.status == 403
    assert closed(eve, folder.name)
    assert not list((people.server.work / "staging").iterdir())


@pytest.mark.slow
def test_a_folder_is_opened_by_its_own_ledger(
    launch: Callable[..., Running], take_exam: Exam, tmp_path: Path
) -> None:
    folder = take_exam(tmp_path / "runs", "in-folder")
    unseal(folder, "before the server starts")
    server = launch("", "--runs", str(folder.parent))
    client = Client(server.url, patience=30)
    deadline = time.monotonic() + 120
    while not [run for run in client.runs() if run["opened"]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not closed(client, folder.name)


@pytest.mark.slow
def test_two_servers_on_one_database_open_alike(
    people: People, launch: Callable[..., Running], take_exam: Exam, tmp_path: Path
) -> None:
    folder = take_exam(tmp_path / "runs", "on-two")
    people.client("ann").push(folder)
    other = launch(people.server.store, "--artifacts", str(people.server.work / "artifacts"))
    ledger = forged(folder.parent, tmp_path / "eve", ("unseal", folder.name))
    headers = {"authorization": f"Bearer {people.tokens['eve']}"}
    answer = requests.post(
        f"{other.url}/api/v1/ledger", data=ledger.read_bytes(), headers=headers, timeout=60
    )
    assert answer.status_code == 403
    with Client(other.url, token=people.tokens["ann"]) as ann:
        assert closed(ann, folder.name)
        unseal(folder, "why")
        ann.push(folder)
        assert not closed(ann, folder.name)
    assert not closed(people.client("reader"), folder.name)


@pytest.mark.parametrize(
    "kind",
    ["torn", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("no gzip", "gone", "rows"))],
)
def test_a_damaged_file_under_seal_stays_closed_alone(
    people: People, take_exam: Exam, tmp_path: Path, kind: str
) -> None:
    """One that is damaged at rest, or that an older olmes took without a look into it."""
    store = tmp_path / "runs"
    broken, whole = take_exam(store, f"broken-{kind[:2]}"), take_exam(store, f"whole-{kind[:2]}")
    ann = people.client("ann")
    for folder in (broken, whole):
        ann.push(folder)
        unseal(folder, "both")
    packed = broken / "sealed/echo.jsonl.gz"
    [place] = (people.server.work / "artifacts").rglob(sealed_name(file_sha256(packed)))
    place.unlink()
    content = packed.read_bytes()
    lines = gzip.decompress(content).splitlines(keepends=True)
    wrong = {"torn": content[:-9], "no gzip": b"hello", "rows": gzip.compress(b"".join(lines[:3]))}
    if kind != "gone":
        place.write_bytes(wrong[kind])
    answer = people.bring("ann", store / "ledger.jsonl")
    assert answer.status_code == 200, answer.text
    assert answer.json()["opened"] == [whole.name]
    assert [one["id"] for one in answer.json()["closed"]] == [broken.name]
    assert closed(ann, broken.name)
    assert not closed(ann, whole.name)


def test_rows_that_are_not_there_are_not_found(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    """A run that was opened before rows were counted may say that it has more."""
    folder = take_exam(tmp_path / "runs", "few-rows")
    ann = people.client("ann")
    ann.push(folder)
    unseal(folder, "why")
    ann.push(folder)
    store = Store(Settings(store=people.server.store, work=str(people.server.work)))
    with store.database.publishing() as connection:
        row = schema.tasks
        seq = store.run_row(folder.name).seq
        connection.execute(update(row.table).where(row.run == seq).values({row.rows: 1000}))
    store.database.close()
    for at, status in ((11, 200), (12, 404), (400, 404), (1000, 404)):
        place = f"{ann.url}/api/v1/runs/{folder.name}/tasks/echo/samples/{at}"
        answer = ann.session.get(place, timeout=60)
        assert answer.status_code == status


def test_a_count_of_held_out_items_comes_with_the_ledger_and_is_no_look(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    folder = take_exam(tmp_path / "runs", "counted")
    count = {"data_set": "<i>mine.jsonl", "task": "echo", "n": 12, "overlapped": 3}
    line = count_overlap(folder.parent, {"echo": "0" * 64}, [count], demo=False)
    ann = people.client("ann")
    ann.push(folder)
    assert line in ann.ledger()
    page = ann.session.get(f"{ann.url}/ledger.html", timeout=60).text
    assert "overlap with training data of echo" in page
    again = take_exam(folder.parent, "counted-next")
    assert json.loads((again / "run.json").read_text("utf-8"))["held_out"]["looks_before"] == 0
    ann.push(again)
