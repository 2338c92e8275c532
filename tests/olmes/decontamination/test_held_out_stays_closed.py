"""Held-out and gated items in training data are counted, and nothing of them is shown or written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from olmes import OlmesError, evaluate
from olmes.seal.counting import count_looks
from olmes.seal.known_stores import remembered
from olmes.seal.ledger import Ledger
from olmes.seal.verify import verify
from olmes.types import Instance
from tests.olmes.decontamination.conftest import Bench, Command, plain, riddle, solution

PLANTED = 5


def secrets(name: str, numbers: Iterable[int]) -> list[str]:
    """What tells of the items: their words, ids, and every part of their hashes that is printed."""
    found = []
    for number in numbers:
        doc = {"riddle": riddle(name, number), "solution": solution(name, number)}
        one = Instance(name, number, doc)
        found += [*doc["riddle"].split()[0:24:2], f"{name}answer{number}", one.id, one.doc_hash]
    return found


def train(bench: Bench, name: str, planted: Iterable[str]) -> Path:
    """Rows with items of all three benchmarks; of the row numbers of held-out ones each is odd."""
    texts = [f"{text} {plain(1)}" for text in planted]
    return bench.train(name, [*map(plain, range(1000, 1010)), riddle("open", 1), *texts])


def written(folder: Path) -> str:
    """Every byte of every file below a folder, as text."""
    return "\n".join(
        path.read_text("utf-8", "replace") for path in sorted(folder.rglob("*")) if path.is_file()
    )


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("sealed", ()),
        pytest.param("gated", ("--json",), marks=pytest.mark.slow),
        pytest.param("gated", (), marks=pytest.mark.slow),
        pytest.param("sealed", ("--json",), marks=pytest.mark.slow),
        pytest.param("sealed", ("-v", "--processes", "2"), marks=pytest.mark.slow),
    ],
)
def test_nothing_that_is_printed_or_written_tells_of_an_item(
    bench: Bench, name: str, more: tuple[str, ...]
) -> None:
    data = train(bench, "train.jsonl", [riddle(name, n) for n in range(PLANTED)])
    against = f"{bench.file('open')},{bench.exam},{bench.file('gated')}"
    command = [
        sys.executable, "-m", "olmes", "decontaminate", str(data), "--against", against,
        "--data", str(bench.data), "--report", "report", "--out", "clean", *more,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=bench.folder)
    assert done.returncode == 1, done.stderr
    everything = "\n".join(
        [done.stdout, done.stderr, *map(written, map(Path, ("report", "clean", "runs")))]
    )
    assert f'"overlapped": {PLANTED}' in everything
    assert [secret for secret in secrets(name, range(PLANTED)) if secret in everything] == []
    # What may be shown is: the same check would find it.
    assert all(secret in everything for secret in secrets("open", [1])[:3])
    assert "id-11" not in everything


@pytest.mark.parametrize("name", ["sealed", "gated"])
def test_a_data_set_that_a_held_out_task_contaminates_is_left_out_whole(
    bench: Bench, decontaminate: Command, name: str
) -> None:
    """Rows that were missing would tell which ones have the items."""
    bad = train(bench, "bad.jsonl", [riddle(name, n) for n in range(PLANTED)])
    good = train(bench, "good.jsonl", [riddle(name, 7)])
    against = f"{bench.file('open')},{bench.exam},{bench.file('gated')}"
    arguments = (good, "--against", against, "--out", "clean")
    decontaminate(*arguments)
    printed = decontaminate(bad, *arguments, status=1).stdout
    assert f"left out whole: {bad}, contaminated by {name}" in printed
    assert sorted(path.name for path in Path("clean").iterdir()) == [
        "decontamination.json",
        "good.jsonl",
    ]
    # One of fifty is below the threshold: that row stays, and the one of the open task goes.
    lines = good.read_bytes().splitlines(keepends=True)
    assert Path("clean/good.jsonl").read_bytes() == b"".join(lines[:10] + lines[11:])
    note = json.loads(Path("clean/decontamination.json").read_text("utf-8"))
    assert [(one["file"], one["left_out_by"]) for one in note["data_sets"]] == [
        (None, [name]),
        ("good.jsonl", []),
    ]


def test_a_count_is_a_line_of_the_ledger_and_no_look(bench: Bench, decontaminate: Command) -> None:
    data = train(bench, "train.jsonl", [riddle("sealed", n) for n in range(PLANTED)])
    decontaminate(data.name, "--against", f"{bench.file('open')},{bench.exam}", status=1)
    store = Path("runs")
    [entry] = Ledger(store).entries()
    assert (entry["event"], entry["tasks"]) == ("overlap-counted", ["sealed"])
    [count] = entry["overlaps"]
    assert (count["task"], count["n"], count["overlapped"]) == ("sealed", 50, PLANTED)
    assert verify(store) == []
    assert count_looks(store, [entry], "any", "fingerprint").here == 0
    assert list(remembered()) == []
    # A run after it needs a reason as before, and is the first look.
    rows = [{"doc_id": n, "response": solution("sealed", n)} for n in range(50)]
    Path("recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = {"model": "replay:recorded.jsonl", "data": bench.data, "scoring_processes": 1}
    with pytest.raises(OlmesError, match="must not be looked at"):
        evaluate(bench.exam, **asked)  # type: ignore[arg-type]
    record = evaluate(bench.exam, **asked, look="the end")  # type: ignore[arg-type]
    assert record.run.held_out is not None
    assert record.run.held_out.looks_before == 0
    assert verify(store) == []


def test_counts_of_what_may_be_shown_are_no_line(bench: Bench, decontaminate: Command) -> None:
    data = train(bench, "train.jsonl", [])
    decontaminate(data, "--against", f"{bench.file('open')},{bench.file('gated')}")
    assert not Path("runs").exists()
    decontaminate(data, "--against", bench.exam, "--store", "elsewhere")
    assert len(Ledger(Path("elsewhere")).entries()) == 1
    assert not Path("runs").exists()


def test_the_ledger_command_says_what_was_counted(bench: Bench, decontaminate: Command) -> None:
    from click.testing import CliRunner

    from olmes.cli import olmes as group

    data = train(bench, "train.jsonl", [riddle("sealed", n) for n in range(PLANTED)])
    decontaminate(data.name, "--against", bench.exam, status=1)
    printed = CliRunner().invoke(group, ["ledger"]).output
    assert "items in train.jsonl: 5 of 50 of sealed" in printed
    assert "whole: " in printed
    assert "no looks" in printed


def test_a_ledger_that_nothing_can_be_added_to_is_found_before_the_data_are_read(
    bench: Bench, decontaminate: Command
) -> None:
    data = train(bench, "train.jsonl", [])
    decontaminate(data, "--against", bench.exam)
    path = Path("runs/ledger.jsonl")
    path.write_text(path.read_text("utf-8").replace("overlap-counted", "overlap-missing"), "utf-8")
    data.write_text("no JSON, which is not reached\n", "utf-8")
    with pytest.raises(OlmesError, match="was tampered with"):
        decontaminate(data, "--against", bench.exam)


def test_a_task_that_was_looked_at_under_a_suite_of_ones_own_stays_closed(
    bench: Bench, decontaminate: Command
) -> None:
    data = train(bench, "train.jsonl", [riddle("sealed", 1)])
    named = (data, "--against", bench.file("sealed"), "--report", "report")
    decontaminate(data, "--against", bench.exam)
    decontaminate(*named)
    assert (
        "sealed"
        in json.loads(Path("report/overlap.json").read_text("utf-8"))["evaluations"][0]["task"]
    )
    assert Path("report/pairs.jsonl").read_bytes() == b""
    # A store without that suite knows nothing of it.
    decontaminate(*named, "--store", "elsewhere")
    assert Path("report/pairs.jsonl").read_bytes() != b""
