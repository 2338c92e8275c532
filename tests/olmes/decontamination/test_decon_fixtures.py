"""The fixtures of allenai/decon and what its tests expect of them, under this rule.

That tool scores an item by its own weights (5-grams of a tokenizer, rare ones count more; 0.75 for
the question, 0.25 for the answer), and calls 0.8 contaminated. Ours is the paper's: more than half of
the tokens in 8-grams, or the whole of a short text. All that its tests must find is found; what they
leave open, and what its weights would decide otherwise, stands at each test.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.processes import compare
from olmes.decontamination.scan import Index
from olmes.decontamination.tokens import tokens
from olmes.rows.sources import find_source

DATA = Path(__file__).parents[4] / "shared/data/decon/fixtures"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the fixtures are not here")

FULL = "passage_question_answer_reference"
Pairs = dict[tuple[int, int], str]
"""A line of the training data, a line of the reference: how much is matched."""


def lines(folder: str, name: str) -> list[dict[str, str]]:
    text = gzip.decompress((DATA / folder / f"{name}.jsonl.gz").read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def index(reference: str, *, answers: bool = False) -> Index:
    fields = ("passage", "question", *(("answer",) if answers else ()))
    items = []
    for number, row in enumerate(lines("reference", reference)):
        texts = tuple(row[field] for field in fields if field in row)
        items.append(Item(str(number), "", texts, tuple(tuple(tokens(text)) for text in texts)))
    return Index.of(
        [Evaluation(task="t", title="T", data_hash="", held_out=(), items=tuple(items))]
    )


def overlaps(reference: str, training: str, *, answers: bool = False) -> Pairs:
    against = index(reference, answers=answers)
    return {
        (match.row, match.item): f"{match.matched} of {match.length}"
        for number, row in enumerate(lines("training", training))
        for match in against.matches(number, [row["text"]])
    }


@pytest.mark.parametrize(
    ("reference", "training", "expected"),
    [
        (FULL, "contaminated_mixed", {(0, 0): "25 of 25", (3, 1): "9 of 9"}),
        (FULL, "clean", {}),
        (FULL, "contaminated_middle_position", {(0, 0): "25 of 25"}),
        (FULL, "contaminated_at_beginning", {(0, 0): "25 of 25"}),
        (FULL, "contaminated_at_end", {(0, 0): "25 of 25"}),
        (FULL, "contaminated_multiple_in_one", {(0, 0): "25 of 25", (0, 1): "9 of 9"}),
        (FULL, "long_document", {(0, 0): "25 of 25", (0, 1): "9 of 9"}),
        ("question_reference", "contaminated_punctuation_variation", {(0, 0): "25 of 25"}),
    ],
)
def test_what_decon_must_report_overlaps(reference: str, training: str, expected: Pairs) -> None:
    """Found, and nothing else: no difference here. Two overlaps or more, where it asks for so many."""
    assert overlaps(reference, training) == expected


@pytest.mark.parametrize("edit", ["edit", "insertion", "deletion"])
def test_an_edit_in_a_word(edit: str) -> None:
    """Open in decon ("may or may not"). Here no 8-gram has the misspelt word, and the others count."""
    assert overlaps(FULL, f"contaminated_single_{edit}") == {(0, 0): "16 of 25"}


def test_the_edge_cases() -> None:
    """decon asks only that a lower threshold reports no less. Under the paper's one rule:

    punctuation and marks of style are folded, a passage without its question is 18 of 25 tokens, a
    question among facts is whole; sentences taken apart and words misspelt leave no 8-gram.
    """
    found = overlaps(FULL, "contaminated_edge_cases")
    assert found == {(1, 0): "18 of 25", (2, 0): "18 of 25", (3, 1): "9 of 9"}


def test_answers() -> None:
    """decon weighs answers 0.25 and calls no number of these.

    Here its 22 tokens of answer count like the 6 of its question, which is not there; an answer of
    one token ("1889") is compared with whole turns, so that it adds none.
    """
    found = overlaps(FULL, "contaminated_mixed", answers=True)
    assert found == {(0, 0): "25 of 26", (3, 1): "9 of 10", (4, 2): "22 of 28"}


def test_what_is_left_when_rows_are_dropped() -> None:
    """decon: at most three of five lines."""
    assert 5 - len({row for row, _ in overlaps(FULL, "contaminated_mixed")}) == 3


def zstd(path: Path, data: bytes) -> None:
    with pyarrow.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(data)


PACK: dict[str, Callable[[Path, bytes], object]] = {
    "gz": lambda path, data: path.write_bytes(gzip.compress(data)),
    "bz2": lambda path, data: path.write_bytes(bz2.compress(data)),
    "xz": lambda path, data: path.write_bytes(lzma.compress(data)),
    "zst": zstd,
}


@pytest.mark.parametrize("packed", PACK)
def test_packed_files(packed: str, tmp_path: Path) -> None:
    plain = gzip.decompress((DATA / "training/contaminated_mixed.jsonl.gz").read_bytes())
    path = tmp_path / f"rows.jsonl.{packed}"
    PACK[packed](path, plain)
    compared = compare(find_source(str(path)), index(FULL))
    assert [(match.row, match.item) for match in compared] == [(1, 0), (4, 1)]
