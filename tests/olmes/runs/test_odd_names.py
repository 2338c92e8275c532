"""Names that are no UTF-8: refused where a user gives them, escaped where a path does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError, evaluate
from olmes.comparison.compare import compare_runs
from olmes.records.record import Record
from olmes.reports.run_page import write_run_page
from olmes.runs.options import RunOptions
from olmes.seal.ledger import Ledger
from olmes.seal.look import Look

ECHO = Path(__file__).parents[1] / "files/echo_task.py"


@pytest.mark.parametrize("name", ["caf\udce9", "\ud83d", "a\x00b", "x" * 501])
def test_a_name_that_no_server_takes_is_refused_before_the_run(name: str) -> None:
    with pytest.raises(OlmesError, match="--name .*write another, in UTF-8"):
        RunOptions(name=name)
    with pytest.raises(OlmesError, match="--family .*write another, in UTF-8"):
        Look(reason="final", family=name)
    assert Look(reason=name, family="fine").reason == name


def echo_run(folder: Path, recording: Path, target: str = str(ECHO), **more: Any) -> Record:
    """A run of the echo task on a recording."""
    (folder / "echo").mkdir(exist_ok=True)
    words = [f"word{number}" for number in range(5)]
    rows = [json.dumps({"word": word}) + "\n" for word in words]
    (folder / "echo/test.jsonl").write_text("".join(rows))
    answers = [{"response": word, "doc_id": number} for number, word in enumerate(words)]
    recording.write_text("".join(json.dumps(row) + "\n" for row in answers))
    model, out = f"replay:{recording}", folder / "runs"
    return evaluate(target, model=model, data=folder, out=out, scoring_processes=1, **more)


def test_a_path_that_is_not_utf8_gives_names_that_are(tmp_path: Path) -> None:
    try:
        recording = tmp_path / os.fsdecode(b"rec\xe9.jsonl")
        recording.touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{ECHO}"]\nheld_out = true\n', "utf-8")
    record = echo_run(tmp_path, recording, target=str(suite), look="caf\udce9")
    [look, _] = Ledger(tmp_path / "runs").entries()
    assert look["reason"] == "caf\udce9"
    for name in (record.run.model.name, record.run.model.family or "", look["family"]):
        assert r"rec\udce9" in name
        name.encode("utf-8")


def test_a_number_of_hundreds_of_digits_in_a_row_stops_no_page(tmp_path: Path) -> None:
    record = echo_run(tmp_path, tmp_path / "rec.jsonl")
    path = record.samples_path("echo")
    lines = path.read_text().splitlines(keepends=True)
    huge = "1" + "0" * 400
    lines[0] = lines[0].replace('"exact_match": 1.0', f'"exact_match": {huge}')
    lines[1] = lines[1].replace('"gold": "word1"', f'"gold": {huge}')
    lines[2] = lines[2].replace('"prompt_tokens": 0', f'"prompt_tokens": {huge}')
    assert sum(huge in line for line in lines) == 3
    path.write_text("".join(lines))
    write_run_page(record.folder, tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 1000
    compare_runs(record, record, force=True)


def test_deep_json_in_a_store_is_named_and_no_fault_of_olmes(tmp_path: Path) -> None:
    record = echo_run(tmp_path, tmp_path / "rec.jsonl")
    path = record.samples_path("echo")
    path.write_text("[" * 100_000 + "\n")
    for read in (record.samples, record.verdicts):
        with pytest.raises(OlmesError, match="line 1: not JSON"):
            list(read("echo"))
    (record.folder / "run.json").write_text("[" * 100_000)
    with pytest.raises(OlmesError, match="nested deeper than 60 levels"):
        Record.load(record.folder)
    (record.folder / "run.json").write_text('{"schema": 2, "x": ' + "[" * 70 + "]" * 70 + "}")
    with pytest.raises(OlmesError, match="nested deeper than 60 levels"):
        Record.load(record.folder)
