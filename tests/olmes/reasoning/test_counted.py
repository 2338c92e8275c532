"""Thoughts are counted beside the score, carried by records and recordings, and told on the screen."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import olmes
from olmes.comparison.boards import boards_of
from olmes.export.formats import export
from olmes.models.options import Asking
from olmes.models.replay import ReplayModel
from olmes.records.record import Record
from olmes.runs.cost_estimate import estimate
from olmes.runs.planning import plan_run, tasks_of
from olmes.server.pages.leaderboard import leaderboard
from tests.known import known
from tests.olmes.reasoning.thinking_runs import HOSTILE, thinking_rows, thinking_run, write_rows

ITEMS = 28


@pytest.fixture(autouse=True)
def demo_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Record, Record]:
    """Without thoughts that went wrong, with seven that were cut, and with one and marks in four."""
    folder = tmp_path_factory.mktemp("thinking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLMES_CACHE", str(folder / "cache"))
        patch.setenv("OLMES_OFFLINE", "1")
        plain = [row | {"reasoning": "", "reasoning_tokens": 0} for row in thinking_rows(0)]
        return (
            thinking_run(folder, "plain", plain),
            thinking_run(folder, "cut", thinking_rows(7, wrong=3)),
            thinking_run(folder, "marked", thinking_rows(1, marks=4)),
        )


def command(*arguments: object, status: int = 0) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "olmes", *map(str, arguments)],
        capture_output=True, text=True, env=os.environ | {"COLUMNS": "120"},
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == status, output
    return Done(done.stdout, output)


class Done(NamedTuple):
    """What a command printed."""

    stdout: str
    output: str


def test_the_record_has_the_tokens_of_thoughts_and_answers(
    runs: tuple[Record, Record, Record],
) -> None:
    plain, cut, marked = runs
    assert plain.tasks["gsm8k"].tokens == {"prompt": 0, "completion": 40 * ITEMS}
    written, thought = 7 * 50 + 21 * 40, 7 * 50 + 21 * 30
    assert cut.tasks["gsm8k"].tokens == {
        "prompt": 0, "completion": written, "reasoning": thought,
    }  # fmt: skip
    cost = known(cut.run.cost)
    assert (cost.decode_tokens, cost.reasoning_tokens) == (written, thought)
    assert known(plain.run.cost).reasoning_tokens == 0
    assert cut.tasks["gsm8k"].counts["unfinished_thinking"] == 7
    assert marked.tasks["gsm8k"].counts["thought_marks"] == 4
    assert known(cut.tasks["gsm8k"].diagnosis).flags["unfinished_thinking"] == 7
    assert "unfinished_thinking" not in known(plain.tasks["gsm8k"].diagnosis).flags


def test_no_row_without_a_thought_says_anything_of_one(runs: tuple[Record, Record, Record]) -> None:
    for row in runs[0].samples("gsm8k"):
        assert known(row["response"]).keys() == {
            "text", "finish", "prompt_tokens", "completion_tokens", "prompt_truncated", "logprobs",
            "error",
        }  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_a_runs_own_samples_are_a_recording(
    runs: tuple[Record, Record, Record], tmp_path: Path, packed: bool
) -> None:
    cut = runs[1]
    file = cut.samples_path("gsm8k")
    if packed:
        file = tmp_path / "kept.jsonl.gz"
        file.write_bytes(gzip.compress(cut.samples_path("gsm8k").read_bytes()))
    [scored] = [json.loads(command("score", "--task", "gsm8k", file, "--json").stdout)]
    task = cut.tasks["gsm8k"]
    assert scored["counts"] == task.counts
    assert scored["metrics"]["exact_match"]["value"] == task.score.value
    again = olmes.evaluate(
        "gsm8k", model=f"replay:{file}", out=tmp_path / "runs", scoring_processes=1
    )
    assert again.tasks["gsm8k"].tokens == task.tokens
    assert list(again.samples("gsm8k")) == list(cut.samples("gsm8k"))


def test_samples_of_other_items_are_refused(
    runs: tuple[Record, Record, Record], tmp_path: Path
) -> None:
    rows = [dict(row) for row in runs[0].samples("gsm8k")]
    rows[3]["doc_hash"] = "0" * 16
    file = write_rows(tmp_path / "other.jsonl", rows)
    done = command("score", "--task", "gsm8k", file, status=2)
    assert "line 4: the response is to another item than document 3 of gsm8k" in done.output
    assert "--data" in done.output


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ({"finish": "stop"}, "'response.text' is missing"),
        ({"text": 1}, "'response.text'"),
        ({"text": "a", "reasoning": ["b"]}, "'response.reasoning'"),
        ([], "'response' must be the response's text"),
    ],
)
def test_a_row_that_is_neither_form_is_refused(response: object, said: str, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "bad.jsonl", [{"doc_id": 0, "response": response}])
    assert said in command("score", "--task", "gsm8k", file, status=2).output


def test_score_reads_tags_of_the_users(tmp_path: Path) -> None:
    rows = thinking_rows(0)
    bare = [
        {"doc_id": row["doc_id"], "response": f"The answer is 7.</think>{row['response']}"}
        for row in rows
    ]
    file = write_rows(tmp_path / "bare.jsonl", bare)
    counts = {}
    for tags in ("<think>,</think>", "none"):
        done = command("score", "--task", "gsm8k", file, "--json", "--reasoning-tags", tags)
        counts[tags] = json.loads(done.stdout)["counts"]["thought_marks"]
    assert counts == {"<think>,</think>": 0, "none": ITEMS}
    assert (
        "write OPENING,CLOSING"
        in command("score", "--task", "gsm8k", file, "--reasoning-tags", "oops", status=2).output
    )


def test_tables_show_the_share_where_there_is_any(runs: tuple[Record, Record, Record]) -> None:
    plain, cut, marked = runs
    for record, shares, absent in (
        (plain, [], ["unfin.", "marks"]),
        (cut, ["unfin.", "25.0 %"], ["marks"]),
        (marked, ["unfin.", "3.6 %", "marks", "14.3 %"], []),
    ):
        table = command("score", "--task", "gsm8k", record.samples_path("gsm8k")).output
        assert all(share in table for share in shares), table
        assert not any(word in table for word in absent), table
    assert (
        "25.0 % of the responses ended inside their thought"
        in command("compare", plain.folder, cut.folder).output
    )


def test_exports_say_it_where_there_is_any(
    runs: tuple[Record, Record, Record], tmp_path: Path
) -> None:
    said = "25.0 % of the responses ended inside their thought"
    assert f"gsm8k: {said}." in known(export(runs, "md", None))
    assert said.replace("%", r"\%") in known(export(runs, "latex", None))
    assert "thought" not in known(export(runs[:1], "md", None)) + known(
        export(runs[:1], "latex", None)
    )
    frame = olmes.load(*(record.folder for record in runs))
    counts = frame[frame["primary"]][["unfinished_thinking", "thought_marks"]].to_numpy().tolist()
    assert counts == [[0, 0], [7, 0], [1, 4]]
    assert "unfinished_thinking" in known(export(runs, "csv", None)).split("\n")[0]
    assert json.loads(known(export(runs, "json", None)))[0]["unfinished_thinking"] == 0
    samples = olmes.load(runs[1].folder, samples=True)
    assert samples["response.reasoning"][0].startswith(HOSTILE)
    board = leaderboard(runs)["boards"][0]
    by_name = {Path(run["model"]).stem: run["tasks"]["gsm8k"] for run in board["runs"]}
    assert by_name["cut"]["unfinished_thinking"] == 7 / ITEMS
    assert by_name["marked"]["thought_marks"] == 4 / ITEMS
    assert boards_of(runs)[0]


def test_the_cost_of_a_run_is_told_apart(
    runs: tuple[Record, Record, Record], tmp_path: Path
) -> None:
    shutil.copy(runs[1].folder.parents[1] / "cut.jsonl", tmp_path / "cut.jsonl")
    done = command(
        "run", "--task", "gsm8k", "--model", f"replay:{tmp_path / 'cut.jsonl'}", "--out",
        tmp_path / "runs",
    )  # fmt: skip
    assert "1,190 written (980 of them thought)" in done.output
    assert "7 responses ended inside their thought" in done.output


class Thinker(ReplayModel):
    """A recording of a model that is known to think."""

    @property
    def thinks(self) -> bool:
        return True


def test_an_estimate_tells_the_room_for_thoughts(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "said.jsonl", thinking_rows(0))
    _, tasks = tasks_of("gsm8k")
    asking = Asking(thinking_budget=1000)
    plans = {}
    for kind in (ReplayModel, Thinker):
        model = kind(f"replay:{file}", file, asking=asking)
        plan = plan_run(tasks, model, limit=4, settings={"gsm8k.max_tokens": 10})
        plans[kind] = estimate(plan, model, [], out=tmp_path / "runs", use_cache=False)
    plain, thinking = plans[ReplayModel], plans[Thinker]
    assert (plain.new_tokens_limit, plain.thought_tokens_limit) == (40, 0)
    assert (thinking.new_tokens_limit, thinking.thought_tokens_limit) == (4040, 4000)
    from olmes.cli.estimate import writes

    assert "thought" not in writes(plain)
    assert re.search(r"4,040 tokens, thoughts 4,000 of them", writes(thinking))
