"""What the server does not take: mutated records, tricks with paths, bombs."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from olmes.client.client import AnswerError, Client, files_of
from olmes.client.types import Manifest, RunSummary
from olmes.server.intake.checks import checked_record
from olmes.server.intake.run_files import take_in
from olmes.server.refusals import RefusedError
from olmes.server.settings import Limits, Settings
from olmes.tools.hashing import file_sha256, sha256
from olmes.types import JsonObject

if TYPE_CHECKING:
    from tests.olmes.server.conftest import Running

ECHO = "tasks.echo.metrics.exact_match"


def echo(data: JsonObject) -> JsonObject:
    """The number of the echo task."""
    found: JsonObject = data["tasks"]["echo"]["metrics"]["exact_match"]
    return found


FREE = {
    "environment",
    "timing",
    "cost",
    "olmes",
    "warnings",
    "not_run",
    "settings",
    "formulation",
    "engine",
}
"""Parts whose content nobody relies on: what may stand in them is only JSON."""
NAMES = ("name", "title", "primary", "id", "created", "fingerprint", "family", "samples", "unit")
SURROGATES = ("\ud83d", "\udce9", "\udfff", "\ude00\ud83d")
ODD_IDS = (".", "../", "a/", "é", " ", "-", "\u202e", "x" * 130, "a\n", "C:\\", "%2e", "\ud83d")
INFINITE = "@infinite@"
"""Stands for a number that JSON can write and Python's writer does not."""
MAPS = ("tasks", "metrics", "subtasks", "counts", "tokens", "flags", "lost_by", "parts")
OPTIONAL = {
    "reasons", "repeats", "written", "commit", "adapter", "reasoning_tokens",
    "held_out", "not_run", "help", "honest", "higher_is_better", "notes", "missing", "pairs",
    "diagnosis", "judge", "parts", "family", "step", "lineage", "location", "items_hash", "mean",
}  # fmt: skip


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every field of a record that has a meaning of its own."""
    found = [path] if path else []
    if isinstance(value, dict) and not (path and path[-1] in FREE):
        for key, item in value.items():
            found += places_of(item, (*path, key))
    return found


KINDS = (
    "remove", "type", "negative", "nan", "nul", "deep", "huge", "surrogate", "odd", "infinite",
)  # fmt: skip


def mutate(data: dict[str, Any], chance: random.Random) -> tuple[str, str]:
    """Break one field, and say which and how."""
    while True:
        path = chance.choice(places_of(data))
        parent: Any = data
        for part in path[:-1]:
            parent = parent[part]
        key, old = path[-1], parent[path[-1]]
        how = chance.choice(KINDS)
        if how == "remove" and key not in OPTIONAL and key not in FREE:
            # A task, a metric or a sub-task may be left out; a field may not.
            if path[:-1] and path[-2] in MAPS:
                continue
            del parent[key]
        elif choices := wrong_values(key, old, how):
            parent[key] = chance.choice(choices)
        else:
            continue
        return ".".join(map(str, path)), how


def wrong_values(key: str, old: Any, how: str) -> list[Any]:
    """What a field must not be, of one kind; none where the kind does not fit the field."""
    if how == "type" and old is not None:
        wrong = [{"x": 1}, {"value": old}, [1], [old], "words", "7", 3.5, True]
        return [one for one in wrong if not isinstance(one, type(old))]
    if how == "deep":
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        return [deep]
    if key in NAMES:
        numbered = [f"{one}{number}" for one in ODD_IDS for number in range(100)]
        named: dict[str, list[Any]] = {
            "nul": [f"{old}\x00"],
            "surrogate": [f"{old}{one}" for one in SURROGATES],
            "odd": numbered if key == "id" else [],
        }
        return named.get(how, [])
    if type(old) not in (int, float):
        return []
    wrong_numbers: dict[str, list[Any]] = {
        "negative": [-1 - abs(old)] if isinstance(old, int) else [],
        "nan": [float("nan")] if isinstance(old, float) else [],
        "huge": [sign * 10**digits for sign in (-1, 1) for digits in (60, 400)],
        "infinite": [INFINITE],
    }
    return wrong_numbers.get(how, [])


def mutations(
    records: Sequence[Path], target: Path, count: int, seed: int = 0
) -> Iterator[tuple[dict[str, Path], str, str]]:
    """Runs with one field of run.json broken, no two alike: their files, the field, and how."""
    chance = random.Random(seed)
    originals = [json.loads((record / "run.json").read_text()) for record in records]
    seen = {json.dumps(original) for original in originals}
    for number in range(count):
        record = records[number % len(records)]
        text = next(iter(seen))
        while text in seen:
            data = copy.deepcopy(originals[number % len(records)])
            path, how = mutate(data, chance)
            text = json.dumps(data).replace(f'"{INFINITE}"', "1e999")
        seen.add(text)
        target.write_text(text)
        yield files_of(record) | {"run.json": target}, path, how


def names_it(field: str, message: str, path: str, how: str) -> bool:
    """Whether a refusal names the broken field (or, for JSON that none may hold, the file)."""
    if how in ("nan", "deep"):
        return field == "run.json" and bool(message)
    # A field of another meaning can be named where two no longer fit together.
    last = path.split(".")[-1]
    return bool(field) and (field.startswith(path) or path.startswith(field) or last in message)


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_records_are_refused_with_the_field(
    real_run: Path, sealed_run: Path, tmp_path: Path, count: int
) -> None:
    settings = Settings(store=str(tmp_path / "store"))
    for files, path, how in mutations([real_run, sealed_run], tmp_path / "run.json", count):
        hashes = {name: file_sha256(file) for name, file in files.items()}
        print(f"{path} {how}")  # shown when it is taken
        with pytest.raises(RefusedError) as refused:
            take_in(settings, files, hashes)
        assert 400 <= refused.value.status < 500
        said = refused.value.message
        assert names_it(refused.value.field, said, path, how), (path, how, said)


def upload(client: Client, files: dict[str, Path]) -> tuple[RunSummary, bool]:
    """Upload files as they are, without what the client checks."""
    manifest: Manifest = {
        "files": [
            {"name": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
            for name, path in files.items()
        ],
        "replace": False,
    }
    return client._upload(manifest, list(files.values()))


@pytest.mark.parametrize("count", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_server_refuses_them_over_the_wire(
    server: Running, real_run: Path, sealed_run: Path, tmp_path: Path, count: int
) -> None:
    client = Client(server.url, patience=1)
    before = {run["id"] for run in client.runs()}
    broken = mutations([real_run, sealed_run], tmp_path / "run.json", count, seed=5000)
    for files, path, how in broken:
        with pytest.raises(AnswerError) as refused:
            upload(client, files)
        assert 400 <= refused.value.status < 500, (path, how)
        assert names_it(refused.value.field, str(refused.value), path, how), (path, how)
    assert {run["id"] for run in client.runs()} == before
    assert not list((server.work / "staging").iterdir())


def broken_in(real_run: Path, change: Callable[[JsonObject], object]) -> RefusedError:
    """What is said of the real run after a change to its record."""
    data = json.loads((real_run / "run.json").read_text("utf-8"))
    change(data)
    with pytest.raises(RefusedError) as refused:
        checked_record(data)
    return refused.value


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        (lambda data: data.update(schema=3), "schema", "update the server"),
        (lambda data: echo(data).update(value=float("inf")), f"{ECHO}.value", "is not finite"),
        (lambda data: echo(data).update(value=10**400), f"{ECHO}.value", ""),
        (lambda data: echo(data).update(stderr=-0.1), f"{ECHO}.stderr", "is negative"),
        (lambda data: echo(data).update(ci_low=0.9, ci_high=0.1), f"{ECHO}.ci_low", "lies above"),
        (lambda data: echo(data).update(n=0), f"{ECHO}.n", "is 0 although there is a value"),
        (lambda data: echo(data).update(unit="inch"), f"{ECHO}.unit", ""),
        (lambda data: data["timing"].update(total_s=-1.0), "timing.total_s", "0 or more"),
        (lambda data: data["cost"].update(wall_s=-1.0), "cost.wall_s", "0 or more"),
        (lambda data: data["model"].update(step=float("nan")), "model.step", "finite"),
        (lambda data: data["model"].update(name="x" * 501), "model.name", "longer than 500"),
        (lambda data: data.update(created="2026-11-29T00:00:00Z\n"), "created", "line end"),
        (lambda data: data["tasks"].update({"../x": data["tasks"]["echo"]}), "tasks.../x", "name"),
        (lambda data: data.update(limit=0), "limit", "between 1"),
        (lambda data: data["tasks"]["echo"].update(primary="\ud800"), "tasks.echo.primary", "(?)"),
        (lambda data: data["model"].update(name="\ud800"), "model.name", "lone surrogate"),
    ],
)
def test_what_no_type_says_is_refused_with_the_field(
    real_run: Path, change: Callable[[JsonObject], object], field: str, why: str
) -> None:
    refused = broken_in(real_run, change)
    assert refused.field == field
    assert f"run.json: {field}: " in refused.message
    assert why in refused.message


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"doc_id": 3', '"doc_id": "3"', "doc_id"),
        ('"doc_id": 3', '"doc_id": 1e999', "line 4"),
        ('"values": {', '"values": 3, "x": {', "values"),
        ('"exact_match": 1.0', '"exact_match": "1"', "values.exact_match"),
        ('"flags": [', '"flags": ["a"], "flags": [3', "flags"),
        ('{"doc_id": 3', '["doc_id", 3', "line 4"),
        ('"response": {', '"response": 3, "x": {', "response"),
        ('"role": "user"', '"role": 3', "messages"),
    ],
)
def test_broken_rows_are_refused_with_file_line_and_field(
    copy_run: Callable[..., Path], tmp_path: Path, old: str, new: str, field: str
) -> None:
    folder = copy_run("rows")
    path = folder / "samples/echo.jsonl"
    lines = path.read_text().splitlines()
    assert old in lines[3]
    lines[3] = lines[3].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n")
    files = files_of(folder)
    with pytest.raises(RefusedError) as refused:
        take_in(
            Settings(store=str(tmp_path / "store")),
            files,
            {name: file_sha256(file) for name, file in files.items()},
        )
    assert "samples/echo.jsonl, line 4" in refused.value.message
    assert field in refused.value.message


@pytest.mark.parametrize(
    "name",
    [
        "../run.json", "/etc/passwd", "samples/../../x.jsonl", "samples/..jsonl", "samples/.jsonl",
        "samples/a/b.jsonl", "samples/a\\..\\b.jsonl", "samples/echo.jsonl\n", "samples/\u202e.jsonl",
        "samples/a\x00.jsonl", "sealed/../x.jsonl.gz", "report.html", "", "samples/....jsonl",
        "SAMPLES/echo.jsonl", "samples/C:.jsonl/..", "samples/echo.jsonl/", "./run.json",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(server: Running, name: str) -> None:
    client = Client(server.url, patience=1)
    digest = "0" * 64
    files = [{"name": n, "size": 1, "sha256": digest} for n in ("run.json", name)]
    with pytest.raises(AnswerError) as refused:
        client._call("POST", "/uploads", json={"files": files})
    assert refused.value.status == 422
    assert refused.value.field == "files.1.name"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/runs/../../x",
        "/runs/..%2f..%2fetc/report.html", "/api/v1/runs/..%2f..", "/runs/%00/report.html",
        "/api/v1/runs/a/tasks/..%2f..%2fx/samples",
    ],
)  # fmt: skip
def test_addresses_that_lead_elsewhere_are_refused(server: Running, path: str) -> None:
    request = requests.Request("GET", server.url).prepare()
    request.url = server.url + path
    answer = requests.Session().send(request, timeout=30)
    assert answer.status_code in (404, 422)
    assert "import" not in answer.text


def test_a_record_that_names_another_place_is_refused(
    copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    for where in ("../../secret", "/etc/passwd", "samples/other.jsonl"):
        folder = copy_run("elsewhere")
        data = json.loads((folder / "run.json").read_text())
        data["tasks"]["echo"]["samples"] = where
        (folder / "run.json").write_text(json.dumps(data))
        files = files_of(folder)
        with pytest.raises(RefusedError, match="must be samples/echo.jsonl"):
            take_in(Settings(store=str(tmp_path / "s")), files, hashes_of(files))


def hashes_of(files: dict[str, Path]) -> dict[str, str]:
    return {name: file_sha256(file) for name, file in files.items()}


def test_links_are_not_followed_by_the_client(copy_run: Callable[..., Path]) -> None:
    from olmes import OlmesError

    folder = copy_run("linked")
    path = folder / "samples/echo.jsonl"
    path.rename(folder / "elsewhere.jsonl")
    path.symlink_to(folder / "elsewhere.jsonl")
    with pytest.raises(OlmesError, match="missing or a link"):
        Client("http://127.0.0.1:9").push(folder)


def test_what_is_sealed_is_taken_only_sealed(
    server: Running, sealed_run: Path, tmp_path: Path
) -> None:
    client = Client(server.url, patience=1)
    files = files_of(sealed_run)
    opened = tmp_path / "echo.jsonl"
    opened.write_bytes(gzip.decompress(files["sealed/echo.jsonl.gz"].read_bytes()))
    with pytest.raises(AnswerError, match=r"samples/echo.jsonl is under seal"):
        upload(client, files | {"samples/echo.jsonl": opened})
    without = {name: path for name, path in files.items() if name != "ledger.jsonl"}
    with pytest.raises(AnswerError, match=r"ledger.jsonl is missing"):
        upload(client, without)
    # The record says nothing of a look any more: its hash is not the one in the ledger.
    data = json.loads(files["run.json"].read_text())
    data["model"]["name"] = "another"
    changed = tmp_path / "run.json"
    changed.write_text(json.dumps(data))
    with pytest.raises(AnswerError, match=r"run.json was changed after it was written"):
        upload(client, files | {"run.json": changed})
    lines = files["ledger.jsonl"].read_text().splitlines()
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(lines[0].replace("final", "finer") + "\n" + lines[1] + "\n")
    with pytest.raises(AnswerError, match="line 1 was changed"):
        upload(client, files | {"ledger.jsonl": ledger})
    torn = tmp_path / "torn.gz"
    torn.write_bytes(files["sealed/echo.jsonl.gz"].read_bytes()[:-9])
    with pytest.raises(AnswerError, match="was changed after it was written"):
        upload(client, files | {"sealed/echo.jsonl.gz": torn})


def test_an_unseal_entry_of_another_ledger_opens_nothing(
    server: Running, sealed_run: Path, tmp_path: Path
) -> None:
    from olmes.seal.ledger import Ledger

    client = Client(server.url, patience=1)
    name = client.push(sealed_run).id
    other = Ledger(tmp_path / "other")
    other.append("unseal", name, {"reason": "curious"})
    answer = client._call("POST", "/ledger", data=other.path.read_bytes())
    assert answer["opened"] == []
    with pytest.raises(AnswerError, match="under seal"):
        list(client.samples(name, "echo"))
    # A ledger that was rewritten from some line on is not taken.
    own = Ledger(sealed_run.parent)
    first = own.path.read_text().splitlines(keepends=True)[0]
    forged = Ledger(tmp_path / "forged")
    forged.path.parent.mkdir()
    forged.path.write_text(first)
    number, digest = (json.loads(first)[key] for key in ("number", "hash"))
    forged.head.write_text(json.dumps({"number": number, "hash": digest}))
    forged.append("unseal", name, {"reason": "curious"})
    with pytest.raises(AnswerError, match="one of the two was rewritten"):
        client._call("POST", "/ledger", data=forged.path.read_bytes())


def test_a_held_out_task_without_its_seal_is_refused(
    copy_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = copy_run("agi")
    data = json.loads((folder / "run.json").read_text())
    task = data["tasks"].pop("echo")
    data["tasks"]["agieval"] = task | {"samples": "samples/agieval.jsonl"}
    (folder / "run.json").write_text(json.dumps(data))
    (folder / "samples/echo.jsonl").rename(folder / "samples/agieval.jsonl")
    files = files_of(folder)
    with pytest.raises(RefusedError, match="held out by the suite unseen"):
        take_in(Settings(store=str(tmp_path / "s")), files, hashes_of(files))


def test_a_bomb_under_seal_is_given_up(tmp_path: Path) -> None:
    from olmes.server.intake.run_files import open_sealed
    from olmes.server.store.artifacts import Artifacts

    settings = Settings(store=str(tmp_path / "s"), limits=Limits(file=1 << 20))
    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb") as stream:
        for _ in range(64):
            stream.write(b"x" * (1 << 20))
    assert bomb.stat().st_size < 1 << 20
    for content in (bomb.read_bytes(), gzip.compress(b"{}\n" * (1 << 20)), b"\x1f\x8bno gzip"):
        bomb.write_bytes(content)
        name = f"{sha256(content)}.jsonl.gz"
        Artifacts(settings.artifacts_place).copy_in(bomb, name)
        with pytest.raises(RefusedError):
            open_sealed(settings, name, "exact_match")


def test_sizes_are_limited(server: Running, copy_run: Callable[..., Path]) -> None:
    client = Client(server.url, patience=1)
    big = {"name": "run.json", "size": 1 << 40, "sha256": "0" * 64}
    with pytest.raises(AnswerError, match="larger than") as refused:
        client._call("POST", "/uploads", json={"files": [big]})
    assert refused.value.status == 413
    small = {"name": "run.json", "size": 4, "sha256": "1" * 64}
    begun = client._call("POST", "/uploads", json={"files": [small]})
    place = f"/uploads/{begun['upload']}/files/0"
    with pytest.raises(AnswerError, match="said to have 4 bytes"):
        client._call("PUT", place, params={"offset": 0}, data=b"x" * (1 << 20))
    answer = requests.post(f"{server.url}/api/v1/progress", data=b" " * (2 << 20), timeout=30)
    assert answer.status_code == 413
    client._call("DELETE", f"/uploads/{begun['upload']}")
    assert not list((server.work / "staging").iterdir())
