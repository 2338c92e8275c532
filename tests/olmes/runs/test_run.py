"""A run from plan to record: what is counted, what is kept, and going on after any stop."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import OlmesError, Record, evaluate
from olmes.records.shown import shown
from olmes.requests.journal import FILE_NAME as JOURNAL
from tests.factories import lasting
from tests.known import known

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench


def run(echo: EchoBench, out: Path, **options: Any) -> Record:
    return evaluate(
        str(echo.task),
        model=f"replay:{echo.recording}",
        data=echo.data,
        out=out,
        scoring_processes=1,
        **options,
    )


def test_record_holds_numbers_with_their_origin(echo: EchoBench, tmp_path: Path) -> None:
    record = run(echo, tmp_path / "runs")
    task = record.tasks["echo"]
    assert record.complete
    assert task.metrics["exact_match"].value == pytest.approx(10 / 12)
    for numbers in task.metrics.values():
        assert numbers.n == 12
        assert known(numbers.ci_low) < known(numbers.value) < known(numbers.ci_high)
        assert known(numbers.stderr) > 0
    assert len(task.formulation_hash) == 16
    assert len(task.data.content_hash) == 64
    assert not (record.folder / JOURNAL).exists()
    assert Record.load(record.folder).run == record.run
    rows = list(record.samples("echo"))
    assert [row["doc_id"] for row in rows] == list(range(12))
    assert rows[11]["values"] == {"exact_match": 0.0, "length_match": 0.0}
    assert rows[0]["messages"] == [{"role": "user", "content": "Say word0."}]


def test_a_finished_run_is_not_run_again(echo: EchoBench, tmp_path: Path) -> None:
    first = run(echo, tmp_path / "runs")
    before = (first.folder / "run.json").stat().st_mtime_ns
    assert run(echo, tmp_path / "runs").folder == first.folder
    assert (first.folder / "run.json").stat().st_mtime_ns == before


def test_another_setting_limit_or_recording_is_another_run(echo: EchoBench, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    folders = {run(echo, out).folder, run(echo, out, limit=3).folder}
    changed = run(echo, out, settings={"echo.question": "Please say {word}."})
    assert not changed.tasks["echo"].standard
    assert any("not the standard formulation" in line for line in changed.run.warnings)
    folders.add(changed.folder)
    echo.record([{"response": "other", "doc_id": i} for i in range(12)])
    folders.add(run(echo, out).folder)
    assert len(folders) == 4


def test_a_limit_keeps_a_subset_of_a_larger_one(echo: EchoBench, tmp_path: Path) -> None:
    kept = [
        {row["doc_id"] for row in run(echo, tmp_path / "runs", limit=limit).samples("echo")}
        for limit in (2, 5, 9)
    ]
    assert [len(ids) for ids in kept] == [2, 5, 9]
    assert kept[0] < kept[1] < kept[2]


def test_a_limit_draws_from_the_items_a_recording_answers(echo: EchoBench, tmp_path: Path) -> None:
    echo.record([{"response": f"word{i}", "doc_id": i} for i in range(5)])
    record = run(echo, tmp_path / "runs", limit=5)
    assert record.complete
    assert {row["doc_id"] for row in record.samples("echo")} == set(range(5))


def test_failed_requests_are_counted_and_asked_again(echo: EchoBench, tmp_path: Path) -> None:
    rows = [{"response": f"word{i}", "doc_id": i} for i in range(12) if i != 4]
    echo.record(rows)
    record = run(echo, tmp_path / "runs")
    task = record.tasks["echo"]
    assert not record.complete
    assert task.counts["failed"] == 1
    assert task.metrics["exact_match"].n == 11
    assert task.metrics["exact_match"].value == 1.0
    assert (record.folder / JOURNAL).exists()
    failed = [row for row in record.samples("echo") if "failed" in row["flags"]]
    assert [row["doc_id"] for row in failed] == [4]
    assert failed[0]["note"] == "no recorded response"


def test_hostile_responses_are_counted_beside_the_score(echo: EchoBench, tmp_path: Path) -> None:
    texts = ["word0", "busy", "memory", "", "raise", "word5"]
    echo.record(
        [{"response": text, "doc_id": i, "finish": "length"} for i, text in enumerate(texts)]
    )
    (echo.data / "echo/test.jsonl").write_text(
        "".join(json.dumps({"word": word}) + "\n" for word in ("word0", *"bcde", "word5")), "utf-8"
    )
    record = run(echo, tmp_path / "runs")
    counts = record.tasks["echo"].counts
    assert counts == {
        "failed": 0, "empty": 1, "refusal": 0, "truncated": 6, "prompt_truncated": 0,
        "unparsed": 1, "misformatted": 0, "unjudged": 0, "timeout": 2, "crashed": 1,
        "unfinished_thinking": 0, "thought_marks": 0,
    }  # fmt: skip
    # A response that could not be scored is in no score; one that hit a limit is wrong.
    assert record.tasks["echo"].metrics["exact_match"].n == 5
    assert record.tasks["echo"].metrics["exact_match"].value == pytest.approx(2 / 5)
    assert not record.complete


def test_two_processes_cannot_write_one_run(echo: EchoBench, tmp_path: Path) -> None:
    from olmes.requests.journal import Journal

    record = run(echo, tmp_path / "runs")
    (record.folder / "run.json").unlink()
    held = Journal(record.folder)
    with pytest.raises(OlmesError, match="another process is writing"):
        run(echo, tmp_path / "runs")
    held.close()
    assert run(echo, tmp_path / "runs").complete


def test_a_torn_last_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    from olmes.requests.journal import Journal
    from olmes.types import Response

    journal = Journal(tmp_path)
    journal.append("a", Response(text="one \ud800"))
    journal.append("b", Response(text="two"))
    journal.close()
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[1]) + 1):
        path.write_bytes(whole[:-cut])
        again = Journal(tmp_path)
        assert {key: r.text for key, r in again.responses.items()} == {"a": "one \ud800"}
        again.append("c", Response(text="three"))
        again.close()
        assert set(Journal(tmp_path).responses) == {"a", "c"}


SCRIPT = """
import sys, time
from olmes import evaluate
from olmes.models.replay import ReplayModel

