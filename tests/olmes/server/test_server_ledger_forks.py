"""Ledgers that part: kept side by side, shown as forks, and every look counted over all of them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from olmes.client.client import Client
from olmes.seal.ledger import Ledger
from olmes.seal.look import Look
from olmes.seal.sealing import unseal
from olmes.server.access.audit import LOCAL, Caller
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store import schema
from olmes.server.store.backup import make_backup, restore_backup
from olmes.server.store.ledgers import read_ledger
from olmes.server.store.store import Store
from tests.olmes.server import taken_in

if TYPE_CHECKING:
    from tests.olmes.server.conftest import People

Exam = Callable[..., Path]
ANN, BOB, EVE = (Caller(name, "write", "") for name in ("ann", "bob", "eve"))


@pytest.fixture
def opened(store: str, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind."""
    found = Store(Settings(store=store, work=str(tmp_path / "work")))
    found.database.migrate()
    yield found
    found.database.close()


def add(store: Store, folder: Path, caller: Caller = ANN) -> None:
    taken_in.add(store, folder, caller)


def lines_of(store: Path) -> list[Any]:
    return read_ledger(store / "ledger.jsonl")


def bring(store: Store, ledger: Path, caller: Caller) -> None:
    store.ledgers.extend(lines_of(ledger), {}, {}, caller)


def page_of(people: People) -> str:
    session = people.client("reader").session
    return str(session.get(f"{people.server.url}/ledger.html", timeout=60).text)


def test_two_machines_that_begin_from_the_same_copy_both_push(
    people: People, take_exam: Exam, tmp_path: Path
) -> None:
    first = take_exam(tmp_path / "one", "first")
    ann, bob = people.client("ann"), people.client("bob")
    ann.push(first)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    here, there = take_exam(tmp_path / "one", "here"), take_exam(tmp_path / "two", "there")
    ann.push(here)
    bob.push(there)
    ann.push(take_exam(tmp_path / "one", "here-again"))
    bob.push(take_exam(tmp_path / "two", "there-again"))
    known = {line["hash"]: line for line in ann._call("GET", "/ledger")["known"]}
    one, two = lines_of(tmp_path / "one"), lines_of(tmp_path / "two")
    assert one[:2] == two[:2]
    assert [known[line["hash"]]["brought_by"] for line in one] == ["ann"] * 6
    assert [known[line["hash"]]["brought_by"] for line in two] == ["ann"] * 2 + ["bob"] * 4
    assert [line["number"] for line in two if known[line["hash"]]["parts"]] == [3]
    assert not [line for line in one if known[line["hash"]]["parts"]]
    assert {known[line["hash"]]["chain"] for line in one + two} == {one[0]["hash"]}
    # Both can be taken up from the server, to the byte.
    entries = {line["hash"]: line for line in ann.ledger()}
    assert [entries[line["hash"]] for line in one + two] == one + two
    page = page_of(people)
    assert "Fork" in page
    assert "brought by bob" in page
    assert two[2]["hash"][:12] in page
    forks = [line for line in people.audit() if line["action"] == "ledger forked"]
    assert (forks[0]["who"], forks[0]["target"]) == ("bob", one[0]["hash"])


def test_a_forged_line_that_is_there_locks_nobody_out(
    opened: Store, take_exam: Exam, tmp_path: Path
) -> None:
    """As an older server kept it, which asked nobody whose ledger it was."""
    store = tmp_path / "runs"
    folder = take_exam(store, "owned")
    add(opened, folder)
    shutil.copytree(store, tmp_path / "forged")
    Ledger(tmp_path / "forged").append("unseal", folder.name, {"reason": "curious"})
    bring(opened, tmp_path / "forged", LOCAL)
    unseal(folder, "the owner's own look")
    entries = lines_of(store)
    assert [one.why_not for one in opened.ledgers.openings(entries, ANN)] == [""]
    bring(opened, store, ANN)
    add(opened, take_exam(store, "next"))
    kept = opened.ledgers.lines()
    assert {line["hash"] for line in lines_of(store)} <= {line.hash for line in kept}
    # The forged one stays where it was, with who brought it, and opens nothing.
    assert [(line.brought_by, line.parts) for line in kept if line.entry["event"] == "unseal"] == [
        ("local", False),
        ("ann", True),
    ]
    bring(opened, tmp_path / "forged", ANN)
    assert len(opened.ledgers.lines()) == len(kept)


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "older"])
def test_a_stranger_adds_no_line_and_the_chains_owner_does(
    opened: Store, take_exam: Exam, tmp_path: Path, noted: bool
) -> None:
    store = tmp_path / "runs"
    add(opened, take_exam(store, "hers"))
    if not noted:  # who brought it, as in a store of an older olmes: by her run it is hers
        with opened.database.publishing() as connection:
            lines = schema.ledger
            connection.execute(update(lines.table).values({lines.brought_by: ""}))
    Ledger(store).append("show", "", {"reason": "items", "who": "ann@lab"})
    with pytest.raises(RefusedError) as refused:
        bring(opened, store, EVE)
    assert refused.value.status == 403
    bring(opened, store, ANN)
    bring(opened, store, EVE)  # nothing is new
    before = "ann" if noted else ""
    assert [line.brought_by for line in opened.ledgers.lines()] == [before, before, "ann"]
    # Who has a run of the ledger adds to it, though another brought its first line.
    add(opened, take_exam(store, "his"), BOB)
    Ledger(store).append("show", "", {"reason": "more items", "who": "bob@lab"})
    bring(opened, store, BOB)
    assert opened.ledgers.lines()[-1].brought_by == "bob"
    # A ledger that nobody brought yet is whose it is who does.
    Ledger(tmp_path / "new").append("show", "", {"reason": "items"})
    bring(opened, tmp_path / "new", EVE)
    assert len(opened.ledgers.lines()) == 7


