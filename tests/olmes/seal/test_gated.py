"""Gated items: nothing of them stands in plain text in anything that is written, printed or served."""

from __future__ import annotations

import base64
import csv
import gzip
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from olmes import OlmesError, Record, evaluate, load
from olmes.benchmark.registry import load_task
from olmes.cli import olmes as group
from olmes.records.record import RUN_FILE
from olmes.seal.sealing import unseal
from tests.olmes.models.files.faulty_server import FaultyServer

TASK = Path(__file__).parents[1] / "files/gated_task.py"
N = 6
# Words that occur nowhere but in the items and in the responses to them.
SECRETS = ("quorblax", "zimmerdrole", "Fenchwattle")
QUESTION = "Which quorblax of kind {} would a zimmerdrole keep, and in which of its many burrows?"
ANSWER = "Fenchwattle {}"


@dataclass
class Bench:
    """A gated task, its data and a recording, in a folder of their own."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "data/closed").mkdir(parents=True)
        with (self.folder / "data/closed/test.csv").open("w", newline="", encoding="utf-8") as out:
            rows = csv.writer(out)
            rows.writerow(["question", "answer"])
            rows.writerows([QUESTION.format(n), ANSWER.format(n)] for n in range(N))
        self.record("a", [f"The zimmerdrole keeps {ANSWER.format(n)}" for n in range(N)])
        self.record("b", ["break", *(f"{SECRETS[0]} {n}" for n in range(1, N))])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def record(self, name: str, responses: list[str]) -> None:
        rows = [{"doc_id": n, "response": text} for n, text in enumerate(responses)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / f"{name}.jsonl").write_text(lines, "utf-8")

    def run(self, name: str = "a", task: Path | str = TASK, **options: Any) -> Record:
        return evaluate(
            str(task), model=f"replay:{self.folder / name}.jsonl", data=self.data, out=self.runs,
            scoring_processes=1, **options,
        )  # fmt: skip

    def olmes(self, *arguments: object) -> Result:
        result = CliRunner().invoke(
            group, [str(one) for one in arguments], standalone_mode=False, catch_exceptions=False
        )
        hold(result.output)
        return result


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "written/cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    (tmp_path / "written").mkdir()
    monkeypatch.chdir(tmp_path / "written")
    return Bench(tmp_path / "bench")


def hold(text: str) -> None:
    """None of the secrets is in a text."""
    assert [secret for secret in SECRETS if secret.lower() in text.lower()] == []


def in_plain(path: Path) -> str:
    """What somebody finds in a file without meaning to; of a page what its browser shows too."""
    raw = path.read_bytes()
    text = raw.decode("utf-8", "replace")
    if path.suffix == ".html":
        blobs = re.findall(r'<script type="text/plain" id="blob-\d+">([^<]*)</script>', text)
        unpacked = [gzip.decompress(base64.b64decode(blob)).decode("utf-8") for blob in blobs]
        text = "\n".join([html.unescape(text), *unpacked])
    if path.suffix == ".parquet":
        import pandas as pd

        text = pd.read_parquet(path).to_json()
    return text


def written(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file())


def hold_files(*folders: Path) -> None:
    for path in written(*folders):
        found = [secret for secret in SECRETS if secret.lower() in in_plain(path).lower()]
        assert not found, f"{path} holds {found}"


def open_task(folder: Path) -> Path:
    """The same task on data that are not gated: its files hold what is searched for."""
    place = folder / "open_task.py"
    place.write_text(TASK.read_text("utf-8").replace("gated=True", "gated=False"), "utf-8")
    return place


def test_nothing_of_an_item_is_in_what_a_run_and_its_reports_leave(
    bench: Bench, tmp_path: Path
) -> None:
    record, other = bench.run("a"), bench.run("b")
    assert record.value("closed") == 1.0
    assert other.tasks["closed"].counts["crashed"] == 1
    assert record.run.held_out is None
    assert list(record.run.gated) == ["closed"]
    assert record.run.gated["closed"].rows == N
    pages = [
        ("report", record.folder),
        ("report", other.folder),
        *(("report", bench.runs, "-o", f"board.{form}") for form in ("html", "md", "csv", "tex")),
        *(("report", bench.runs, "-o", f"board.{form}") for form in ("parquet", "json")),
        ("compare", record.folder, other.folder, "-o", "compare.html"),
        ("compare", record.folder, other.folder, "--json"),
    ]
    for page in pages:
        bench.olmes(*page)
    hold(load(bench.runs).to_json())
    assert load(bench.runs, samples=True).empty
    hold_files(bench.runs, tmp_path / "written")
    # The rows are all there, for whoever unpacks them.
    with gzip.open(record.folder / record.run.gated["closed"].file, "rt") as stream:
        rows = [json.loads(line) for line in stream]
    assert len(rows) == N
    assert SECRETS[0] in rows[0]["messages"][0]["content"]


def test_the_same_search_finds_what_is_not_gated(bench: Bench, tmp_path: Path) -> None:
    record = bench.run(task=open_task(tmp_path))
    CliRunner().invoke(group, ["report", str(record.folder)])
    for path in (record.samples_path("closed"), record.folder / "report.html"):
        assert all(secret.lower() in in_plain(path).lower() for secret in SECRETS), path


def test_the_journal_of_a_run_that_was_stopped_is_packed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from olmes.runs import run as running

    def stopped(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "write_record", stopped)
        with pytest.raises(KeyboardInterrupt):
            bench.run()
    [journal] = [path for path in written(bench.runs) if "journal" in path.name]
    assert journal.stat().st_size > 0
    hold_files(bench.runs)
    assert bench.run().value("closed") == 1.0


@pytest.mark.parametrize("gated", [True, False])
def test_the_response_cache_is_packed(bench: Bench, tmp_path: Path, gated: bool) -> None:
    server = FaultyServer()  # answers with the last word of the question
    try:
        task = TASK if gated else open_task(tmp_path)
        record = evaluate(
            str(task), model=f"openai:m@{server.url.removesuffix('/v1')}", data=bench.data,
            out=bench.runs, scoring_processes=1,
        )  # fmt: skip
    finally:
        server.close()
    assert record.tasks["closed"].n == len(server.asked) == N
    caches = [path for path in written(tmp_path / "written/cache") if path.stat().st_size]
    assert caches
    # The last word of every question, which is no word of an item's record.
    holds = [path for path in caches if '"burrows?"' in in_plain(path)]
    assert bool(holds) == (not gated)


def test_demo_items_are_the_projects_own(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "with_demo/closed_task.py"
    (place.parent / "demo").mkdir(parents=True)
    place.write_text(TASK.read_text("utf-8"), "utf-8")
    rows = [{"row": n, "question": f"Say {n}?", "answer": str(n)} for n in range(N)]
    demo = place.parent / "demo/closed.jsonl"
    demo.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    record = evaluate(
        str(place), model=f"replay:{bench.folder / 'a.jsonl'}", out=bench.runs, scoring_processes=1
    )
    assert not record.run.gated
    assert len(list(record.samples("closed"))) == N


def test_an_alias_is_gated_too(bench: Bench) -> None:
    assert load_task(str(TASK)).alias("shut").source.gated


@pytest.mark.parametrize("read", ["samples", "verdicts"])
def test_samples_are_read_by_nobody(bench: Bench, read: str) -> None:
    record = bench.run()
    with pytest.raises(OlmesError, match=r"gated items and stay packed; `gunzip -c .*closed"):
        list(getattr(record, read)("closed"))
    with pytest.raises(OlmesError, match="gated items and stay packed"):
        unseal(record.folder, "to see")
    assert not record.samples_path("closed").exists()


def test_under_seal_too_they_stay_packed_when_others_are_opened(
    bench: Bench, tmp_path: Path
) -> None:
    opened = open_task(tmp_path)
    opened.write_text(opened.read_text("utf-8").replace('"closed"', '"opened"'), "utf-8")
    suite = tmp_path / "exam.toml"
    suite.write_text(f'tasks = ["{TASK}", "{opened}"]\nheld_out = true\n', "utf-8")
    rows = [
        {"task": task, "doc_id": n, "response": f"{SECRETS[2]} {n}"}
        for task in ("closed", "opened")
        for n in range(N)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (bench.folder / "both.jsonl").write_text(lines, "utf-8")
    record = bench.run("both", suite, look="final")
    assert set(record.run.sealed) == {"closed", "opened"}
    hold_files(bench.runs)
    assert unseal(record.folder, "to see") == [record.samples_path("opened")]
    assert record.sealed("closed")
    assert not record.sealed("opened")
    bench_page = record.folder / "report.html"
    CliRunner().invoke(group, ["report", str(record.folder)])
    assert SECRETS[2] in in_plain(bench_page)  # of the opened task
    rows_of_page = in_plain(bench_page)
    assert "stay packed in the run's folder" in rows_of_page


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--docs", "0,3"), ("--json", "-n", "2")])
def test_show_prints_ids_and_no_texts_unless_it_is_told_to(
    bench: Bench, arguments: tuple[str, ...]
) -> None:
    given = ["show", str(TASK), "--data", str(bench.data), *arguments]
    assert ("doc_id" if "--json" in arguments else "closed/0") in bench.olmes(*given).output
    shown = CliRunner().invoke(group, [*given, "--texts"], standalone_mode=False)
    assert SECRETS[0] in shown.output


def test_check_counts_and_quotes_no_item(bench: Bench, tmp_path: Path) -> None:
    broken = tmp_path / "broken_task.py"
    source = TASK.read_text("utf-8")
    broken.write_text(source.replace('response.text == "break"', "len(response.text) > 3"), "utf-8")
    for task, status in ((TASK, 0), (broken, 1)):
        for more in ((), ("--json",)):
            given = ["check", task, "--data", bench.data, "--scoring-processes", 1, *more]
            assert bench.olmes(*given).return_value == status
    told = CliRunner().invoke(group, ["check", str(TASK), "--data", str(bench.data), "--texts"])
    assert SECRETS[0] in told.output


@pytest.mark.parametrize("inline", [False, True])
def test_score_writes_verdicts_without_texts(bench: Bench, inline: bool) -> None:
    rows = [json.loads(line) for line in (bench.folder / "b.jsonl").open()]
    rows.append({"doc_id": 0, "repeat": 1, "response": "B"})
    if inline:
        # Without the row, which no file has: `doc_id` says it.
        docs = [{"question": QUESTION.format(n), "answer": ANSWER.format(n)} for n in range(N)]
        rows = [{**row, "doc": docs[row["doc_id"]]} for row in rows]
    (bench.folder / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    given = ["score", bench.folder / "b.jsonl", "--task", TASK, "--scoring-processes", "1"]
    given += [] if inline else ["--data", bench.data]
    assert bench.olmes(*given, "--verdicts", "v.jsonl").return_value == 1  # one of them breaks it
    hold(Path("v.jsonl").read_text("utf-8"))
    verdicts = list(map(json.loads, Path("v.jsonl").read_text("utf-8").splitlines()))
    assert len(verdicts) == N + 1
    assert verdicts[-1]["extracted"] == "B"
    assert verdicts[1]["values"] == {"contains": 0.0, "contains_lenient": 0.0}
    CliRunner().invoke(group, [str(one) for one in [*given, "--verdicts", "t.jsonl", "--texts"]])
    assert SECRETS[0] in Path("t.jsonl").read_text("utf-8")


def test_records_without_the_field_are_read(bench: Bench, tmp_path: Path) -> None:
    record = bench.run(task=open_task(tmp_path))
    data = json.loads((record.folder / RUN_FILE).read_text("utf-8"))
    del data["gated"]
    (record.folder / RUN_FILE).write_text(json.dumps(data), "utf-8")
    assert Record.load(record.folder).run.gated == {}
    assert len(list(Record.load(record.folder).samples("closed"))) == N


def test_rows_are_numbered_as_the_file_has_them(bench: Bench) -> None:
    from olmes.data.resolve import resolve

    dataset = resolve(load_task(str(TASK)), bench.data, say=lambda line: None)
    assert [instance.doc["row"] for instance in dataset.instances] == list(range(N))
    assert dataset.gated
