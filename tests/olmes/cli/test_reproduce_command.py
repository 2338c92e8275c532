"""`olmes reproduce`: runs or takes runs, and terminal, page, LaTeX and JSON give one answer."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes import Task
from olmes.benchmark.registry import load_suite, load_task
from olmes.cli import olmes
from olmes.data.resolve import resolve
from olmes.records.shown import interval, shown, shown_difference
from olmes.reproduction import paper as papers
from tests.factories import run_json, score_json, task_json, written
from tests.olmes.comparison.sampled import LOOK

MODEL = "Llama-3.1-Tulu-3-8B-SFT"


def call(*arguments: object, columns: int = 250, status: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": str(columns)}).invoke(
        olmes, ["reproduce", *map(str, arguments)]
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        return str(done.exception)
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A development run with a changed setting and a difference, and a held-out one."""
    changed = task_json(0.5, standard=False, settings={"shots": 4}, formulation={"shots": 4})
    bbh = {"exact_match": score_json(0.697), "exact_match_release": score_json(0.679)}
    tasks = {"gsm8k": changed, "bbh": task_json(metrics=bbh), "popqa": task_json(0.4)}
    written(tmp_path / "runs/dev", run_json(tasks, id="dev", model=MODEL))
    unseen = run_json({"gpqa": task_json(0.4)}, id="unseen", model=MODEL, held_out=LOOK)
    written(tmp_path / "runs/unseen", unseen)
    return tmp_path / "runs"


def test_terminal_page_latex_and_json_give_one_answer(store: Path, tmp_path: Path) -> None:
    page, table = tmp_path / "page.html", tmp_path / "table.tex"
    printed = call("tulu3", "--runs", store, "--unseen", "--html", page, "--latex", table)
    found = json.loads(call("tulu3", "--runs", store, "--unseen", "--json"))
    text = re.sub(r"<[^>]+>", " ", page.read_text("utf-8").replace("<wbr>", ""))
    latex = table.read_text("utf-8")
    spoken = latex.replace(r"\_", "_").replace("$-$", "−").replace(r"$\neq$", "≠")
    spoken = spoken.replace(r"\%", "%")
    assert found["published_model"] == "Tülu 3 8B SFT"
    for said in (printed, html.unescape(text), spoken):
        said = " ".join(said.split())
        assert "Tülu 3 8B SFT" in said
        assert found["chance"] in said
        for section in found["sections"]:
            assert section["title"] in said
            for row in (*section["rows"], *section["beside"]):
                ours = row["ours"]
                assert shown(ours["value"], "share") in said
                assert interval(ours["ci_low"], ours["ci_high"], "share") in said
                assert shown(row["published"]["value"], "share") in said
                mark = " ≠" if row["marked"] else ""
                assert shown_difference(row["difference"]["value"], "share") + mark in said
                assert row["formulation_hash"][:8] in said
                assert row["published"]["table"] in said
                assert all(why in said for why in (*row["differs"], *row["notes"]))
            for missing in section["missing"]:
                assert missing["column"] in said
        assert "final" in said  # the reason of the look
    assert f"report  {page}" in printed
    assert f"report  {table}" in printed


def test_what_is_marked_and_what_is_only_said(store: Path) -> None:
    rows = json.loads(call("tulu3", "--runs", store, "--json"))["sections"][0]["rows"]
    by_name = {row["column"]: row for row in rows}
    marked = {name for name, row in by_name.items() if row["marked"]}
    assert marked == {"popqa"}
    assert by_name["gsm8k"]["beyond_chance"]
    assert by_name["gsm8k"]["differs"] == ["shots is 4, reported 8"]
    printed = call("tulu3", "--runs", store)
    assert "+10.7 ≠" in printed
    assert "−26.2 ≠" not in printed
    assert "gsm8k: shots is 4, reported 8" in printed
    # The held-out run lies there too.
    assert "--unseen shows their scores" in printed
    assert "gpqa" not in printed


def test_the_table_folds_at_80_columns(store: Path) -> None:
    lines = call("tulu3", "--runs", store, "--unseen", columns=80).splitlines()
    heads = [line for line in lines if "task" in line and "metric" in line]
    assert len(heads) >= 4  # each table in parts
    tables = [line for line in lines if "─" in line]
    assert tables
    assert max(map(len, tables)) <= 80
    rows = [line for line in lines if line.strip().startswith("popqa")]
    assert all(len(line) <= 80 for line in rows)


def test_another_row_is_taken_by_name_or_by_stage(store: Path) -> None:
    runs = ("tulu3", "--runs", store / "dev")
    assert f"{MODEL} beside Llama 3.1 8B Instruct" in call(*runs, "--as", "llama 3.1 8B instruct")
    assert "beside Tülu 3 70B DPO" in call(*runs, "--stage", "dpo", "--size", "70B")
    assert "choose one of Tülu 3 8B SFT" in call(*runs, "--as", "Nobody")
    assert "choose one of tulu3" in call("tulu4", "--runs", store)
    assert "none of these runs is of other" in call(*runs, "--model", "other")
    assert "name a model to run with --model" in call("tulu3")