def test_a_restored_store_keeps_the_seal_and_its_owners(
    opened: Store, take_exam: Exam, tmp_path: Path
) -> None:
    folder = take_exam(tmp_path / "runs", "saved")
    add(opened, folder)
    make_backup(opened.settings, tmp_path / "backup")
    restored = Store(Settings(store=str(tmp_path / "restored")))
    restore_backup(restored.settings, tmp_path / "backup")
    assert restored.ledgers.lines() == opened.ledgers.lines()
    unseal(folder, "why")
    entries = lines_of(folder.parent)
    [hers] = restored.ledgers.openings(entries, EVE)
    assert "uploaded by ann" in hers.why_not
    for caller in (ANN, LOCAL):
        assert [one.why_not for one in restored.ledgers.openings(entries, caller)] == [""]
    restored.database.close()


def test_an_order_of_lines_is_way_by_way(opened: Store, tmp_path: Path) -> None:
    def write(name: str, copy_of: str, words: str) -> None:
        if copy_of:
            shutil.copytree(tmp_path / copy_of, tmp_path / name)
        for word in words:
            Ledger(tmp_path / name).append("note", word, {})

    write("one", "", "1")
    write("b", "one", "45")
    write("two", "one", "2")
    write("c", "two", "6")
    write("a", "two", "3")
    for name in "abc":
        bring(opened, tmp_path / name, ANN)
    lines = opened.ledgers.lines()
    found = "".join(line.entry["run"] for line in lines)
    assert found == "123645"
    assert [line.entry["run"] for line in lines if line.parts] == ["6", "4"]
    by_hash = {line.hash: line for line in lines}
    for place, line in enumerate(lines):
        if line.previous in by_hash:
            assert lines.index(by_hash[line.previous]) < place


def test_the_same_weights_in_another_store_are_shown_as_looked_at_before(
    people: People, take_exam: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = people.client("ann"), people.client("bob")
    look = Look(reason="final", family="sft-counted")
    first = take_exam(tmp_path / "one", "counted-a", answers="counted", look=look)
    time.sleep(1.1)  # a ledger's times are whole seconds
    # Another machine, which knows nothing of the first store.
    monkeypatch.setenv("OLMES_LOOKS", str(tmp_path / "looks of another machine"))
    second = take_exam(tmp_path / "two", "counted-b", answers="counted")
    ann.push(first)
    place = f"{ann.url}/runs/{second.name}/report.html"
    bob.push(second)
    [own] = [entry for entry in lines_of(tmp_path / "two") if entry["event"] == "run"]
    assert own["looks_before"] == 0
    known = {one["hash"]: one for one in ann._call("GET", "/ledger")["known"]}
    assert known[own["hash"]]["looks_before"] == 1
    said = "1 look before it in all ledgers here"
    detail = ann.run(second.name)
    assert detail["looks_before"] == 1
    assert said in detail["look"]
    board = ann.session.get(f"{ann.url}/leaderboard.html", timeout=120).text
    assert said in board
    listed = ann.session.get(f"{ann.url}/runs.html", timeout=60).text
    assert said in listed
    assert said in ann.session.get(place, timeout=120).text
    assert "1 in all ledgers" in page_of(people)
    # A ledger that comes later and tells of an earlier look makes the run's page anew.
    third = tmp_path / "three"
    facts = {"family": own["family"], "fingerprint": "0" * 64, "reason": "earlier", "who": "x"}
    Ledger(third).append("run", "elsewhere", facts)
    dated(third, "2020-01-01T00:00:00Z")
    assert people.bring("ann", third / "ledger.jsonl").status_code == 200
    assert "2 looks before it in all ledgers here" in (ann.session.get(place, timeout=120).text)


def dated(store: Path, time: str) -> None:
    """Write the one line of a ledger anew with another time."""
    from olmes.seal.ledger import hash_of

    [entry] = [json.loads(text) for text in (store / "ledger.jsonl").open()]
    entry["time"] = time
    entry["hash"] = hash_of(entry)
    (store / "ledger.jsonl").write_text(json.dumps(entry) + "\n")


def test_the_page_shows_any_event_and_what_goes_back_in_time(
    people: People, tmp_path: Path
) -> None:
    store = tmp_path / "events"
    for event, run in (
        ("show", ""),
        ("check", "nowhere"),
        ("a-new-kind", "later"),
        ("result", "x"),
    ):
        Ledger(store).append(
            event, run, {"who": "dee@lab", "reason": f"why {event}", "tasks": ["t"]}
        )
    entries = [json.loads(text) for text in (store / "ledger.jsonl").open()]
    from olmes.seal.ledger import hash_of

    entries[1]["time"] = "2019-01-01T00:00:00Z"
    for before, entry in zip([None, *entries], entries, strict=False):
        entry["previous"] = before["hash"] if before else "0" * 64
        entry["hash"] = hash_of(entry)
    (store / "ledger.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert people.bring("eve", store / "ledger.jsonl").json() == {"opened": [], "closed": []}
    page = page_of(people)
    assert all(f"why {event}" in page for event in ("show", "check", "a-new-kind"))
    assert "earlier than the line before it" in page
    assert "runs/nowhere/report.html" not in page
    client: Client = people.client("reader")
    known = {one["hash"]: one for one in client._call("GET", "/ledger")["known"]}
    assert [known[entry["hash"]]["back_in_time"] for entry in entries] == [
        False,
        True,
        False,
        False,
    ]
    assert [one["hash"] for one in client.ledger() if one["hash"] in known] == list(known)
