"""What the server ranks: runs under seal are compared there too, limited runs have their board."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from olmes import Record
from olmes.client.client import files_of
from olmes.seal.look import Look
from olmes.server.access.audit import LOCAL
from olmes.server.intake.run_files import take_in
from olmes.server.pages import report_pages
from olmes.server.settings import Limits, Settings
from olmes.server.store.store import RunFilter, Store
from olmes.server.store.stored_records import StoredRecords
from olmes.tools.hashing import file_sha256
from tests.olmes.edge_runs import Bench, zeros_and_ones


def served(tmp_path: Path, runs: list[Record]) -> Settings:
    """A store with some runs."""
    settings = Settings(store=str(tmp_path / "store"), work=str(tmp_path / "work"))
    store = Store(settings)
    store.database.migrate()
    for run in runs:
        files = files_of(run.folder)
        hashes = {name: file_sha256(path) for name, path in files.items()}
        store.add(take_in(settings, files, hashes), LOCAL, replace=False)
    return settings


def exams(tmp_path: Path) -> list[Record]:
    """Two runs of a held-out suite."""
    bench = Bench(tmp_path)
    exam = bench.suite("exam", [bench.task("acc", 40)], held_out=True)
    look = Look(reason="final")
    return [
        bench.run(label, exam, {"acc": zeros_and_ones(40, right)}, look=look)
        for label, right in (("low", 10), ("high", 36))
    ]


def test_runs_under_seal_are_compared_and_stay_closed(tmp_path: Path) -> None:
    runs = exams(tmp_path)
    settings = served(tmp_path, runs)
    [board] = report_pages.board_numbers(settings)["boards"]
    assert [run["model"].rpartition("/")[2] for run in board["runs"]] == ["high-said", "low-said"]
    [pair] = board["pairs"] or []
    assert pair["difference"] == pytest.approx(26 / 40)
    assert (pair["n"], pair["verdict"]) == (40, "better")
    assert board["not_compared"] == ""
    # Nothing of the samples lies where pages are made.
    assert [path.name for path in (tmp_path / "work/pages").rglob("*") if path.is_file()] == [
        "report.html", "report.html"
    ]  # fmt: skip
    for record in StoredRecords(settings).records(RunFilter()):
        assert record.sealed("acc")
        assert not record.has_samples("acc")


def test_a_sealed_file_that_unpacks_to_too_much_is_not_compared(tmp_path: Path) -> None:
    runs = exams(tmp_path)
    sealed = runs[0].folder / runs[0].run.sealed["acc"].file
    most = len(gzip.decompress(sealed.read_bytes())) - 1
    # Taken when the limit was another: today it is refused at the door.
    settings = replace(served(tmp_path, runs), limits=Limits(file=most))
    [board] = report_pages.board_numbers(settings)["boards"]
    assert board["pairs"] is None
    assert "are missing" in board["not_compared"]


def test_limited_runs_have_their_board_and_say_so_in_every_list(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    task = bench.task("acc", 40)
    values: dict[str, Sequence[float | str]] = {"acc": zeros_and_ones(40, 30)}
    runs = [
        bench.run("whole", task, values),
        bench.run("limited", task, values, limit=10),
        bench.run("other", task, values, limit=10, settings={"acc.max_tokens": 2}),
        bench.run("broken", task, {"acc": [*["none"] * 3, *[1.0] * 37]}),
    ]
    settings = served(tmp_path, runs)
    found = report_pages.board_numbers(settings)
    assert [(board["items"], board["standard"]) for board in found["boards"]] == [
        ("", True), ("10 of 40 items of acc", True), ("10 of 40 items of acc", False),
    ]  # fmt: skip
    assert [one["id"] for one in found["not_ranked"]] == [runs[-1].id]
    store = Store(settings)
    broken, *rows = store.find_runs(RunFilter(), limit=9, before=None, by="arrived")
    assert (broken.complete, broken.unscored) == (False, 3)
    assert broken.lacking == "incomplete: 3 of 40 responses of acc have no score"
    assert {(row.limited, row.standard, row.items) for row in rows} == {
        ("", True, 40), ("10 of 40 items of acc", True, 10), ("10 of 40 items of acc", False, 10),
    }  # fmt: skip
    sets = {row.item_set for row in rows}  # two were asked the same ten
    assert len(sets) == 2
    assert "" in sets
    wanted = RunFilter(complete=True, standard=True, demo_data=False, limited=False)
    [whole] = store.find_runs(wanted, limit=9, before=None, by="created")
    assert whole.id == runs[0].id


def test_a_pair_on_the_page_leads_to_its_comparison(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    task = bench.task("acc", 40)
    runs = [
        bench.run(label, task, {"acc": zeros_and_ones(40, right)})
        for label, right in (("low", 10), ("high", 36))
    ]
    page = report_pages.board_page(served(tmp_path, runs))
    text = gzip.decompress(page.body).decode("utf-8")
    low, high = (run.id for run in runs)
    assert f'href="compare.html?a={low}&amp;b={high}"' in text
