"""The demo as a newcomer meets it: recorded answers through the suites, then the pages."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.cli import olmes
from olmes.demo.replay import Recording, recordings, replay
from olmes.errors import OlmesError
from olmes.models.recording import checked_head
from olmes.records.record import Record, records_in
from olmes.seal.known_stores import memory_folder

BUNDLED = 400_000
"""Bytes that all recordings may have."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder, and what the command printed."""
    out = tmp_path_factory.mktemp("first") / "demo"
    done = CliRunner(env={"COLUMNS": "120", "OLMES_DATA": None}).invoke(
        olmes, ["demo", "--no-live", "--out", str(out)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return out, done.output


@pytest.fixture(scope="module")
def server(shown: tuple[Path, str]) -> Iterator[Any]:
    """The server of the line that the demo prints, asked in this process."""
    from fastapi.testclient import TestClient

    from olmes.server.app import create_app
    from olmes.server.settings import Settings

    found = re.search(r"olmes serve --store (\S+) --runs (\S+)", shown[1].replace("\n", ""))
    assert found
    store, runs = found.groups()
    app = create_app(Settings(store=store), folder=runs)
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        count = len(records_in(Path(runs)))
        for _ in range(400):
            if len(client.get("/api/v1/runs?limit=100").json()["runs"]) == count:
                break
            time.sleep(0.05)
        yield client


def test_the_recordings_are_small_whole_and_of_a_training(tmp_path: Path) -> None:
    found = recordings(tmp_path)
    assert sum(one.path.stat().st_size for one in found) < BUNDLED
    assert [checked_head(one.path) for one in found] == [one.head for one in found]
    assert len({one.head.model.fingerprint for one in found}) == len(found) >= 5
    steps = [one.head.model.step for one in found]
    assert steps[0] == 0
    assert len(set(steps)) == len(steps)
    assert {one.head.model.family for one in found} == {"demo"}


def test_records_say_that_they_are_recorded_answers_to_demo_data(shown: tuple[Path, str]) -> None:
    records = records_in(shown[0] / "runs")
    by_print = {one.head.model.fingerprint: one.head for one in recordings(shown[0] / "recordings")}
    for record in records:
        head, model = by_print[record.run.model.fingerprint], record.run.model
        assert (model.name, model.step) == (head.model.name, head.model.step)
        assert model.engine["backend"] == "replay of hf"
        assert model.engine["recorded"] == head.recorded
        assert head.sentence in record.run.warnings
        assert {task.data.origin for task in record.tasks.values()} == {"demo"}
        assert all(task.counts["failed"] == 0 for task in record.tasks.values())
        assert {n for n, task in record.tasks.items() if not task.standard} == {
            n for n, changed in head.tasks.items() if changed and n in record.tasks
        }
    assert [one for one in records if one.run.held_out]


def test_no_look_at_demo_data_is_remembered(shown: tuple[Path, str]) -> None:
    assert (shown[0] / "runs" / "ledger.jsonl").is_file()
    assert not [line for path in memory_folder().glob("*.jsonl") for line in path.open()]


def test_a_second_time_nothing_is_done_again(shown: tuple[Path, str]) -> None:
    out, _ = shown
    before = {path: path.stat().st_mtime_ns for path in out.rglob("run.json")}
    ledger = (out / "runs" / "ledger.jsonl").read_bytes()
    (last,) = recordings(out / "recordings")[-1:]
    members = replay([last], out / "runs")
    assert [bool(member.record and member.record.run.held_out) for member in members] == [
        False,
        True,
    ]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("run.json")} == before
    assert (out / "runs" / "ledger.jsonl").read_bytes() == ledger


def test_every_page_of_the_server_is_filled(shown: tuple[Path, str], server: Any) -> None:
    records = records_in(shown[0] / "runs")
    names = {record.run.model.name for record in records}
    dev = [record for record in records if not record.run.held_out]
    pages = {
        path: server.get(path)
        for path in (
            "/leaderboard.html", "/runs.html", "/checkpoints.html?family=demo", "/ledger.html",
            f"/compare.html?a={dev[0].id}&b={dev[-1].id}", f"/runs/{dev[0].id}/report.html",
            "/checkpoints.html", "/api/v1/families",
        )
    }  # fmt: skip
    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, 200)
    for path in ("/leaderboard.html", "/runs.html"):
        assert [name for name in names if name not in pages[path].text] == [], path
    assert "hold on what it was never tuned on" in pages["/ledger.html"].text
    points = server.get("/api/v1/checkpoints?family=demo").json()["checkpoints"]
    steps = {record.run.model.step for record in records}
    assert {point["step"] for point in points if not point["held_out"]} == steps
    assert (shown[0] / "generalization.html").stat().st_size > 10_000


def test_a_changed_recording_is_refused(tmp_path: Path) -> None:
    import gzip

    found = recordings(tmp_path / "recordings")[0]
    lines = gzip.decompress(found.path.read_bytes()).splitlines(keepends=True)
    changed = b"".join([*lines[:-1], lines[-1].replace(b'"text": "', b'"text": "7 ')])
    path = tmp_path / "changed.jsonl.gz"
    path.write_bytes(gzip.compress(changed))
    with pytest.raises(OlmesError, match="is not as it was recorded"):
        checked_head(path)
    (member,) = replay([Recording(path, found.head)], tmp_path / "runs")[:1]
    assert member.record is None
    assert "is not as it was recorded" in member.trouble
    shutil.rmtree(tmp_path)


@pytest.mark.model
@pytest.mark.slow
def test_the_live_model_answers_the_quiz(tmp_path: Path) -> None:
    done = CliRunner(env={"COLUMNS": "120"}).invoke(
        olmes, ["demo", "--out", str(tmp_path / "demo")], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    (quiz,) = [one for one in records_in(tmp_path / "demo/runs") if "quiz" in one.tasks]
    assert isinstance(quiz, Record)
    assert 0.4 < quiz.value("quiz") < 0.9
