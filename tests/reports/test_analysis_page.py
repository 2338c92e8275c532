"""docs/analysis.md does what it says: cells print and draw, commands write, tables are set."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from olmes.cli import olmes as cli
from olmes.cli.report import command as report
from olmes.export import columns
from tests.analysis_runs import DOCS, cells, write_runs

PAGE = DOCS / "analysis.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the page's commands are given: the runs of its training."""
    place = tmp_path_factory.mktemp("analysis")
    write_runs(place / "runs")
    with contextlib.chdir(place):
        yield place


def lines_of(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def test_every_cell_prints_and_draws_what_the_page_shows(folder: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    names: dict[str, Any] = {}
    found = cells(PAGE.read_text("utf-8"))
    assert sum(bool(text) for _, text in found) == 6
    for code, text in found:
        screen = io.StringIO()
        with contextlib.redirect_stdout(screen):
            exec(code, names)
        assert lines_of(screen.getvalue()) == lines_of(text), code
    for name in ("analysis-curve.png", "analysis-unseen.png"):
        assert (folder / name).stat().st_size > 10_000
        assert (DOCS / "images" / name).is_file()


def test_every_command_writes_its_file(folder: Path) -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        words = shlex.split(line)[1:]
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert (folder / words[words.index("-o") + 1]).stat().st_size > 100
    steps = (folder / "steps.tex").read_text("utf-8")
    assert r"step & GSM8K & MATH & Mean \\" in steps
    assert r"\caption{Our training. Percent" in steps
    assert r"\label{tab:steps}" in steps
    assert steps.count("textbf") == 3
    assert (folder / "numbers.csv").read_text("utf-8").startswith("run,created,model,")
    assert (folder / "between.csv").read_text("utf-8").startswith("page,of,kind,")


def test_the_tables_of_columns_are_those_of_the_frames() -> None:
    page = PAGE.read_text("utf-8")
    assert columns.filled(page) == page


def call(*arguments: object) -> str:
    done = CliRunner().invoke(report, [str(one) for one in arguments])
    return done.output + (str(done.exception) if done.exception else "")


def test_what_cannot_be_written_is_refused_with_what_can(folder: Path) -> None:
    endings = r"end its name in \.html, \.md, \.csv, \.tex, \.parquet, \.json"
    assert re.search(endings, call("runs", "-o", "x.xyz"))
    assert not (folder / "x.xyz").exists()
    assert "choose from gsm8k, math, ifeval" in call("runs", "--format", "md", "--columns", "bbh")
    assert "are for md and latex, not for csv" in call("runs", "-o", "x.csv", "--sort", "math")
    assert "--differences is for csv, parquet, json" in call(
        "runs", "--format", "md", "--differences"
    )


def test_rows_are_sorted_and_columns_chosen(folder: Path) -> None:
    table = call(
        "runs", "--format", "md", "--as", "leaderboard", "--sort", "math", "--columns", "ifeval"
    )
    board = table.split("### ")[1]
    assert "| model | IFEval |" in board
    assert "Sorted by MATH." in board
    order = re.findall(r"example-sft/(\d+) \|", board)
    frame = {str(row["step"]): row["value"] for row in json.loads(call("runs", "--format", "json"))
             if row["task"] == "math" and row["primary"]}  # fmt: skip
    assert order == sorted(frame, key=lambda step: frame[step], reverse=True)


HOSTILE = [
    "a_b%c&d#e$f{g}h~i^j\\k<l>m|n", "→ ≥ ≠ − † ‡ ↓ – — “ü” é ß ş", "模型 Ω ☃",
    "\x1b[31m \u202e two\nlines", "\\input{/etc/passwd}", "[1] -- ``x''", "* star",
]  # fmt: skip


def test_latex_is_set_by_pdflatex_whatever_the_names_are(folder: Path, tmp_path: Path) -> None:
    if not (pdflatex := shutil.which("pdflatex")):
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base)")
    for number, name in enumerate(HOSTILE):
        run = json.loads((folder / "runs/example-sft-0-dev/run.json").read_text("utf-8"))
        run["model"] |= {"name": name, "fingerprint": f"{number + 1:064x}"}
        run["tasks"]["gsm8k"]["title"] = name
        run["suite"]["title"] = HOSTILE[0]
        place = tmp_path / f"store/{number}"
        place.mkdir(parents=True)
        (place / "run.json").write_text(json.dumps(run), "utf-8")
    inputs = []
    for label, runs, more in (
        ("steps", "runs", []),
        ("board", "runs", ["--as", "leaderboard"]),
        ("names", tmp_path / "store", ["--as", "leaderboard", "--caption", HOSTILE[0]]),
    ):
        path = tmp_path / f"{label}.tex"
        assert "report" in call(runs, "-o", path, "--label", f"tab:{label}", *more)
        inputs.append(rf"\input{{{path.name}}} Table~\ref{{tab:{label}}}.")
    document = tmp_path / "paper.tex"
    document.write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + "\n".join(inputs)
        + "\n\\end{document}\n",
        "utf-8",
    )
    done = subprocess.run(
        [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "multiply defined" not in done.stdout
    # A suite with its mean, a training with its unseen tasks: on the page of an article.
    assert "Overfull" not in done.stdout.split("names.tex")[0]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
