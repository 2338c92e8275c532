"""The API of a real server on loopback, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes import OlmesError
from olmes.client import types as client_types
from olmes.client.client import AnswerError, Client, files_of
from olmes.client.types import Event
from olmes.seal.sealing import unseal
from olmes.tools.as_json import as_json
from olmes.tools.hashing import content_hash, file_sha256

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    with Client(server.url, patience=10) as client:
        yield client


def eventually(question: Callable[[], object], answer: object, seconds: float = 20.0) -> None:
    import time

    deadline = time.monotonic() + seconds
    while (found := question()) != answer and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == answer


def test_a_pushed_run_is_there_to_the_byte(client: Client, copy_run: Callable[..., Path]) -> None:
    folder = copy_run("whole")
    pushed = client.push(folder)
    assert pushed.new
    assert not client.push(folder).new
    hashes = {name: file_sha256(path) for name, path in files_of(folder).items()}
    assert pushed.content_hash == content_hash(hashes)
    raw = requests.get(f"{client.url}/api/v1/runs/whole/run.json", timeout=30).content
    assert raw == (folder / "run.json").read_bytes()
    rows = list(client.samples("whole", "echo"))
    lines = (folder / "samples/echo.jsonl").read_text().splitlines()
    assert rows == [json.loads(line) for line in lines]
    assert client.run("whole")["run"]["tasks"]["echo"]["value"] == pytest.approx(10 / 12)
    assert [run["id"] for run in client.runs(q="whole")] == ["whole"]


def test_an_upload_goes_on_where_it_was_cut_off(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    folder = copy_run("cut")
    files = files_of(folder)
    manifest = {
        "files": [
            {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
            for name, path in files.items()
        ]
    }
    first = client._call("POST", "/uploads", json=manifest)
    content = files["run.json"].read_bytes()
    place = f"/uploads/{first['upload']}/files/0"
    client._call("PUT", place, params={"offset": 0}, data=content[:1000])
    with pytest.raises(AnswerError, match="1000 bytes of this file are here") as refused:
        client._call("PUT", place, params={"offset": 5}, data=b"x")
    assert (refused.value.status, refused.value.field) == (409, "offset")
    with pytest.raises(AnswerError, match="1000 of"):
        client._call("POST", f"/uploads/{first['upload']}/commit")
    assert not list(client.runs(q="cut"))
    again = client._call("POST", "/uploads", json=manifest)
    assert again["upload"] == first["upload"]
    assert [file["received"] for file in again["files"]] == [1000, 0]
    assert client.push(folder).new


def test_bytes_other_than_promised_are_refused(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    folder = copy_run("other-bytes")
    files = files_of(folder)
    manifest = {
        "files": [
            {"name": name, "size": path.stat().st_size, "sha256": hashlib.sha256(b"").hexdigest()}
            for name, path in files.items()
        ]
    }
    begun = client._call("POST", "/uploads", json=manifest)
    for number, path in enumerate(files.values()):
        place = f"/uploads/{begun['upload']}/files/{number}"
        client._call("PUT", place, params={"offset": 0}, data=path.read_bytes())
    with pytest.raises(AnswerError, match=r"run.json arrived with another SHA-256"):
        client._call("POST", f"/uploads/{begun['upload']}/commit")
    assert not list(client.runs(q="other-bytes"))


def test_another_run_of_the_same_name_needs_replace(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    client.push(copy_run("same", right=10))
    with pytest.raises(OlmesError, match="another run named same is here; push with --replace"):
        client.push(copy_run("same", right=8))
    assert client.push(copy_run("same", right=8), replace=True).new
    [run] = client.runs(q="same")
    assert run["tasks"]["echo"]["value"] == pytest.approx(8 / 12)
    assert sum(1 for row in client.samples("same", "echo", verdict="right")) == 8


def test_lists_go_on_where_they_ended_although_runs_arrive(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    for number in range(7):
        client.push(copy_run(f"page-{number}", family="paged"))
    part = client._call("GET", "/runs", params={"family": "paged", "limit": 3})
    seen = [run["id"] for run in part["runs"]]
    client.push(copy_run("page-late", family="paged"))
    while part["next"]:
        query = {"family": "paged", "limit": 3, "after": part["next"]}
        part = client._call("GET", "/runs", params=query)
        seen += [run["id"] for run in part["runs"]]
    assert seen == [f"page-{number}" for number in range(6, -1, -1)]
    for sort in ("arrived", "created"):
        assert len(list(client.runs(family="paged", sort=sort))) == 8
    assert list(client.runs(family="paged", complete=False)) == []
    assert len(list(client.runs(family="paged", task="echo", held_out=False))) == 8
    assert list(client.runs(q="PAGE-1")) == list(client.runs(q="page-1"))
    assert list(client.runs(q="page_1")) == []


def test_samples_by_filter_and_words(client: Client, copy_run: Callable[..., Path]) -> None:
    client.push(copy_run("found", rows=30, right=20))

    def ids(**filters: Any) -> list[int]:
        return [row["doc_id"] for row in client.samples("found", "echo", **filters)]

    assert ids() == list(range(30))
    assert ids(verdict="wrong") == list(range(20, 30))
    assert ids(doc_id=7) == [7]
    assert ids(q="SAY WORD3") == [3, 15, 27]
    assert ids(q="doc_hash") == []
    assert ids(subtask="none") == []
    one = client._call("GET", "/runs/found/tasks/echo/samples/29")
    assert one["row"]["doc_id"] == 29
    with pytest.raises(AnswerError, match="has 30 samples"):
        client._call("GET", "/runs/found/tasks/echo/samples/30")
    part = client._call("GET", "/runs/found/tasks/echo/samples", params={"limit": 30})
    assert part["next"] is None


def test_two_runs_are_compared_as_olmes_compare_does(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    from olmes import Record
    from olmes.comparison.compare import compare_runs

    a, b = copy_run("one", rows=40, right=20), copy_run("two", rows=40, right=32)
    client.push(a)
    client.push(b)
    found = client.compare("one", "two", force=True)
    expected = as_json(compare_runs(Record.load(a), Record.load(b), force=True))
    assert found["tasks"][0]["difference"] == pytest.approx(expected["tasks"][0]["difference"])
    assert (found["tasks"][0]["unit"], found["tasks"][0]["higher_is_better"]) == ("share", True)
    assert len(found["tasks"][0]["flips"]) == 12
    assert "folder" not in found["runs"][0]


def test_the_leaderboard_follows_the_runs(client: Client, copy_run: Callable[..., Path]) -> None:
    client.push(copy_run("ranked-low", right=3))
    client.push(copy_run("ranked-high", right=11))

    def order() -> list[str]:
        found = client.leaderboard()
        names = [run["id"] for board in found["boards"] for run in board["runs"]]
        names += [run["id"] for run in found["not_ranked"]]
        return [name for name in names if name.startswith("ranked")]

    eventually(lambda: sorted(order()), ["ranked-high", "ranked-low"])


def test_checkpoints_by_step(client: Client, copy_run: Callable[..., Path]) -> None:
    for step in (200, 100):
        client.push(copy_run(f"sft-{step}", family="sft", step=step))
    assert [point["step"] for point in client.checkpoints("sft")] == [100, 200]
    page = requests.get(f"{client.url}/checkpoints.html?family=sft", timeout=60)
    assert page.status_code == 200
    assert "sft-200" in page.text
    assert requests.get(f"{client.url}/checkpoints.html?family=no", timeout=60).status_code == 404


def test_samples_under_seal_are_served_to_nobody_until_they_are_opened(
    client: Client, sealed_run: Path
) -> None:
    pushed = client.push(sealed_run)
    name = pushed.id
    if not pushed.new:
        pytest.skip("the same run is here from another module")
    assert client.run(name)["run"]["held_out"]
    assert client.run(name)["record"]["tasks"]["echo"]["metrics"]["exact_match"]["n"] == 12
    base = f"{client.url}/api/v1/runs/{name}/tasks/echo/samples"
    for place in (base, f"{base}/0", f"{base}?q=word3&limit=1"):
        answer = requests.get(place, timeout=30)
        assert answer.status_code == 403
        assert "under seal" in answer.json()["error"]["message"]
    page = requests.get(f"{client.url}/runs/{name}/report.html", timeout=60).text
    assert "word3" not in page
    assert [entry["event"] for entry in client.ledger() if entry["run"] == name] == [
        "run",
        "result",
    ]
    unseal(sealed_run, "the scores look odd")
    again = client.push(sealed_run)
    assert not again.new
    assert [row["doc_id"] for row in client.samples(name, "echo")] == list(range(12))
    assert client.run(name)["run"]["opened"]
    assert "the scores look odd" in requests.get(f"{client.url}/ledger.html", timeout=30).text
    with pytest.raises(AnswerError, match="it stays"):
        client._call("DELETE", f"/runs/{name}")


def test_a_run_is_removed_and_its_samples_with_it(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    client.push(copy_run("gone"))
    assert client._call("DELETE", "/runs/gone") is None
    with pytest.raises(AnswerError, match="there is no run gone"):
        client.run("gone")
    assert client.push(copy_run("gone")).new


def test_events_tell_of_runs_and_progress(
    client: Client, server: Running, copy_run: Callable[..., Path]
) -> None:
    heard: list[Event] = []
    ready = threading.Event()

    def listen() -> None:
        with Client(server.url) as other:
            for event in other.events():
                ready.set()
                heard.append(event)
                if event[0] == "run":
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    while not ready.wait(0.1):
        client.progress("heard", 3, 12)
    client.push(copy_run("heard"))
    thread.join(30)
    last = heard[-1]
    assert last[0] == "run"
    assert (last[1]["id"], last[1]["what"], last[1]["look"]) == ("heard", "echo", "")
    # As the page writes it: the share without its sign, and the interval.
    assert last[1]["score"] == "83.3"
    assert re.fullmatch(r"\[\d+\.\d, \d+\.\d\]", last[1]["interval"])
    page = requests.get(f"{client.url}/runs.html?q=heard", timeout=60).text
    assert f'83.3 <span class="ci">{last[1]["interval"]}</span>' in page
    assert client.running() == []  # it arrived, so it is over
    client.progress("other", 3, 12)
    assert [one["run"] for one in client.running()] == ["other"]
    client.progress("other", 12, 12, finished=True)
    assert client.running() == []


def test_pages_and_what_protects_them(client: Client, copy_run: Callable[..., Path]) -> None:
    client.push(copy_run("paged-a"))
    client.push(copy_run("paged-b"))
    places = (
        "leaderboard.html", "runs.html", "ledger.html", "checkpoints.html",
        "runs/paged-a/report.html", "compare.html?a=paged-a&b=paged-b&force=true",
    )  # fmt: skip
    for place in places:
        answer = requests.get(f"{client.url}/{place}", timeout=60)
        assert answer.status_code == 200, place
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert "http-equiv" not in answer.text
        assert "live.js" in answer.text
    page = requests.get(f"{client.url}/runs/paged-a/report.html", timeout=30)
    known = {"If-None-Match": page.headers["etag"]}
    again = requests.get(f"{client.url}/runs/paged-a/report.html", headers=known, timeout=30)
    assert again.status_code == 304
    plain = requests.get(page.url, headers={"Accept-Encoding": "identity"}, timeout=30)
    assert plain.text == page.text


def test_numbers_for_prometheus_and_an_audit_log(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    client.push(copy_run("counted"))

    def shown(what: str) -> bool:
        return what in requests.get(f"{client.url}/metrics", timeout=30).text

    assert shown('olmes_uploads_total{outcome="added"}')
    assert shown("olmes_runs ")
    # A request is counted when its answer has gone out: the client may be here first.
    eventually(lambda: shown('route="/api/v1/uploads/{upload}/commit"'), True)
    entries = client._call("GET", "/audit")["entries"]
    assert ("run added", "counted") in {(e["action"], e["target"]) for e in entries}


def test_the_client_s_types_are_what_the_server_answers(
    client: Client, copy_run: Callable[..., Path]
) -> None:
    client.push(copy_run("typed", family="typed", step=7))

    def keys(shape: type) -> set[str]:
        return set(shape.__annotations__)

    detail = client.run("typed")
    [listed] = client.runs(family="typed")
    [point] = client.checkpoints("typed")
    client.progress("typed-2", 1, 2)
    under_way = client.running()[0]
    client.progress("typed-2", 2, 2, finished=True)
    board = client.leaderboard()
    assert set(detail) == keys(client_types.RunDetail)
    assert set(detail["run"]) == set(listed) == keys(client_types.RunSummary)
    assert set(listed["tasks"]["echo"]) == keys(client_types.Primary)
    assert listed["tasks"]["echo"]["unit"] == "share"
    assert listed["tasks"]["echo"]["higher_is_better"]
    assert set(point) == keys(client_types.CheckpointScore)
    assert set(under_way) == keys(client_types.UnderWay)
    assert set(board) == keys(client_types.Leaderboard)
    assert all(set(one) == keys(client_types.Board) for one in board["boards"])
    ranked = [run for one in board["boards"] for run in one["runs"]]
    assert ranked
    assert all(set(run) == keys(client_types.RankedRun) for run in ranked)
    assert all(set(one) == keys(client_types.NotRanked) for one in board["not_ranked"])


def test_the_log_is_a_json_object_a_line_without_what_was_asked(
    server: Running, client: Client, copy_run: Callable[..., Path]
) -> None:
    client.push(copy_run("logged"))
    answer = requests.get(
        f"{client.url}/api/v1/runs", params={"q": "a secret word"}, timeout=30,
        headers={"Authorization": "Bearer olmes_not-to-be-seen"},
    )  # fmt: skip
    number = answer.headers["x-request-id"]

    def lines() -> list[dict[str, Any]]:
        whole = (server.work / "log").read_text().rpartition("\n")[0].splitlines()
        read = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in read if line.get("request") == number]

    # A request is logged when its answer has gone out: the client may be here first.
    eventually(lambda: len(lines()), 1)
    [line] = lines()
    written = (server.work / "log").read_text()
    assert (line["message"], line["level"], line["status"]) == ("request", "info", 200)
    assert (line["method"], line["path"]) == ("GET", "/api/v1/runs")
    assert {"time", "ms", "who", "address"} <= set(line)
    assert "secret" not in written
    assert "not-to-be-seen" not in written


def test_files_are_named_by_the_server_alone(
    server: Running, client: Client, copy_run: Callable[..., Path]
) -> None:
    client.push(copy_run("names"))
    kept = [p for p in Path(server.work).rglob("*") if p.is_file() and p.name != "log"]
    assert not any("echo" in path.name for path in kept if "pages" not in path.parts)


@pytest.mark.parametrize(
    ("path", "status", "said", "home"),
    [
        ("/nowhere.html", 404, "There is no such page", 'href="leaderboard.html"'),
        ("/runs/gone/report.html", 404, "There is no run gone.", 'href="../../runs.html?q=gone"'),
        ("/checkpoints.html?family=x%3Cb%3E", 404, "No run of &#39;x&lt;b&gt;&#39;", "runs.html"),
        ("/compare.html", 422, "a: Field required", 'href="runs.html"'),
    ],
)
def test_people_are_refused_by_a_page_and_programs_in_json(
    client: Client, path: str, status: int, said: str, home: str
) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = requests.get(client.url + path, headers=browser, timeout=30)
    assert page.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert said in page.text
    assert home in page.text
    program = requests.get(client.url + path, timeout=30)
    assert program.status_code == status
    assert set(program.json()["error"]) == {"field", "message"}
    api = requests.get(f"{client.url}/api/v1/runs/gone", headers=browser, timeout=30)
    assert api.json()["error"]["message"] == "there is no run gone."
