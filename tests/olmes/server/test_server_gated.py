"""Gated items on a server: their samples are kept packed and served to nobody, unsealed or not."""

from __future__ import annotations

import base64
import csv
import gzip
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import evaluate
from olmes.client.client import AnswerError, Client, files_of
from olmes.seal.sealing import unseal
from olmes.server.intake.run_files import take_in
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.tools.hashing import file_sha256

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

FILES = Path(__file__).parents[1] / "files"
SECRET = "quorblax"


@pytest.fixture
def gated_run(tmp_path: Path) -> Path:
    """A run of a gated task and an open one, under seal; the open one's samples were unsealed."""
    (tmp_path / "data/closed").mkdir(parents=True)
    (tmp_path / "data/echo").mkdir()
    with (tmp_path / "data/closed/test.csv").open("w", newline="") as out:
        csv.writer(out).writerows(
            [
                ["question", "answer"],
                *([f"Which {SECRET} is {n}?", f"{SECRET} {n}"] for n in range(4)),
            ]
        )
    words = "".join(json.dumps({"word": f"word{n}"}) + "\n" for n in range(4))
    (tmp_path / "data/echo/test.jsonl").write_text(words)
    rows = [{"task": "closed", "doc_id": n, "response": f"{SECRET} {n}"} for n in range(4)]
    rows += [{"task": "echo", "doc_id": n, "response": f"word{n}"} for n in range(4)]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = tmp_path / "exam.toml"
    tasks = f'["{FILES}/gated_task.py", "{FILES}/echo_task.py"]'
    suite.write_text(f'name = "closed_exam"\ntasks = {tasks}\nheld_out = true\n')
    record = evaluate(
        str(suite), model=f"replay:{tmp_path / 'said.jsonl'}", data=tmp_path / "data",
        out=tmp_path / "gated-runs", look="final", scoring_processes=1,
    )  # fmt: skip
    unseal(record.folder, "to see")
    return record.folder


def shown(answer: requests.Response) -> str:
    """An answer, with the texts that a page unpacks."""
    blobs = re.findall(r'<script type="text/plain" id="blob-\d+">([^<]*)</script>', answer.text)
    unpacked = [gzip.decompress(base64.b64decode(blob)).decode() for blob in blobs]
    return "\n".join([html.unescape(answer.text), *unpacked])


def test_nothing_of_a_gated_item_is_served(server: Running, gated_run: Path) -> None:
    with Client(server.url, patience=10) as client:
        name = client.push(gated_run).id
        assert client.run(name)["run"]["opened"]
        assert [row["doc_id"] for row in client.samples(name, "echo")] == [0, 1, 2, 3]
        with pytest.raises(AnswerError, match="gated items stay closed"):
            list(client.samples(name, "closed"))
        detail = client.run(name)
    assert detail["record"]["tasks"]["closed"]["metrics"]["contains"]["value"] == 1.0
    places = [
        "", "/leaderboard.html", "/runs.html", "/ledger.html", f"/runs/{name}/report.html",
        f"/compare.html?a={name}&b={name}", f"/api/v1/runs/{name}", f"/api/v1/runs/{name}/run.json",
        "/api/v1/runs", "/api/v1/leaderboard", "/api/v1/ledger",
        f"/api/v1/runs/{name}/tasks/closed/samples",
        f"/api/v1/runs/{name}/tasks/closed/samples/0",
        f"/api/v1/runs/{name}/tasks/closed/samples?q={SECRET[:4]}",
    ]  # fmt: skip
    for place in places:
        assert SECRET not in shown(requests.get(f"{server.url}{place}", timeout=60)), place
    # The same search finds the task that was opened.
    page = shown(requests.get(f"{server.url}/runs/{name}/report.html", timeout=60))
    assert "word3" in page
    assert "stay packed in the run's folder" in page


def test_a_gated_run_without_a_look_needs_no_ledger(server: Running, tmp_path: Path) -> None:
    (tmp_path / "data/closed").mkdir(parents=True)
    (tmp_path / "data/closed/test.csv").write_text(f"question,answer\nWhich {SECRET}?,one\n")
    (tmp_path / "said.jsonl").write_text('{"doc_id": 0, "response": "one"}\n')
    record = evaluate(
        str(FILES / "gated_task.py"), model=f"replay:{tmp_path / 'said.jsonl'}",
        data=tmp_path / "data", out=tmp_path / "runs", scoring_processes=1,
    )  # fmt: skip
    assert set(files_of(record.folder)) == {"run.json", "sealed/closed.jsonl.gz"}
    with Client(server.url, patience=10) as client:
        assert client.push(record.folder).new
        with pytest.raises(AnswerError, match="gated items stay closed"):
            list(client.samples(record.id, "closed"))
        page = requests.get(f"{server.url}/runs/{record.id}/report.html", timeout=60)
    assert SECRET not in shown(page)
    assert page.text.count('id="held-out"') == 1  # where its numbers lead


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"other": {}}, "gated.other: is not a task of this run"),
        ({"closed": {"file": "samples/closed.jsonl"}}, "gated.closed.file: must be sealed/closed"),
        ({"closed": {"sha256": "0" * 64}}, "gated.closed: is another file than the one under seal"),
    ],
)
def test_what_does_not_fit_is_refused(
    gated_run: Path, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    data = json.loads((gated_run / "run.json").read_text())
    for name, fields in change.items():
        data["gated"][name] = data["gated"]["closed"] | fields
    (gated_run / "run.json").write_text(json.dumps(data))
    files = files_of(gated_run)
    hashes = {name: file_sha256(path) for name, path in files.items()}
    with pytest.raises(RefusedError, match=re.escape(why)):
        take_in(Settings(store=str(tmp_path / "taken")), files, hashes)