def test_latex_is_escaped(tmp_path: Path) -> None:
    run = run_json({"gsm8k": task_json(0.5)}, id="a_b", model=r"50%_of \evil{model} & co")
    written(tmp_path / "a_b", run)
    table = tmp_path / "table.tex"
    call("tulu3", "--runs", tmp_path / "a_b", "--latex", table)
    lines = table.read_text("utf-8").splitlines()
    assert r"% \usepackage{booktabs}" in lines[0]
    set_ = [line for line in lines if not line.startswith("%")]
    assert not any(r"\evil" in line for line in set_)
    assert any(r"50\%\_of \textbackslash{}evil\{model\} \& co" in line for line in set_)
    assert {line.count(" & ") for line in set_ if line.endswith(r"\\")} == {8}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The paper with suites of one small task each, and that task's data and recording."""
    task = Path(__file__).parents[1] / "files/echo_task.py"
    for name, held_out in (("dev", "false"), ("unseen", "true")):
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\ntitle = "{name}"\ntasks = ["{task}"]\nheld_out = {held_out}\n',
            "utf-8",
        )
    real = papers.load_paper("tulu3")
    sections = {
        name: dataclasses.replace(section, suite=str(tmp_path / f"{name}.toml"))
        for name, section in real.head.sections.items()
    }
    changed = dataclasses.replace(real, head=dataclasses.replace(real.head, sections=sections))
    monkeypatch.setattr(papers, "load_paper", lambda name: changed)
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data/echo"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_text('{"word": "a"}\n{"word": "b"}\n', "utf-8")
    rows: list[dict[str, Any]] = [{"doc_id": at, "response": "a"} for at in (0, 1)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "recorded.jsonl").write_text(lines, "utf-8")
    return tmp_path


def test_without_runs_the_suites_are_run_and_resumed(small: Path) -> None:
    asked = ("tulu3", "--model", f"replay:{small / 'recorded.jsonl'}", "--data", small / "data",
             "--out", small / "runs", "--stage", "sft")  # fmt: skip
    printed = call(*asked)
    assert "beside Tülu 3 8B SFT of Tülu 3 (as --stage says)" in printed
    assert "missing: mmlu, popqa" in printed
    [folder] = (small / "runs").glob("*/run.json")
    assert (folder.parent / "report.html").is_file()
    before = folder.read_bytes()
    call(*asked)
    assert folder.read_bytes() == before


def test_the_unseen_suite_needs_a_reason_before_anything_is_run(small: Path) -> None:
    asked = ("tulu3", "--model", f"replay:{small / 'recorded.jsonl'}", "--data", small / "data",
             "--out", small / "runs", "--unseen")  # fmt: skip
    assert "--reason" in call(*asked)
    assert not (small / "runs").exists()
    printed = call(*asked, "--reason", "the end")
    assert "looked at" in printed
    assert "(the end)" in printed
    assert len(list((small / "runs").glob("*/run.json"))) == 2
    assert (small / "runs/ledger.jsonl").is_file()


def perfect_recording(task: Task) -> list[dict[str, Any]]:
    """A row a response, each as the task's oracle gives it, on the demo data."""
    found = []
    for instance in resolve(task, say=lambda line: None).instances:
        response = task.perfect_response(instance.doc)
        said: dict[str, Any] = {"response": response.text}
        if response.logprobs:
            said = {"logprobs": list(response.logprobs)}
        row = {"task": task.name, "doc_id": instance.doc_id, "subtask": instance.subtask} | said
        found += [row | {"repeat": number} for number in range(task.formulation.generation.n)]
    return found


@pytest.mark.slow
def test_the_whole_of_tulu_3_replayed_ends_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bubblewrap_program: str
) -> None:
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    monkeypatch.delenv("OLMES_DATA", raising=False)
    sections = papers.load_paper("tulu3").head.sections.values()
    tasks = [load_task(name) for one in sections for name in load_suite(one.suite).tasks]
    answered = [task for task in tasks if not task.judged]
    rows = [row for task in answered for row in perfect_recording(task)]
    recording = tmp_path / "perfect.jsonl"
    recording.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    page = tmp_path / "page.html"
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        olmes,
        ["reproduce", "tulu3", "--model", f"replay:{recording}", "--out", str(tmp_path / "runs"),
         "--unseen", "--reason", "a test", "--limit", "2", "--html", str(page), "--json"],
    )  # fmt: skip
    found = json.loads(done.stdout)
    shown_rows = [row for section in found["sections"] for row in section["rows"]]
    assert {row["column"] for row in shown_rows} == {task.name for task in answered}
    for row in shown_rows:
        assert row["demo"]
        assert row["difference"] is None
        assert not row["marked"]
    # Some of their answers no response can give, by the protocol's rules.
    values = {row["column"]: row["ours"]["value"] for row in shown_rows}
    assert {name for name, value in values.items() if value < 0.99} <= {
        "bbh", "drop", "ifeval_ood",
    }  # fmt: skip
    missing = {one["column"] for section in found["sections"] for one in section["missing"]}
    assert missing == {task.name for task in tasks if task.judged}
    assert "Demo data: not comparable" in page.read_text("utf-8")
