"""Records as data frames and as tables: everything is there, nothing breaks out of its cell."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import olmes
from olmes import OlmesError, Record, evaluate
from olmes.cli.report import command
from olmes.export.formats import export
from olmes.seal.look import Look
from tests.factories import with_fields

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench


@pytest.fixture
def run(echo: EchoBench, tmp_path: Path) -> Record:
    return evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        scoring_processes=1,
    )  # fmt: skip


@pytest.fixture
def official(
    echo: EchoBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Record]:
    """Makes runs of the echo task that count as runs on its official data."""
    from olmes.data import dataset, resolve

    made = dataset.made_dataset
    monkeypatch.setattr(
        resolve, "made_dataset", lambda *found: dataclasses.replace(made(*found), official=True)
    )

    def run(name: str, right: int, **options: Any) -> Record:
        recording = tmp_path / f"{name}.jsonl"
        rows = [{"doc_id": i, "response": f"word{i}" if i < right else "no"} for i in range(12)]
        recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
        record = evaluate(
            options.pop("target", str(echo.task)), model=f"replay:{recording}", data=echo.data,
            out=tmp_path / "runs", scoring_processes=1, **options,
        )  # fmt: skip
        return with_fields(record, {"model.name": name})

    return run


def test_load_has_a_row_a_number_with_what_it_rests_on(run: Record) -> None:
    frame = olmes.load(run.folder)
    assert list(frame["metric"]) == ["mean", "exact_match", "length_match"]
    assert list(frame["task"]) == ["", "echo", "echo"]
    row = frame.iloc[1]
    assert (row["value"], row["n"], row["primary"]) == (run.value("echo"), 12, True)
    assert row["formulation_hash"] == run.tasks["echo"].formulation_hash
    assert row["data_hash"] == run.tasks["echo"].data.content_hash
    assert not frame[["run", "model", "fingerprint", "task"]].isna().any().any()


def test_load_samples_has_a_row_a_response(run: Record) -> None:
    frame = olmes.load(run.folder.parent, samples=True)
    assert len(frame) == 12
    assert frame["values.exact_match"].mean() == pytest.approx(run.value("echo"))
    assert frame["response.text"][3] == "word3"


def test_load_takes_what_no_column_can_hold(run: Record) -> None:
    path = run.samples_path("echo")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0].replace("word0", r"word\ud800"), *lines[1:]]) + "\n")
    frame = olmes.load(run.folder, samples=True)
    assert frame["response.text"][0] == "word\ufffd"
    assert frame["response.text"][3] == "word3"


def test_samples_under_seal_are_not_loaded(echo: EchoBench, tmp_path: Path) -> None:
    suite = tmp_path / "exam.toml"
    suite.write_text(f'tasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")
    record = evaluate(
        str(suite), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        look=Look(reason="final"), scoring_processes=1,
    )  # fmt: skip
    assert olmes.load(record.folder, samples=True).empty
    frame = olmes.load(record.folder)
    assert frame["held_out"].all()
    assert list(frame["looks_before"]) == [0, 0, 0]
    # Beside a run that is no look the number of looks is a count still.
    open_run = evaluate(
        str(echo.task), model=f"replay:{echo.recording}", data=echo.data, out=tmp_path / "runs",
        limit=3, scoring_processes=1,
    )  # fmt: skip
    table = csv.DictReader(io.StringIO(str(export([record, open_run], "csv", None))))
    found = {(row["looks_before"], row["limit"]) for row in table}
    assert found == {("0", ""), ("", "3")}


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


def test_every_row_says_what_it_is_of_and_over_which_items(
    official: Callable[..., Record],
) -> None:
    whole = official("whole", 5)
    part = official("part", 5, limit=4, settings={"echo.max_tokens": 3})
    rows = json.loads(str(export([whole, part], "json", None)))
    by_run = {row["run"]: row for row in rows if row["primary"]}
    full, limited = by_run[whole.id], by_run[part.id]
    assert (full["items"], full["data_items"], full["item_set"], full["n"]) == (12, 12, "", 12)
    assert (limited["items"], limited["data_items"], limited["n"]) == (4, 12, 4)
    assert len(limited["item_set"]) == 16
    assert (full["standard"], limited["standard"], limited["limit"]) == (True, False, 4)
    for row in (full, limited):
        assert (row["unit"], row["higher_is_better"]) == ("share", True)
        assert (row["complete"], row["demo_data"]) == (True, False)


def test_best_is_bold_and_what_is_not_shown_to_differ_is_marked(
    official: Callable[..., Record],
) -> None:
    found = [official("low", 1), official("high", 12), official("close", 11)]
    lines = str(export(found, "md", None)).splitlines()
    assert lines[0] == "### Echo"
    assert lines[2] == "| model | Echo |"
    # Intervals are written with their ends: near 0 and 100 % they do not lie evenly about the value.
    assert lines[4:8] == [
        "| high | **100.0 [75.8, 100.0]** |",
        "| close | 91.7 [64.6, 98.5]† |",
        "| low | 8.3 [1.5, 35.4] |",
        "| n | 12 |",
    ]
    table = str(export(found, "latex", None)).splitlines()
    assert any(line.startswith(r"high & \textbf{100.0~[75.8, 100.0]}") for line in table)
    assert r"$n$ & 12 \\" in table
    assert any(line.startswith("close & 91.7") and "dagger" in line for line in table)
    assert any(line.startswith("low & 8.3") and "dagger" not in line for line in table)


def test_what_is_not_comparable_stands_in_a_table_of_its_own_or_is_left_out_with_the_reason(
    official: Callable[..., Record],
) -> None:
    found = [official(name, right, limit=3) for name, right in (("few", 12), ("less", 2))]
    first, second = str(export([*found, official("whole", 5)], "md", None)).split("### ")[1:]
    assert first.startswith("Echo\n")
    assert "| whole | 41.7 [" in first
    assert second.startswith("Echo (3 of 12 items of echo)\n")
    assert "| few | **100.0 [" in second
    assert "| n | 3 |" in second
    assert r"\caption{Echo (3 of 12 items of echo). Percent" in str(export(found, "latex", None))
    broken = with_fields(official("broken", 5), {"complete": False, "tasks.echo.counts.failed": 2})
    text = str(export([official("whole", 5), broken], "md", None))
    assert (
        "Left out: broken, 41.7 \\[19.3, 68.0\\], n 12 (incomplete: 2 of 12 responses of echo"
        in text
    )
    another = official("another", 5, settings={"echo.question": "Please say {word}."})
    text = str(export([official("whole", 5), another], "md", None))
    assert "### Echo (not the standard formulation)" in text
    assert text.count("| model | Echo |") == 2


def test_names_cannot_break_out_of_their_cell(official: Callable[..., Record]) -> None:
    record = with_fields(official("plain", 5), {"model.name": "m|x\\y_%&$#{}~^\nz"})
    assert r"| m\|x\\y_%&amp;$#{}~^ z |" in str(export([record], "md", None))
    [line] = [t for t in str(export([record], "latex", None)).splitlines() if t.startswith("m\\t")]
    assert line.startswith(
        r"m\textbar{}x\textbackslash{}y\_\%\&\$\#\{\}\textasciitilde{}\textasciicircum{} z & "
    )


HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    "[link](javascript:alert(1))",
    "**bold** `code` <!-- & &lt;",
    "\x1b[31mred\x1b[0m \x9b31m \u202egnp.exe\u202c \u2028x",
    "two\nlines\r\n\\input{/etc/passwd}",
    "lone \ud800 surrogate",
]


@pytest.mark.parametrize("text", HOSTILE_NAMES)
def test_hostile_names_are_text_in_every_format(
    official: Callable[..., Record], text: str, tmp_path: Path
) -> None:
    from markdown_it import MarkdownIt

    record = with_fields(official("plain", 5), {"model.name": text, "tasks.echo.title": text})
    # The second is named in the notes.
    found = [record, with_fields(official("limited", 5, limit=3), {"model.name": text})]
    table = str(export(found, "md", None))
    assert table.count("\n") == str(export([official("plain", 5), found[1]], "md", None)).count(
        "\n"
    )
    page = MarkdownIt("js-default").enable("table").render(table)
    for tag in ("<script", "<a ", "<em", "<code", "<!--"):
        assert tag not in page
    assert page.count("<strong>") == 0
    set_in_latex = str(export(found, "latex", None))
    for line in set_in_latex.splitlines():
        assert "\\input" not in line or line.startswith("%")
    for form in ("md", "latex", "csv"):
        written = str(export(found, form, None))
        assert not set(written) & set("\x1b\x9b\r\u202e\u202c\ud800")
        written.encode("utf-8")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1"])
def test_a_spreadsheet_computes_nothing(official: Callable[..., Record], text: str) -> None:
    record = with_fields(official("plain", 5), {"model.name": text})
    rows = list(csv.DictReader(str(export([record], "csv", None)).splitlines()))
    assert {row["model"][0] for row in rows} == {"'"}
    assert float(rows[0]["value"]) == pytest.approx(5 / 12)
    assert json.loads(str(export([record], "json", None)))[0]["model"] == text


def test_a_held_out_score_stands_with_its_looks(
    official: Callable[..., Record], echo: EchoBench, tmp_path: Path
) -> None:
    suite = tmp_path / "exam.toml"
    suite.write_text(f'tasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")
    record = official("m", 5, target=str(suite), look=Look(reason="final"))
    said = "m: held-out tasks looked at after 0 earlier looks of the family m.jsonl; no dev score then."
    assert f"\n{said}  \n" in str(export([record], "md", None))
    # Set with the table, not hidden in a comment.
    table = str(export([record], "latex", None))
    assert f"\n{{\\footnotesize {said}\\par}}\n" in table.split(r"\end{tabular}")[1]
    assert r"\caption{exam. Percent, with the 95 \% interval; n counts items.}" in table
    # One run is compared with nothing, so nothing is said of a comparison.
    assert "dagger" not in table
    assert "ot compared" not in table
    record = with_fields(record, {"held_out.looks_before": 1})
    assert "after 1 earlier look of the family" in str(export([record], "md", None))


def test_the_command_goes_by_the_name_of_the_output(run: Record, tmp_path: Path) -> None:
    def call(*arguments: object) -> str:
        done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    printed = call(run.folder, "--format", "md")
    assert printed.startswith("### Echo (data not known as official)")
    assert "report" in call(run.folder, "-o", tmp_path / "t.tex")
    assert r"\toprule" in (tmp_path / "t.tex").read_text("utf-8")
    assert "report.html" in call(run.folder)
    assert (run.folder / "report.html").is_file()
