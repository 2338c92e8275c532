"""Comparing in several processes: order, errors, ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.matches import Match
from olmes.decontamination.processes import compare
from olmes.decontamination.scan import Index
from olmes.decontamination.tokens import tokens
from olmes.errors import OlmesError
from olmes.rows import sources
from olmes.rows.sources import find_source

ITEM = "one two three four five six seven eight nine ten"
ROWS = 200


@pytest.fixture
def index() -> Index:
    items = (Item("t/0", "0", (ITEM,), (tuple(tokens(ITEM)),)),)
    return Index.of([Evaluation(task="t", title="T", data_hash="", held_out=(), items=items)])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every third row holds the item, every fifth line is blank, every seventh row says nothing."""
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for n in range(1, ROWS + 1):
            if n % 5 == 0:
                file.write("\n")
            elif n % 7 == 0:
                file.write(
                    json.dumps({"messages": [{"role": "assistant", "content": ITEM}]}) + "\n"
                )
            else:
                text = f"{ITEM} {n}" if n % 3 == 0 else f"nothing {n}"
                file.write(json.dumps({"prompt": text}) + "\n")
    monkeypatch.setattr(sources, "PIECE_BYTES", 500)
    return path


def children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


def test_numbers_are_those_of_lines_and_counts_those_of_rows(path: Path, index: Index) -> None:
    told: list[int] = []
    compared = compare(find_source(str(path)), index, processes=3, progress=told.append)
    expected = [n for n in range(3, ROWS + 1, 3) if n % 5 and n % 7]
    assert [match.row for match in compared] == expected
    assert compared.rows == told[-1] == sum(n % 5 != 0 for n in range(1, ROWS + 1))
    assert compared.without_text == sum(n % 5 != 0 and n % 7 == 0 for n in range(1, ROWS + 1))
    assert told == sorted(told)
    assert not children()


def test_named_fields_are_compared_alone(path: Path, index: Index) -> None:
    rows = find_source(str(path))
    assert not list(compare(rows, index, fields=["other"], processes=1))


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize(
    ("line", "message"),
    [("[1, 2]", "row 102: a row is a JSON object"), ("{no JSON", "line 102: not JSON")],
)
def test_an_error_in_one_names_file_and_row(
    path: Path, index: Index, processes: int, line: str, message: str
) -> None:
    lines = path.read_text().splitlines()
    lines[101] = line
    path.write_text("\n".join(lines))
    before: list[Match] = []
    with pytest.raises(OlmesError, match=rf"rows\.jsonl, {message}"):
        before.extend(compare(find_source(str(path)), index, processes=processes))
    assert not children()


def test_a_process_that_is_killed_is_said(path: Path, index: Index) -> None:
    with path.open("a") as file:
        for _ in range(3000):
            file.write(json.dumps({"prompt": ITEM * 20}) + "\n")
    matches = iter(compare(find_source(str(path)), index, processes=2))
    next(matches)
    for process in children():
        process.kill()
    with pytest.raises(
        OlmesError, match=r"rows\.jsonl was stopped \(SIGKILL\); where memory is short"
    ):
        list(matches)


def test_who_looks_no_further_leaves_no_process(path: Path, index: Index) -> None:
    matches: Iterator[Match] = iter(compare(find_source(str(path)), index, processes=2))
    next(matches)
    assert len(children()) == 2
    matches.close()  # type: ignore[attr-defined]
    assert not children()


SCRIPT = """
import sys
from olmes.decontamination.processes import compare
from olmes.decontamination.scan import Index
from olmes.decontamination.evaluations import Evaluation
from olmes.rows import sources
sources.PIECE_BYTES = 500
index = Index.of([Evaluation(task="t", title="T", data_hash="", held_out=(), items=())])
while True:
    for _ in compare(sources.find_source(sys.argv[1]), index, processes=2, progress=print):
        pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the processes of a process, by /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_processes_end_with_the_one_that_began_them(path: Path, how: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert program.stdout
    program.stdout.readline()
    others: list[psutil.Process] = []
    while not others:
        others = psutil.Process(program.pid).children(recursive=True)
    program.send_signal(how)
    program.stdout.close()
    assert program.wait(30)
    assert not psutil.wait_procs(others, timeout=30)[1]
