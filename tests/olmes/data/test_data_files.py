from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from olmes.data import files
from olmes.errors import OlmesError

ROWS = [{"a": "x\u2028y", "b": 1}, {"a": "ü", "b": 2}]


def put(path: Path, text: str) -> Path:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
class TestFormats:
    def test_json_lines(self, tmp_path: Path, suffix: str) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
        assert files.rows(put(tmp_path / f"t.jsonl{suffix}", text)) == ROWS

    def test_array(self, tmp_path: Path, suffix: str) -> None:
        assert files.rows(put(tmp_path / f"t.json{suffix}", json.dumps(ROWS))) == ROWS

    def test_object_with_examples(self, tmp_path: Path, suffix: str) -> None:
        text = json.dumps({"canary": "…", "examples": ROWS})
        assert files.rows(put(tmp_path / f"t.json{suffix}", text)) == ROWS

    def test_csv(self, tmp_path: Path, suffix: str) -> None:
        text = '\ufeffa,b c\n"one, ""two""\r\nthree",4\n\nfive,\n'
        assert files.rows(put(tmp_path / f"t.csv{suffix}", text)) == [
            {"a": 'one, "two"\r\nthree', "b c": "4"},
            {"a": "five", "b c": ""},
        ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.jsonl", '{"a": 1}\n\n{"a": \n', r"t\.jsonl, line 3: not JSON"),
        ("t.jsonl", '{"a": 1}\n[2]\n', r"t\.jsonl, row 2: list where an object belongs"),
        ("t.json", "[{", r"t\.json: not JSON .*line 1"),
        ("t.json", '{"rows": []}', r"neither an array nor an object with 'examples'"),
        ("t.csv", "a,b\n1,2\n3\n", r"t\.csv, line 3: 1 values under a header of 2"),
        ("t.csv", 'a,b\n1,"2\n', r"t\.csv, line 2: not CSV"),
        ("t.tsv", "", r"t\.tsv has no format"),
        ("t.parquet", "", r"t\.parquet: not Parquet .*write it again"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(OlmesError, match=message):
        files.rows(put(tmp_path / name, text))


@pytest.mark.parametrize("read", [files.rows, files.uncompressed])
@pytest.mark.parametrize("damage", ["cut", "flipped", "not gzip"])
def test_damaged_gzip_is_an_error_that_names_the_file(
    tmp_path: Path, read: object, damage: str
) -> None:
    whole = bytearray(gzip.compress(b'{"a": "0123456789"}\n' * 50))
    if damage == "flipped":
        whole[12:20] = b"\xff" * 8
    raw = {"cut": whole[:-20], "flipped": whole, "not gzip": b"{}"}[damage]
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(bytes(raw))
    with pytest.raises(OlmesError, match=r"t\.jsonl\.gz cannot be read"):
        read(path)  # type: ignore[operator]


def test_a_file_is_found_gzipped_or_plain_as_named_first(tmp_path: Path) -> None:
    assert files.find(tmp_path, "x/t.jsonl.gz") is None
    (tmp_path / "x").mkdir()
    plain = put(tmp_path / "x/t.jsonl", "{}\n")
    assert files.find(tmp_path, "x/t.jsonl.gz") == plain
    packed = put(tmp_path / "x/t.jsonl.gz", "{}\n")
    assert files.find(tmp_path, "x/t.jsonl.gz") == packed
    assert files.find(tmp_path, "x/t.jsonl") == plain
    plain.unlink()
    assert files.find(tmp_path, "x/t.jsonl") == packed
