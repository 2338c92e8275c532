"""Scores at the ends of what a number can be: boards and comparisons of them are made all the same."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from olmes import evaluate, stats
from olmes.client.client import files_of
from olmes.server.access.audit import LOCAL
from olmes.server.intake.run_files import take_in
from olmes.server.json_response import JsonResponse
from olmes.server.pages import report_pages
from olmes.server.refusals import RefusedError
from olmes.server.settings import Settings
from olmes.server.store.store import Store
from olmes.tools.hashing import file_sha256
from tests.olmes.edge_runs import Bench

VALUES = (
    ["1e50", "-1e50", "5e-324", "0", "1", "-0.0", "1e49", "2"],
    ["1e50"] * 8,
    ["1e-320"] * 8,
    ["5e-324", "1e-323"] * 4,
)
STEPS = (2**53, -(2**53), 1e-320, -0.0)


def run_of(bench: Bench, task: str, name: str, values: Sequence[str], step: float) -> Path:
    """A run whose responses are its scores, a checkpoint of one training."""
    recording = bench.folder / f"{name}.jsonl"
    rows = [{"doc_id": number, "response": value} for number, value in enumerate(values)]
    recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
    record = evaluate(
        task, model=f"replay:{recording}", data=bench.folder / "data", scoring_processes=1,
        out=bench.folder / "runs",
    )  # fmt: skip
    data = json.loads((record.folder / "run.json").read_text())
    data["model"] |= {"family": "extreme", "step": step}
    (record.folder / "run.json").write_text(json.dumps(data))
    return record.folder


def test_boards_and_comparisons_of_extreme_scores_are_made(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    task = bench.task("lots", 8, unit="number")
    settings = Settings(store=str(tmp_path / "store"))
    store = Store(settings)
    store.database.migrate()
    names = []
    for number, (values, step) in enumerate(zip(VALUES, STEPS, strict=True)):
        folder = run_of(bench, task, f"run{number}", values, step)
        files = files_of(folder)
        hashes = {name: file_sha256(path) for name, path in files.items()}
        store.add(take_in(settings, files, hashes), LOCAL, replace=False)
        names.append(folder.name)
    JsonResponse(report_pages.board_numbers(settings))
    report_pages.board_page(settings)
    report_pages.checkpoints_page(settings, "extreme")
    for pair in itertools.permutations(names, 2):
        numbers = report_pages.comparison_numbers(settings, pair, margin=0.01, force=True)
        assert JsonResponse(numbers).status_code == 200
    beyond = files_of(run_of(bench, task, "beyond", ["1e60"] * 8, 1))
    hashes = {name: file_sha256(path) for name, path in beyond.items()}
    with pytest.raises(RefusedError, match=r"beyond 1e\+50"):
        take_in(settings, beyond, hashes)
    store.database.close()


def test_no_difference_needs_more_items_than_a_double_counts() -> None:
    assert stats.items_needed(1e-320, 1e-9) == 2**53
    assert stats.items_needed(5e-324, 1e100) == 2**53
    assert stats.items_needed(5e-324, 0.0) == 1
    assert stats.items_needed(0.1, 0.25) == 197
