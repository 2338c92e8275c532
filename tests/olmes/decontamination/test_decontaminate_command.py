"""`olmes decontaminate` on planted data: what it counts, prints, writes, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click import UsageError

from olmes import OlmesError
from olmes.decontamination.tokens import tokens
from tests.olmes.decontamination.conftest import Bench, Command, plain, riddle, solution


@pytest.mark.parametrize(("planted", "status"), [(0, 0), (1, 0), (2, 1)])
def test_more_than_two_percent_is_contaminated(
    bench: Bench, decontaminate: Command, planted: int, status: int
) -> None:
    """One of fifty is two percent, and not more."""
    texts = [f"Well: {riddle('open', n).upper()}" for n in range(planted)]
    data = bench.train("train.jsonl", [*texts, *map(plain, range(30))])
    printed = decontaminate(data, "--against", bench.file("open"), status=status).stdout
    assert ("contaminated" in printed) == bool(status)
    found = json.loads(
        decontaminate(data, "--against", bench.file("open"), "--json", status=status).stdout
    )
    [one] = found["data_sets"]
    assert one["overlaps"] == [
        {
            "task": "open", "n": 50, "without_tokens": 0, "overlapped": planted,
            "share": planted / 50, "matched_rows": planted, "contaminated": bool(status),
        }
    ]  # fmt: skip
    assert (found["contaminated"], one["rows"]) == (bool(status), 30 + planted)


def test_an_item_counts_once_and_rows_each(bench: Bench, decontaminate: Command) -> None:
    data = bench.train("train.jsonl", [riddle("open", 3)] * 4 + [plain(1)])
    found = json.loads(decontaminate(data, "--against", bench.file("open"), "--json").stdout)
    [one] = found["data_sets"][0]["overlaps"]
    assert (one["overlapped"], one["matched_rows"]) == (1, 4)


def test_answers_are_compared_where_asked(bench: Bench, decontaminate: Command) -> None:
    data = bench.train("train.jsonl", [solution("open", n) for n in range(5)])
    against = (data, "--against", bench.file("open"))
    decontaminate(*against)
    decontaminate(*against, "--fields", "answer", status=1)
    # With both, an answer alone is less than half of what is compared.
    decontaminate(*against, "--fields", "question,answer")
    with pytest.raises(OlmesError, match="write question, answer, or question,answer"):
        decontaminate(*against, "--fields", "response")


def test_the_table_fits_a_terminal_and_every_data_set_is_in_it(
    bench: Bench, decontaminate: Command
) -> None:
    one = bench.train("one.jsonl", [riddle("open", n) for n in range(3)])
    other = bench.train("other.jsonl", [plain(1)])
    against = f"{bench.file('open')},{bench.exam},{bench.file('gated')}"
    printed = decontaminate(one.name, other.name, "--against", against, status=1).stdout
    table = printed.partition("\n!")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "one.jsonl: contaminated: more than 2 % of the items of open" in printed
    assert "other.jsonl: no evaluation has more than 2 % of its items in 1 rows" in printed
    assert "sealed (held out)" in printed
    assert "gated (gated)" in printed


def test_pairs_mark_the_same_words_on_both_sides(bench: Bench, decontaminate: Command) -> None:
    half = " ".join(riddle("open", 7).split()[:14]).replace(" ", " , ").title()
    long = f"{'far before ' * 100} {half} {'far behind ' * 100}"
    data = bench.train("train.jsonl", [plain(0), long, riddle("open", 8)])
    decontaminate(data, "--against", bench.file("open"), "--report", "report", status=1)
    lines = [
        json.loads(line) for line in Path("report/pairs.jsonl").read_text("utf-8").splitlines()
    ]
    assert [(one["row"], one["row_id"], one["item"]) for one in lines] == [
        (2, "id-1", "open/7"),
        (3, "id-2", "open/8"),
    ]
    first = lines[0]
    assert (first["matched"], first["tokens"], first["share"]) == (14, 24, 14 / 24)
    sides = [
        [
            word
            for one in first[side]
            for start, end in one["spans"]
            for word in tokens(one["text"][start:end])
        ]
        for side in ("item_texts", "row_texts")
    ]
    assert sides[0] == sides[1] == tokens(half)
    [part] = first["row_texts"]
    assert part["text"] == long[part["start"] : part["start"] + len(part["text"])]
    assert len(part["text"]) < 600
    counts = json.loads(Path("report/overlap.json").read_text("utf-8"))
    [own] = counts["data_sets"][0]["overlaps"]
    assert [item["id"] for item in own["items"]] == ["open/7", "open/8"]


def test_the_clean_folder_has_every_other_row_byte_for_byte(
    bench: Bench, decontaminate: Command
) -> None:
    data = bench.folder / "odd.jsonl"
    kept = [
        b'{"prompt":   "caf\\u00e9 one two", "x": 1.0}\r\n', b"\n", b'{"prompt": "b", "y": [1,2]}\n',
        b'{"x":1e3,"prompt":"last, without an end"}',
    ]  # fmt: skip
    leak = json.dumps({"prompt": riddle("open", 4)}).encode() + b"\n"
    data.write_bytes(leak + kept[0] + kept[1] + leak + kept[2] + leak + kept[3])
    decontaminate(data, "--against", bench.file("open"), "--out", "clean")
    assert Path("clean/odd.jsonl").read_bytes() == b"".join(kept)
    note = json.loads(Path("clean/decontamination.json").read_text("utf-8"))
    [one] = note["data_sets"]
    assert (one["rows"], one["kept"], one["dropped"], one["file"]) == (6, 3, 3, "odd.jsonl")
    again = decontaminate("clean/odd.jsonl", "--against", bench.file("open"), "--json").stdout
    assert json.loads(again)["data_sets"][0]["overlaps"][0]["overlapped"] == 0


def test_a_gzipped_and_a_parquet_file_stay_what_they_are(
    bench: Bench, decontaminate: Command
) -> None:
    import gzip

    import pyarrow as pa
    from pyarrow import parquet

    texts = [plain(0), riddle("open", 1), plain(2), riddle("open", 2), plain(4)]
    schema = pa.schema(
        [("prompt", pa.large_string()), ("n", pa.int8())], metadata={"made": "by hand"}
    )
    table = pa.table({"prompt": texts, "n": range(5)}, schema=schema)
    parquet.write_table(table, "train.parquet", row_group_size=2, compression="zstd")
    lines = [json.dumps({"prompt": text}).encode() + b"\n" for text in texts]
    Path("train.jsonl.gz").write_bytes(gzip.compress(b"".join(lines)))
    decontaminate(
        "train.parquet", "train.jsonl.gz", "--against", bench.file("open"), "--out", "clean",
        status=1,
    )  # fmt: skip
    with parquet.ParquetFile("clean/train.parquet") as file:
        left = file.read()
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert left.schema.equals(schema, check_metadata=True)
    assert left.column("n").to_pylist() == [0, 2, 4]
    unpacked = gzip.decompress(Path("clean/train.jsonl.gz").read_bytes())
    assert unpacked == lines[0] + lines[2] + lines[4]


def test_files_of_one_name_have_names_of_their_own(bench: Bench, decontaminate: Command) -> None:
    for folder in "ab":
        (bench.folder / folder).mkdir()
        bench.train(f"{folder}/train.jsonl", [plain(0), f"of {folder} and nothing else"])
    decontaminate(
        "a/train.jsonl", "b/train.jsonl", "--against", bench.file("open"), "--out", "clean"
    )
    for name, folder in (("train.jsonl", "a"), ("train-2.jsonl", "b")):
        assert f"of {folder} and" in Path("clean", name).read_text("utf-8")


def test_a_clean_folder_is_never_anybody_elses(bench: Bench, decontaminate: Command) -> None:
    data = bench.train("train.jsonl", [plain(0)])
    against = (data, "--against", bench.file("open"), "--out")
    Path("other").mkdir()
    Path("other/mine.txt").write_text("mine", "utf-8")
    with pytest.raises(OlmesError, match=r"other has other files \(mine.txt\)"):
        decontaminate(*against, "other")
    with pytest.raises(OlmesError, match="holds .*train.jsonl itself"):
        decontaminate(*against, bench.folder)
    assert data.is_file()
    # Its own it writes again.
    decontaminate(*against, "clean")
    decontaminate(*against, "clean")
    assert Path("clean/train.jsonl").read_bytes() == data.read_bytes()


def test_tasks_without_data_are_skipped_aloud(bench: Bench, decontaminate: Command) -> None:
    data = bench.train("train.jsonl", [plain(0)])
    (bench.data / "gated/test.jsonl").unlink()
    both = f"{bench.file('open')},{bench.file('gated')}"
    printed = decontaminate(data, "--against", both).stdout
    assert "! gated: skipped: gated has no data here" in printed
    found = json.loads(decontaminate(data, "--against", both, "--json").stdout)
    assert "gated has no data here" in found["skipped"]["gated"]
    with pytest.raises(OlmesError, match="nothing to compare with: gated: gated has no data"):
        decontaminate(data, "--against", bench.file("gated"))


def test_items_and_rows_without_words_are_counted_apart(
    bench: Bench, decontaminate: Command
) -> None:
    with (bench.data / "open/test.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"riddle": "?!", "solution": "…"}\n')
    data = bench.train("train.jsonl", [plain(0)])
    with data.open("a", encoding="utf-8") as stream:
        stream.write('{"messages": [{"role": "assistant", "content": "hello"}]}\n')
    printed = decontaminate(data, "--against", bench.file("open")).stdout
    assert "open: 1 of 51 items have no word to compare" in printed
    assert "1 of 2 rows have no text that is compared" in printed


def test_data_in_which_nothing_can_be_compared_are_not_clean(
    bench: Bench, decontaminate: Command
) -> None:
    data = bench.folder / "odd.jsonl"
    data.write_text(json.dumps({"ask": riddle("open", 1)}) + "\n", "utf-8")
    against = (data, "--against", bench.file("open"))
    with pytest.raises(OlmesError, match=r"none of the 1 rows .* with --field"):
        decontaminate(*against)
    with pytest.raises(OlmesError, match="in the field asked"):
        decontaminate(*against, "--field", "asked")
    found = json.loads(decontaminate(*against, "--field", "ask", "--json").stdout)
    assert found["data_sets"][0]["overlaps"][0]["overlapped"] == 1
    data.write_text("", "utf-8")
    with pytest.raises(OlmesError, match="has no rows"):
        decontaminate(*against)


def test_wrong_names_are_found_before_anything_is_read(
    bench: Bench, decontaminate: Command
) -> None:
    data = bench.train("train.jsonl", [plain(0)])
    with pytest.raises(OlmesError, match="there is no suite or task"):
        decontaminate(data, "--against", "dev,unsen")
    with pytest.raises(OlmesError, match="there is no file"):
        decontaminate("missing.jsonl", "--against", bench.file("open"))
    for arguments in [(), (data,), ("--against", "dev"), (data, "--check-published", "--out", "x")]:
        with pytest.raises(UsageError):
            decontaminate(*arguments)


def test_a_broken_line_is_named_and_nothing_is_written(
    bench: Bench, decontaminate: Command
) -> None:
    data = bench.train("train.jsonl", [riddle("open", 1)])
    with data.open("a", encoding="utf-8") as stream:
        stream.write("{\n")
    with pytest.raises(OlmesError, match="train.jsonl, line 2: not JSON"):
        decontaminate(data, "--against", bench.file("open"), "--report", "r", "--out", "c")
    assert not list(Path("r").iterdir())
    assert not Path("c").exists()


def test_a_set_of_the_hub_is_read_and_written_as_parquet(
    bench: Bench, decontaminate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's library reads a folder with a page about it as it reads a set of the hub."""
    from pyarrow import parquet

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", bench.folder / "sets")
    (bench.folder / "lab/riddles").mkdir(parents=True)
    bench.train("lab/riddles/train.jsonl", [plain(0), riddle("open", 3), plain(2)])
    bench.train("lab/riddles/test.jsonl", [riddle("open", 4)])
    (bench.folder / "lab/riddles" / "README.md").write_text("# Riddles\n", "utf-8")
    against = ("lab/riddles", "--against", bench.file("open"))
    found = json.loads(decontaminate(*against, "--out", "clean", "--json").stdout)
    [one] = found["data_sets"]
    assert (one["rows"], one["overlaps"][0]["overlapped"]) == (3, 1)
    [file] = [path for path in Path("clean").iterdir() if path.suffix == ".parquet"]
    assert parquet.read_table(file).column("id").to_pylist() == ["id-0", "id-2"]
    of_test = json.loads(decontaminate(*against, "--split", "test", "--json").stdout)
    assert of_test["data_sets"][0]["rows"] == 1
