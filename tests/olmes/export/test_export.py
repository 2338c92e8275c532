"""Records as data frames and as tables: everything is there, nothing breaks out of its cell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import olmes
from olmes import OlmesError, Record, evaluate
from olmes.cli.report import command
from olmes.export.formats import best_of, cell, export, latex, markdown
from olmes.seal.look import Look


@pytest.fixture
def run(echo, tmp_path: Path) -> Record:
    return evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        workers=1,
    )  # fmt: skip


def estimate(value: float, half: float = 0.02) -> dict:
    return {
        "value": value, "stderr": half / 2, "ci_low": value - half, "ci_high": value + half, "n": 9,
    }  # fmt: skip


def entry(name: str, why_not: list[str] | None = None, **cells: float) -> dict:
    return {
        "run": {"name": name, "held_out": None},
        "suite": None,
        "cells": {key: estimate(value) for key, value in cells.items()},
        "why_not": why_not or [],
    }


def board(ranked: list[dict], apart: list[dict] = (), pairs: dict | None = None) -> dict:  # type: ignore[assignment]
    keys = dict.fromkeys(key for one in [*ranked, *apart] for key in one["cells"])
    return {
        "columns": [
            {"key": key, "task": key, "title": key.upper(), "higher_is_better": True}
            for key in keys
        ],
        "ranked": ranked,
        "apart": list(apart),
        "pairs": pairs or {},
    }


def test_load_has_a_row_a_number_with_what_it_rests_on(run: Record) -> None:
    frame = olmes.load(run.folder)
    assert list(frame["metric"]) == ["exact_match", "length_match"]
    row = frame.iloc[0]
    assert (row["value"], row["n"], row["primary"]) == (run.value("echo"), 12, True)
    assert row["formulation_hash"] == run.tasks["echo"]["formulation_hash"]
    assert row["data_hash"] == run.tasks["echo"]["data"]["content_hash"]
    assert not frame[["run", "model", "fingerprint", "task"]].isna().any().any()


def test_load_samples_has_a_row_a_response(run: Record) -> None:
    frame = olmes.load(run.folder.parent, samples=True)
    assert len(frame) == 12
    assert frame["values.exact_match"].mean() == pytest.approx(run.value("echo"))
    assert frame["response.text"][3] == "word3"


def test_samples_under_seal_are_not_loaded(echo, tmp_path: Path) -> None:
    suite = tmp_path / "exam.toml"
    suite.write_text(f'tasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")
    record = evaluate(
        str(suite), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        look=Look(reason="final"), workers=1,
    )  # fmt: skip
    assert olmes.load(record.folder, samples=True).empty
    frame = olmes.load(record.folder)
    assert frame["held_out"].all()
    assert list(frame["looks_before"]) == [0, 0]


def test_csv_json_and_parquet_hold_the_same_numbers(run: Record, tmp_path: Path) -> None:
    import pandas

    files = {form: tmp_path / f"out.{form}" for form in ("csv", "json", "parquet")}
    for form, path in files.items():
        export([run], form, path)  # type: ignore[arg-type]
    frames = [
        pandas.read_csv(files["csv"]),
        pandas.DataFrame(json.loads(files["json"].read_text())),
        pandas.read_parquet(files["parquet"]),
    ]
    for frame in frames:
        assert list(frame["value"]) == pytest.approx(list(olmes.load(run.folder)["value"]))
    with pytest.raises(OlmesError, match=r"-o FILE\.parquet"):
        export([run], "parquet", None)


def test_best_is_bold_and_what_is_no_worse_is_marked() -> None:
    pairs = {
        "x": [
            {"a": 0, "b": 1, "p_adjusted": 0.4},
            {"a": 0, "b": 2, "p_adjusted": 0.001},
            {"a": 1, "b": 2, "p_adjusted": 0.001},
        ]
    }
    found = board([entry("a", x=0.7), entry("b", x=0.69), entry("c", x=0.5)], pairs=pairs)
    lines = markdown(found).splitlines()
    assert lines[0] == "| model | x |"
    assert lines[2:5] == ["| a | **70.0 ± 2.0** |", "| b | 69.0 ± 2.0† |", "| c | 50.0 ± 2.0 |"]
    table = latex(found)
    assert r"a & \textbf{70.0\,$\pm$\,2.0} \\" in table
    assert r"b & 69.0\,$\pm$\,2.0$^\dagger$ \\" in table
    assert r"c & 50.0\,$\pm$\,2.0 \\" in table


def test_runs_that_are_not_ranked_have_no_best_and_are_explained() -> None:
    found = board([], [entry("a", ["sample data"], x=0.7), entry("b", ["limited"], x=0.5)])
    text = markdown(found)
    assert "**" not in text
    assert "Not comparable: a (sample data)." in text
    left_out = markdown(board([entry("c", x=0.1)], [entry("a", ["sample data"], x=0.7)]))
    assert "Left out: a (sample data)." in left_out
    assert "70.0" not in left_out


def test_names_cannot_break_out_of_their_cell() -> None:
    found = board([entry("m|x\\y_%&$#{}~^\nz", x=0.7), entry("b", x=0.5)])
    assert r"| m\|x\\y_%&$#{}~^ z |" in markdown(found)
    line = next(line for line in latex(found).splitlines() if line.startswith("m|x"))
    assert line.startswith(r"m|x\textbackslash{}y\_\%\&\$\#\{\}\textasciitilde{}\textasciicircum{}")


def test_ties_share_the_best_and_one_run_alone_has_none() -> None:
    entries = [entry("a", x=0.5), entry("b", x=0.5), entry("c", x=0.4)]
    assert best_of(entries, "x", better=True) == {0, 1}
    assert best_of(entries, "x", better=False) == {2}
    assert best_of(entries[:1], "x", better=True) == set()
    assert cell(None, " ± ", "–") == "–"


def test_the_command_goes_by_the_name_of_the_output(run: Record, tmp_path: Path) -> None:
    def call(*arguments: object) -> str:
        done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert call(run.folder, "--format", "md").startswith("| model | echo |")
    assert "report" in call(run.folder, "-o", tmp_path / "t.tex")
    assert r"\toprule" in (tmp_path / "t.tex").read_text("utf-8")
    assert "report.html" in call(run.folder)
    assert (run.folder / "report.html").is_file()
