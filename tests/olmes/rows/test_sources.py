"""Every form of file gives the same rows, in pieces, with numbers over the whole."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from datasets import Dataset, DatasetDict
from pyarrow import feather, parquet

from olmes.errors import OlmesError
from olmes.rows import sources
from olmes.rows.hub_rows import HubRows
from olmes.rows.sources import find_source

ROWS = [{"prompt": f"row {n}"} for n in range(1, 31)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def zstd(data: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue())


def shards(path: Path) -> Path:
    (path / "data").mkdir(parents=True)
    (path / "data/train-0.jsonl").write_bytes(b"\n".join(LINES.split(b"\n")[:7]))
    (path / "data/train-1.jsonl.gz").write_bytes(
        gzip.compress(b"".join(LINES.splitlines(True)[7:20]))
    )
    parquet.write_table(pyarrow.Table.from_pylist(ROWS[20:]), path / "data/train-2.parquet")
    (path / "data/test-0.jsonl").write_text('{"prompt": "of another split"}\n')
    (path / "data/.hidden.jsonl").write_text("no JSON")
    return path


def repository(path: Path) -> Path:
    shards(path)
    for other in (path / "data").glob("train-[12]*"):
        other.unlink()
    (path / "data/train-0.jsonl").write_bytes(LINES)
    (path / "data/.hidden.jsonl").unlink()
    (path / "README.md").write_text("---\nlicense: mit\n---\n# Rows\n")
    return path


def saved(path: Path, *, splits: bool = False) -> Path:
    rows = Dataset.from_list(ROWS)
    (DatasetDict(train=rows, test=rows.select([0])) if splits else rows).save_to_disk(path)
    return path


def written(write: Callable[[Path], object], name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder / name)
        return folder / name

    return make


TABLE = pyarrow.Table.from_pylist(ROWS)
FORMS: dict[str, Callable[[Path], Path]] = {
    "lines": written(lambda p: p.write_bytes(LINES), "a.jsonl"),
    "gzip": written(lambda p: p.write_bytes(gzip.compress(LINES)), "a.jsonl.gz"),
    "zstd": written(lambda p: p.write_bytes(zstd(LINES)), "a.jsonl.zst"),
    "bzip2": written(lambda p: p.write_bytes(bz2.compress(LINES)), "a.jsonl.bz2"),
    "xz": written(lambda p: p.write_bytes(lzma.compress(LINES)), "a.jsonl.xz"),
    "array": written(lambda p: p.write_text(json.dumps(ROWS, indent=1)), "a.json"),
    "lines called JSON": written(lambda p: p.write_bytes(LINES), "a.json"),
    "packed array": written(lambda p: p.write_bytes(zstd(json.dumps(ROWS).encode())), "a.json.zst"),
    "Parquet": written(lambda p: parquet.write_table(TABLE, p, row_group_size=7), "a.parquet"),
    "Arrow": written(lambda p: feather.write_feather(TABLE, str(p), compression="zstd"), "a.arrow"),
    "Arrow of datasets": lambda folder: next(saved(folder / "saved").glob("*.arrow")),
    "saved": lambda folder: saved(folder / "saved"),
    "saved splits": lambda folder: saved(folder / "saved", splits=True),
    "shards": lambda folder: shards(folder / "shards"),
    "glob": lambda folder: shards(folder / "shards") / "data/train-*",
    "repository": lambda folder: repository(folder / "repository"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_rows_in_order(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PIECE_BYTES", 100)
    monkeypatch.setattr(sources, "PIECE_ROWS", 4)
    source = find_source(str(FORMS[form](tmp_path)))
    found = [
        (source.number(piece, given), row)
        for piece in source.pieces()
        for given, row, _ in source.read(piece)
    ]
    assert found == list(enumerate(ROWS, start=1))
    assert source.numbers() == len(ROWS)
    assert source.content() == find_source(source.name).content()


def rows_of(name: str, split: str = "train") -> list[object]:
    source = find_source(name, HubRows(split=split))
    return [row for piece in source.pieces() for _, row, _ in source.read(piece)]


def test_a_split_is_chosen_by_names(tmp_path: Path) -> None:
    found = rows_of(str(shards(tmp_path / "shards")), split="test")
    assert found == [{"prompt": "of another split"}]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.jsonl", "there is no file .*nothing.jsonl"),
        ("none-*.jsonl", "no data file matches .*none-"),
        ("empty", "empty has no data file; give a folder of"),
        ("bad.jsonl.zst", "bad.jsonl.zst cannot be read"),
        ("bad.jsonl.xz", "bad.jsonl.xz cannot be read"),
        ("bad.jsonl.bz2", "bad.jsonl.bz2 cannot be read"),
        ("bad.arrow", "bad.arrow cannot be read"),
        ("bad.json", "bad.json: not JSON"),
        ("splits", "splits has no split 'train'; it has test"),
    ],
)
def test_what_cannot_be_read_is_said(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"[these are no rows")
    DatasetDict(test=Dataset.from_list(ROWS)).save_to_disk(tmp_path / "splits")
    with pytest.raises(OlmesError, match=message):
        rows_of(str(tmp_path / name))
