"""Text of any kind: taken and served as it was written, or refused with the field's name."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sqlalchemy import insert

from olmes import OlmesError, evaluate
from olmes.client.client import AnswerError, Client
from olmes.client.session import ServerSession
from olmes.records.record import Record
from olmes.seal.ledger import Ledger
from olmes.seal.sealing import unseal
from olmes.server import routes
from olmes.server.intake.checks import checked_record
from olmes.server.json_response import JsonRoute
from olmes.server.refusals import RefusedError
from olmes.server.store import schema
from olmes.server.store.database import Database
from olmes.server.store.ledgers import read_ledger
from olmes.tools.jsonl import dumps
from olmes.types import JsonObject

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
ODD = "half \ud83d, NUL \x00, whole \U0001f600, latin \udce9"
"""What a server that cuts an emoji sends, what a shell that is not of UTF-8 gives, and a NUL."""
PAGES = (
    "/leaderboard.html", "/runs.html", "/ledger.html", "/checkpoints.html",
    "/api/v1/runs", "/api/v1/leaderboard", "/api/v1/ledger", "/api/v1/families", "/api/v1/progress",
)  # fmt: skip


def change(folder: Path, run: Callable[[JsonObject], object], row: JsonObject) -> Path:
    """A run with another record and other rows."""
    data = json.loads((folder / "run.json").read_text())
    run(data)
    (folder / "run.json").write_text(dumps(data))
    path = folder / "samples/echo.jsonl"
    rows = [json.loads(line) | row for line in path.read_text().splitlines()]
    path.write_text("".join(dumps(one) + "\n" for one in rows))
    return folder


def odd_record(data: JsonObject) -> None:
    """Such text wherever a record holds free text or free JSON."""
    data |= {"identity": ODD, "warnings": [ODD], "not_run": {ODD: ODD}}
    data["olmes"] |= {"version": ODD, "git_commit": ODD}
    data["environment"] |= {"python": ODD, "platform": ODD, "packages": {ODD: ODD}}
    data["environment"]["hardware"]["cpu"] = ODD
    data["model"] |= {
        "written": ODD, "commit": ODD, "adapter": ODD, "engine": {ODD: [ODD]}, "parts": {ODD: ODD},
        "lineage": [{"base": ODD}],
    }  # fmt: skip
    task = data["tasks"]["echo"]
    task["formulation"][ODD] = ODD
    task |= {"settings": {ODD: ODD}, "shared_messages": [{"role": "user", "content": ODD}]}
    task["data"] |= {"location": ODD, "notes": [ODD]}
    task["metrics"]["exact_match"]["help"] = ODD
    task["reasons"] = {"failed": [{"count": 0, "text": ODD}]}


ODD_ROW: JsonObject = {
    "note": ODD, "gold": [ODD, {ODD: ODD}], "extracted": ODD, "prompt": ODD, "prefill": ODD,
    "messages": [{"role": "user", "content": ODD}], "continuations": [ODD], "flags": [ODD],
    "response": {"text": ODD, "reasoning": ODD, "error": ODD}, "prompt_hash": ODD,
    "judgements": [{"text": ODD, "messages": [{"role": "user", "content": ODD}]}],
    "parts": [{"id": ODD, "strict": True, "loose": True, "note": ODD}], "added": {ODD: ODD},
}  # fmt: skip


def all_answer(url: str, *places: str) -> None:
    """Every page that shows many runs, and some more, answer."""
    for place in (*PAGES, *places):
        answer = requests.get(url + place, timeout=120)
        assert answer.status_code == 200, (place, answer.text[:300])
        answer.content.decode("utf-8")


def test_texts_of_any_kind_are_kept_and_served(
    server: Running, copy_run: Callable[..., Path]
) -> None:
    client = Client(server.url, patience=5)
    plain, odd = copy_run("even"), change(copy_run("odd"), odd_record, ODD_ROW)
    for folder in (plain, odd):
        client.push(folder)
    rows = [json.loads(line) for line in (odd / "samples/echo.jsonl").read_text().splitlines()]
    assert rows[0]["response"]["text"] == ODD
    assert list(client.samples("odd", "echo")) == rows
    assert list(client.samples("odd", "echo", q="whole")) == rows
    assert client.run("odd")["record"] == json.loads((odd / "run.json").read_text())
    asked = "?a=even&b=odd&force=true"
    all_answer(
        server.url, "/runs/odd/report.html", "/api/v1/runs/odd", "/api/v1/runs/odd/run.json",
        "/api/v1/runs/odd/tasks/echo/samples", "/api/v1/runs/odd/tasks/echo/samples/3",
        f"/compare.html{asked}", f"/api/v1/compare{asked}",
    )  # fmt: skip


@pytest.mark.parametrize("letter", ["\ud83d", "\x00"])
@pytest.mark.parametrize(
    ("place", "field"),
    [
        ((), "id"),
        (("model",), "model.name"),
        (("model",), "model.family"),
        (("model",), "model.fingerprint"),
        (("tasks", "echo"), "tasks.echo.title"),
        (("tasks", "echo"), "tasks.echo.primary"),
        (("tasks", "echo"), "tasks.echo.samples"),
        (("tasks", "echo", "data"), "tasks.echo.data.origin"),
        (("tasks", "echo", "metrics", "exact_match"), "tasks.echo.metrics.exact_match.unit"),
        ((), "created"),
    ],
)
def test_a_name_with_half_a_character_is_refused_with_its_field(
    real_run: Path, place: tuple[str, ...], field: str, letter: str
) -> None:
    data = json.loads((real_run / "run.json").read_text())
    parent = data
    for key in place:
        parent = parent[key]
    key = field.rpartition(".")[2]
    parent[key] = f"{parent.get(key) or ''}{letter}"
    with pytest.raises(RefusedError) as refused:
        checked_record(data)
    assert refused.value.field == field
    refused.value.message.encode("utf-8")


@pytest.mark.parametrize("kind", ["tasks", "metrics"])
def test_a_key_that_is_a_name_is_refused(real_run: Path, kind: str) -> None:
    data = json.loads((real_run / "run.json").read_text())
    parent = data if kind == "tasks" else data["tasks"]["echo"]
    parent[kind]["x\ud83d"] = next(iter(parent[kind].values()))
    with pytest.raises(RefusedError) as refused:
        checked_record(data)
    assert kind in refused.value.field


@pytest.fixture
def odd_look(bench: Path, tmp_path: Path) -> Path:
    """A look at held-out tasks whose reason a shell of Latin-1 gave."""
    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{ECHO}"]\nheld_out = true\n', "utf-8")
    record = evaluate(
        str(suite), model=f"replay:{bench / 'recording.jsonl'}", data=bench, scoring_processes=1,
        out=tmp_path / "runs", look="caf\udce9 final",
    )  # fmt: skip
    return record.folder


def test_a_reason_of_any_bytes_is_kept_shown_and_read_back(server: Running, odd_look: Path) -> None:
    client = Client(server.url, patience=5)
    client.push(odd_look)
    unseal(odd_look, "encore \udce9\x00")
    client.push(odd_look)
    reasons = [
        line["reason"]
        for line in client.ledger()
        if line["run"] == odd_look.name and "reason" in line
    ]
    assert reasons == ["caf\udce9 final", "encore \udce9\x00"]
    assert r"caf\udce9 final" in requests.get(f"{server.url}/ledger.html", timeout=60).text
    assert len(list(client.samples(odd_look.name, "echo"))) == 12
    all_answer(server.url, f"/runs/{odd_look.name}/report.html")


def test_lines_that_an_older_server_took_are_still_read(
    launch: Callable[..., Running], tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    ledger = Ledger(tmp_path / "other")
    ledger.append(
        "run", "old\udce9", {"reason": "caf\udce9", "who": "\ud83d@host", "family": "\x00"}
    )
    database = Database(store)
    database.migrate("0005")
    with database.writing() as connection:
        for entry in ledger.entries():
            columns = {key: entry[key] for key in ("number", "hash", "event", "time")}
            values = columns | {"chain": entry["hash"], "entry": dumps(entry), "run": "old"}
            connection.execute(insert(schema.ledger.table), values)
    database.close()
    server = launch(store)
    assert Client(server.url).ledger() == ledger.entries()
    assert r"caf\udce9" in requests.get(f"{server.url}/ledger.html", timeout=60).text


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"run": "half\ud83d"}, "run"),
        ({"run": "x" * 201}, "run"),
        ({"event": "e" * 41}, "event"),
        ({"event": ""}, "event"),
        ({"time": "0000-00-00T00:00:00Z"}, "time"),
        ({"time": "yesterday"}, "time"),
        ({"looks_before": 10**400}, "looks_before"),
        ({"looks_before": "many"}, "looks_before"),
        ({"limit": -1}, "limit"),
        ({"dev": {"value": 1e60}}, "dev"),
        ({"lineage": [{"step": float("inf")}]}, "lineage.0.step"),
        ({"reason": {"a": 1}}, "reason"),
        ({"tasks": "echo"}, "tasks"),
    ],
)
def test_a_line_of_a_ledger_that_cannot_be_kept_is_refused(
    tmp_path: Path, facts: JsonObject, field: str
) -> None:
    ledger = Ledger(tmp_path)
    ledger.append("run", "fine", {"reason": "\ud83d fine"})
    ledger.append("run", "odd", facts)
    with pytest.raises(RefusedError) as refused:
        read_ledger(ledger.path)
    assert refused.value.field.startswith(f"ledger.jsonl, line 2: {field}")
    assert refused.value.status == 422


DEEP = "[" * 5000 + "]" * 5000


def test_deep_json_is_refused_wherever_it_enters(
    server: Running, copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    client = Client(server.url, patience=1)
    in_record, in_row = copy_run("deep-record"), copy_run("deep-row")
    data = (in_record / "run.json").read_text()
    (in_record / "run.json").write_text(
        data.replace('"warnings": [', f'"x": {DEEP}, "warnings": [', 1)
    )
    with pytest.raises(OlmesError, match="nested deeper than 60 levels"):
        Record.load(in_record)
    path = in_row / "samples/echo.jsonl"
    path.write_text(path.read_text().replace('"note": ""', f'"note": "", "x": {DEEP}', 1))
    with pytest.raises(AnswerError, match="nested deeper") as refused:
        client.push(in_row)
    assert refused.value.field == "samples/echo.jsonl, line 1"
    with pytest.raises(OlmesError, match="line 1: not JSON"):
        list(Record.load(in_row).samples("echo"))
    (tmp_path / "ledger.jsonl").write_text(f'{{"x": {DEEP}}}\n')
    answer = ServerSession("").post(
        f"{server.url}/api/v1/ledger", data=(tmp_path / "ledger.jsonl").read_bytes(), timeout=60
    )
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "ledger.jsonl")
    for place in ("progress", "uploads"):
        answer = ServerSession("").post(
            f"{server.url}/api/v1/{place}",
            data=DEEP * 20,
            headers={"content-type": "application/json"},
            timeout=60,
        )
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "body")


def test_a_report_of_progress_takes_names_alone(server: Running) -> None:
    for field, value in (
        ("run", "a\ud83d"), ("model", "\ud83d"), ("suite", "\x00"), ("task", "\ud83d"), ("run", ".."),
        ("model", "\x00"), ("suite", "\udce9"), ("other\ud83d", 1),
    ):  # fmt: skip
        body: Any = {"run": "x", "done": 1, "total": 2} | {field: value}
        answer = ServerSession("").post(f"{server.url}/api/v1/progress", json=body, timeout=30)
        assert answer.status_code == 422, field
        assert answer.json()["error"]["field"] in (field, "body")
    all_answer(server.url)


def test_every_route_of_the_api_answers_with_any_text() -> None:
    """A router that forgets it would serve such a text as a fault of the server."""
    modules = [
        importlib.import_module(f"olmes.server.routes.{one.name}")
        for one in pkgutil.iter_modules(routes.__path__)
    ]
    routers = [module.router for module in modules if hasattr(module, "router")]
    assert len(routers) >= 6
    for router in routers:
        assert router.route_class is JsonRoute or not router.include_in_schema