# The real replay backend, slowed down, so that a kill lands between responses.
fast = ReplayModel.generate
def slow(self, requests, done):
    def late(index, response):
        time.sleep(0.004)
        done(index, response)
    fast(self, requests, late)
ReplayModel.generate = slow
task, model, data, out = sys.argv[1:]
evaluate(task, model=model, data=data, out=out, scoring_processes=1)
"""


def test_killed_at_20_random_points_the_run_ends_with_the_same_record(
    echo: EchoBench, tmp_path: Path
) -> None:
    words = [f"word{i}" for i in range(400)]
    (echo.data / "echo/test.jsonl").write_text(
        "".join(json.dumps({"word": word}) + "\n" for word in words), "utf-8"
    )
    echo.record([{"response": word * (i % 3), "doc_id": i} for i, word in enumerate(words)])
    undisturbed = run(echo, tmp_path / "undisturbed")

    command = [
        sys.executable, "-c", SCRIPT,
        str(echo.task), f"replay:{echo.recording}", str(echo.data), str(tmp_path / "killed"),
    ]  # fmt: skip

    def finished() -> int:
        journal = next((tmp_path / "killed").glob(f"*/{JOURNAL}"), None)
        return journal.read_bytes().count(b"\n") if journal else 0

    draw = random.Random(20)
    kept = [0]
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        target = kept[-1] + draw.randrange(16)
        while finished() < target:
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.005))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kept.append(finished())
    assert kept == sorted(kept), "a finished sample was lost"
    assert 0 < kept[-1] < len(words)
    subprocess.run(command, check=True, capture_output=True)
    [folder] = (tmp_path / "killed").iterdir()
    resumed = Record.load(folder)
    assert lasting(resumed) == lasting(undisturbed)
    samples = "samples/echo.jsonl"
    assert (folder / samples).read_bytes() == (undisturbed.folder / samples).read_bytes()


def test_a_share_that_is_none_is_shown_as_a_number_and_said(
    echo: EchoBench, tmp_path: Path
) -> None:
    source = echo.task.read_text("utf-8")
    file = tmp_path / "words_task.py"
    words = 'Metric(name="words", help="words of the response", higher_is_better=False),'
    source = source.replace("metrics = (", f"metrics = (\n        {words}", 1)
    source = source.replace(
        "values={", 'values={"words": float(len(response.text.split())) + 4, ', 1
    )
    file.write_text(source, "utf-8")
    record = evaluate(
        str(file), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        scoring_processes=1,
    )  # fmt: skip
    score = record.tasks["echo"].metrics["words"]
    assert score.unit == "number"
    assert shown(score.value, score.unit).startswith(("4", "5", "6"))
    assert any("words has values outside 0 to 1" in line for line in record.run.warnings)
    assert record.tasks["echo"].score.unit == "share"
