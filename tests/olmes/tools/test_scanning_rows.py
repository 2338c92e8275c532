"""Samples read fast, without losing what the slow reader reads."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from olmes import OlmesError, evaluate
from olmes.records.record import VERDICT
from olmes.tools import jsonl

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench

ROWS = [
    {"a": 1, "b": [0.1, 1e-300, -0.0], "text": "line\u2028separator \ud83d\ude00 ünï"},
    {"nan": float("nan"), "inf": float("-inf")},
    {"lone": "\ud800"},
    {"nested": {"deep": [[[]]]}, "big": 2**53},
]


def test_scan_reads_what_read_reads(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    jsonl.write(path, ROWS)
    with path.open("a") as stream:
        stream.write("\n \n")
    fast, slow = list(jsonl.scan(path)), list(jsonl.read(path))
    assert math.isnan(fast[1].pop("nan"))
    assert math.isnan(slow[1].pop("nan"))
    assert fast == slow
    assert len(fast) == 4


def test_scan_names_a_line_that_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(OlmesError, match=r"rows\.jsonl, line 2: not JSON"):
        list(jsonl.scan(path))
    with pytest.raises(OlmesError, match="cannot be read"):
        list(jsonl.scan(tmp_path / "missing.jsonl"))


def test_verdicts_are_the_samples_without_their_texts(echo: EchoBench, tmp_path: Path) -> None:
    record = evaluate(
        str(echo.task),
        model=f"replay:{echo.recording}",
        data=echo.data,
        out=tmp_path,
        scoring_processes=1,
    )
    samples = list(record.samples("echo"))
    assert list(record.verdicts("echo")) == [
        {name: json.loads(json.dumps(row))[name] for name in VERDICT} for row in samples
    ]
