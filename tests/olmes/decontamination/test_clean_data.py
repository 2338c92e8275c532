"""Data of every form without some rows: what is written is read again as the other rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from olmes.decontamination.pairs import numbered
from olmes.decontamination.writers import writer_of
from olmes.rows.sources import find_source

ROWS = [{"prompt": f"text {n}", "n": n} for n in range(9)]
DROPPED = [1, 5, 9]


def text(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()  # without an end


def packed(name: str, pack: Callable[[bytes], bytes]) -> str:
    Path(name).write_bytes(pack(text(ROWS) + b"\n"))
    return name


def plain_file() -> str:
    return packed("train.jsonl", bytes)


def gzipped() -> str:
    import gzip

    return packed("train.jsonl.gz", gzip.compress)


def zstandard() -> str:
    import pyarrow

    return packed("train.jsonl.zst", lambda given: pyarrow.compress(given, "zstd", asbytes=True))


def xz() -> str:
    import lzma

    return packed("train.jsonl.xz", lzma.compress)


def bz2_file() -> str:
    import bz2

    return packed("train.jsonl.bz2", bz2.compress)


def array() -> str:
    Path("train.json").write_text(json.dumps(ROWS), "utf-8")
    return "train.json"


def shards_of_lines() -> str:
    Path("lines").mkdir()
    Path("lines/a.jsonl").write_bytes(text(ROWS[:4]))
    Path("lines/b.jsonl").write_bytes(text(ROWS[4:]))
    return "lines"


def parquet(name: str, rows: list[dict[str, Any]]) -> str:
    import pyarrow
    from pyarrow.parquet import write_table

    write_table(pyarrow.Table.from_pylist(rows), name, row_group_size=3)
    return name


def one_parquet() -> str:
    return parquet("train.parquet", ROWS)


def shards_of_tables() -> str:
    Path("tables").mkdir()
    parquet("tables/a.parquet", ROWS[:4])
    parquet("tables/b.parquet", ROWS[4:])
    return "tables/*.parquet"


def saved() -> str:
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk("saved")
    return "saved"


@pytest.mark.parametrize(
    "make",
    [
        plain_file, gzipped, zstandard, xz, bz2_file, array, shards_of_lines, one_parquet,
        shards_of_tables, saved,
    ],
)  # fmt: skip
@pytest.mark.parametrize("dropped", [[], DROPPED, list(range(1, 10))])
def test_the_other_rows_are_left(
    make: Callable[[], str],
    dropped: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = find_source(make())
    writer, ending = writer_of(source)
    stream = BytesIO()
    writer(source, dropped, stream)
    name = Path(f"clean{ending or ''.join(Path(source.name).suffixes)}")
    name.write_bytes(stream.getvalue())
    left = [row for _, row in numbered(find_source(str(name)))]
    assert left == [row for n, row in enumerate(ROWS, start=1) if n not in dropped]
