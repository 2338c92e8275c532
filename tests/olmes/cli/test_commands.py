"""The commands as a person or a script types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

ECHO = Path(__file__).parents[1] / "files/echo_task.py"
ENVIRONMENT = {"OLMES_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}


@pytest.fixture
def olmes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `olmes ARGUMENTS` in a process of its own, as a shell would."""
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OLMES_DATA", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "olmes", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return call


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_help_names_every_command_and_option(
    olmes: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    from olmes.cli import COMMANDS

    printed = olmes("--help").stdout
    assert all(command in printed for command in COMMANDS)
    for command in COMMANDS:
        assert "Usage: olmes" in olmes(command, "--help").stdout


def test_list_shows_tasks_and_suites(
    olmes: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert "gsm8k" in olmes("list").stdout
    found = json.loads(olmes("list", "--json").stdout)
    assert {"dev"} <= {suite["name"] for suite in found["suites"]}
    [gsm8k] = [task for task in found["tasks"] if task["name"] == "gsm8k"]
    assert gsm8k["shots"] == 8
    assert gsm8k["suites"] == ["dev", "tulu3_dev"]


def test_show_prints_one_json_row_a_document(
    olmes: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    found = rows(olmes("show", "gsm8k", "--docs", "0,3", "--json").stdout)
    assert [row["doc_id"] for row in found] == [0, 3]
    assert set(found[0]) == {
        "doc_id", "subtask", "messages", "prompt", "prefill", "continuations", "generation", "gold",
    }  # fmt: skip
    assert found[0]["prefill"] == "Answer:"
    assert found[0]["generation"] == {
        "max_tokens": 512, "temperature": 0.0, "top_p": None,
        "stop": ["Question:", "</s>", "<|im_end|>"], "n": 1,
    }  # fmt: skip
    assert len(rows(olmes("show", "gsm8k", "-n", 5, "--json").stdout)) == 5
    assert len(rows(olmes("show", "gsm8k", "--json").stdout)) >= 24


def test_show_with_fewer_shots(olmes: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    [row] = rows(olmes("show", "gsm8k", "--docs", 0, "--set", "gsm8k.shots=4", "--json").stdout)
    assert len(row["messages"]) == 9


def test_run_score_and_report_of_a_task_from_a_file(
    olmes: Callable[..., subprocess.CompletedProcess[str]], echo: EchoBench, tmp_path: Path
) -> None:
    run = ("run", "--task", ECHO, "--model", f"replay:{echo.recording}", "--data", echo.data)
    printed = olmes(*run, "--out", tmp_path / "runs").stdout
    assert "83.3" in printed
    assert "report.html" in printed
    record = json.loads(olmes(*run, "--out", tmp_path / "runs", "--json").stdout)
    assert record["tasks"]["echo"]["metrics"]["exact_match"]["value"] == pytest.approx(10 / 12)
    assert Path(record["report"]).read_text("utf-8").startswith("<!doctype html>")

    verdicts = tmp_path / "verdicts.jsonl"
    score = ("score", "--task", ECHO, echo.recording, "--data", echo.data)
    scored = json.loads(olmes(*score, "--verdicts", verdicts, "--json").stdout)
    assert scored["task"] == "echo"
    assert scored["n"] == 12
    assert set(scored["metrics"]["exact_match"]) >= {"value", "stderr"}
    assert scored["metrics"]["exact_match"]["value"] == pytest.approx(10 / 12)
    judged = rows(verdicts.read_text("utf-8"))
    assert [row["doc_id"] for row in judged] == list(range(12))
    assert judged[0]["values"] == {"exact_match": 1.0, "length_match": 1.0}
    assert judged[0]["extracted"] == "word0"
    assert json.loads(olmes("report", record["folder"], "--json").stdout)["report"]


def test_score_takes_inline_documents_and_several_answers_to_one(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    path = tmp_path / "recorded.jsonl"
    doc = {"question": "How many?", "answer": "Two and two are four.\n#### 4"}
    path.write_text(
        "".join(
            json.dumps({"response": text, "doc": doc}) + "\n" for text in ("4", "5", "\ud800 4.0")
        ),
        "utf-8",
    )
    verdicts = tmp_path / "verdicts.jsonl"
    found = json.loads(
        olmes("score", "--task", "gsm8k", path, "--verdicts", verdicts, "--json").stdout
    )
    assert found["n"] == 3
    judged = [row["values"] for row in rows(verdicts.read_text("utf-8"))]
    assert judged == [
        {"exact_match": 1.0, "exact_match_numeric": 1.0},
        {"exact_match": 0.0, "exact_match_numeric": 0.0},
        {"exact_match": 0.0, "exact_match_numeric": 1.0},
    ]


def test_demo_data_say_so_on_the_screen_and_in_the_record(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    path = tmp_path / "recorded.jsonl"
    path.write_text(
        "".join(json.dumps({"response": "25", "doc_id": i}) + "\n" for i in range(28)), "utf-8"
    )
    run = ("run", "--task", "gsm8k", "--model", f"replay:{path}", "--out", tmp_path / "runs")
    done = olmes(*run)
    assert "demo data" in done.stdout + done.stderr
    record = json.loads(olmes(*run, "--json").stdout)
    assert record["tasks"]["gsm8k"]["data"]["origin"] == "demo"
    assert any("demo data" in warning for warning in record["warnings"])


def test_a_failed_request_makes_the_exit_status_1(
    olmes: Callable[..., subprocess.CompletedProcess[str]], echo: EchoBench, tmp_path: Path
) -> None:
    echo.record([{"response": "word0", "doc_id": 0}])
    run = ("run", "--task", ECHO, "--model", f"replay:{echo.recording}", "--data", echo.data)
    done = olmes(*run, "--out", tmp_path / "runs", status=1)
    assert "11 failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run",), "give --suite or --task"),
        (("run", "--suite", "nope"), "there is no suite 'nope'"),
        (("run", "--task", "nope"), "there is no task 'nope'"),
        (("run", "--task", "gsm8k", "--limit", "0"), "--limit must be 1 or more"),
        (("run", "--task", "gsm8k", "--set", "gsm8k.colour=red"), "no setting 'colour'"),
        (("run", "--task", "gsm8k", "--set", "math.shots=1"), "a task of this run"),
        (("run", "--task", "gsm8k", "--set", "gsm8k.shots"), "write TASK.FIELD=VALUE"),
        (("run", "--task", "gsm8k", "--data", "/no/such/folder"), "not a folder"),
        (("run", "--task", "gsm8k", "--model", "/no/such/model"), "model"),
        (("show", "gsm8k", "--docs", "99999", "--json"), "there is no document 99999"),
        (("show", "gsm8k", "--docs", "x", "--json"), "write row numbers"),
        (("show", "gsm8k", "--subtask", "x", "--json"), "no sub-task 'x'"),
        (("score", "--task", "gsm8k", "/no/such/file"), "does not exist"),
        (("report", "/no/such/run"), "no record"),
        (("nonsense",), "No such command"),
    ],
)
def test_every_mistake_is_one_line_with_a_remedy(
    olmes: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[Any, ...], words: str
) -> None:
    done = olmes(*arguments, status=2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    own = [line for line in done.stderr.splitlines() if line.startswith("olmes: ")]
    assert len(own) == (0 if arguments == ("nonsense",) else 1)


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(
    olmes: Callable[..., subprocess.CompletedProcess[str]], echo: EchoBench, tmp_path: Path
) -> None:
    words = [f"word{i}" for i in range(20_000)]
    (echo.data / "echo/test.jsonl").write_text(
        "".join(json.dumps({"word": word}) + "\n" for word in words), "utf-8"
    )
    echo.record([{"response": word, "doc_id": i} for i, word in enumerate(words)])
    run = (
        "run", "--task", ECHO, "--model", f"replay:{echo.recording}", "--data", echo.data,
        "--out", tmp_path / "runs", "--scoring-processes", "1",
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "olmes", *map(str, run)], stderr=subprocess.PIPE, text=True
    )
    while not any(journal.stat().st_size for journal in tmp_path.glob("runs/*/journal.jsonl")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "the same command resumes the run" in errors
    assert "Traceback" not in errors
    [journal] = tmp_path.glob("runs/*/journal.jsonl")
    assert 0 < len(journal.read_bytes().splitlines()) < len(words) + 1
    done = olmes(*run, "--json")
    assert "already there" in done.stderr
    assert json.loads(done.stdout)["tasks"]["echo"]["metrics"]["exact_match"]["value"] == 1.0


def test_v_shows_the_trace(olmes: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "Traceback" in olmes("run", "--task", "nope", "-v", status=2).stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1: not JSON"),
        ('{"response": "x"}', "line 1: give 'doc_id'"),
        ('{"doc_id": 0}', "line 1: 'response' must be"),
        ('{"doc_id": -1, "response": "x"}', "line 1: 'doc_id' must be"),
        ('{"doc_id": 99999, "response": "x"}', "line 1: gsm8k has no document 99999"),
        ('{"doc": {"a": 1}, "response": "x"}', "line 1: the inline doc is not an item of gsm8k"),
        ("", "holds no responses"),
    ],
)
def test_a_bad_recording_names_its_line(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "recorded.jsonl"
    path.write_text(text, "utf-8")
    assert words in olmes("score", "--task", "gsm8k", path, status=2).stderr


def test_data_list_says_where_data_would_come_from(
    olmes: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    found = rows(olmes("data", "list", "--json").stdout)
    [gsm8k] = [row for row in found if row["task"] == "gsm8k"]
    assert gsm8k["sha256"].startswith("3730d312")
    assert gsm8k["state"]
    assert gsm8k["path"] == "gsm8k/test.jsonl.gz"
    assert f" {gsm8k['content_hash'][:16]}" in olmes("data", "list").stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"doc_id": 0, "subtask": "x", "response": "x"}', "line 1: agieval has no sub-task 'x'"),
        (
            '{"doc_id": 9999, "subtask": "lsat-ar", "response": "x"}',
            "line 1: agieval has no document 9999 in lsat-ar; the last row is",
        ),
        ('{"doc_id": 9999, "response": "x"}', "line 1: agieval has no document 9999; the last row"),
        ('{"doc_id": 0, "response": "x"}', "give `subtask`, one of"),
    ],
)
def test_a_row_that_names_no_item_says_what_there_is(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "recorded.jsonl"
    path.write_text(text, "utf-8")
    assert words in olmes("score", "--task", "agieval", path, status=2).stderr


def test_an_item_that_cannot_be_scored_says_why(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    doc = {"key": "7", "prompt": "p", "instruction_id_list": ["count:none"], "kwargs": [{}]}
    path = tmp_path / "recorded.jsonl"
    path.write_text(json.dumps({"response": "x", "doc": doc}), "utf-8")
    said = olmes("score", "--task", "ifeval", path, status=1).stderr
    assert "olmes: 1 could not be scored" in said
    assert "item 7: there is no instruction 'count:none'" in said


@pytest.mark.parametrize("content", ["[]", "3", '{"schema": 1}', "{"])
def test_a_file_that_is_no_record_is_one_line(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, content: str
) -> None:
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/run.json").write_text(content, "utf-8")
    for command in ("report", "generalization"):
        said = olmes(command, tmp_path / "runs", status=2).stderr
        assert "is not a record" in said
        assert len(said.splitlines()) == 1
    assert "is not a record" in olmes("ledger", "--out", tmp_path / "runs", status=1).stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('held_out = "yes"', "`held_out` must be true or false, not 'yes'"),
        ("name = 3", "`name` must be a text, not 3"),
        ("pairs = 3", "`pairs` must be [[pairs]] tables, not 3"),
    ],
)
def test_a_suite_with_a_wrong_type_is_one_line(
    olmes: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, line: str, words: str
) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(f'{line}\ntasks = ["gsm8k"]\n', "utf-8")
    assert words in olmes("run", "--suite", path, status=2).stderr
