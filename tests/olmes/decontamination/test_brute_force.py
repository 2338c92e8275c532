"""Every overlap and every count, beside plain loops over all rows and items that share no code."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from olmes.decontamination import scan
from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.matches import Match
from olmes.decontamination.processes import compare
from olmes.decontamination.scan import Index
from olmes.decontamination.tokens import tokens
from olmes.rows.sources import find_source

DOCUMENTS, ITEMS = 2000, 60
VOCABULARY = [f"w{n}" for n in range(40)]
Items = dict[str, list[list[str]]]
"""The texts of items by name of an evaluation."""


def text(chance: random.Random, longest: int) -> str:
    return " ".join(chance.choices(VOCABULARY, k=chance.randint(0, longest)))


def items(chance: random.Random) -> Items:
    """Some of one text and some of several, from no token to fifty."""
    names = ["first", "second"]
    return {
        name: [
            [text(chance, chance.choice([3, 7, 12, 50])) for _ in range(chance.choice([1, 1, 3]))]
            for _ in range(ITEMS // 2)
        ]
        for name in names
    }


def turn(chance: random.Random, known: Items) -> str:
    """Random words between parts of items."""
    parts = []
    for _ in range(chance.randint(1, 3)):
        words = tokens(chance.choice(chance.choice(chance.choice(list(known.values())))))
        start = chance.randint(0, max(0, len(words) - 1))
        end = chance.randint(start, len(words)) if chance.random() < 0.7 else len(words)
        parts.append(" ".join(words[start if chance.random() < 0.7 else 0 : end]))
        if chance.random() < 0.5:
            parts.append(text(chance, 20))
    return " ".join(parts)


def documents(chance: random.Random, known: Items) -> list[list[str]]:
    return [
        [turn(chance, known) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.5
        else [text(chance, 60) for _ in range(chance.randint(1, 2))]
        for _ in range(DOCUMENTS)
    ]


def evaluations(known: Items) -> list[Evaluation]:
    return [
        Evaluation(
            task=name,
            title=name,
            data_hash="",
            held_out=(),
            items=tuple(
                Item(f"{name}/{n}", str(n), tuple(texts), tuple(tuple(tokens(t)) for t in texts))
                for n, texts in enumerate(listed)
            ),
        )
        for name, listed in known.items()
    ]


def by_brute_force(known: Items, rows: Sequence[Sequence[str]]) -> list[Match]:
    """Tülu 3's rule, word by word."""
    found = []
    compared = [
        (task, place, [tokens(one) for one in texts])
        for task, listed in known.items()
        for place, texts in enumerate(listed)
    ]
    for number, turns in enumerate(rows, start=1):
        said = [tokens(turn) for turn in turns]
        runs = {
            tuple(t[i : i + n]) for t in said for n in range(4, 9) for i in range(len(t) - n + 1)
        }
        for task, place, texts in compared:
            matched = 0
            for words in texts:
                if len(words) >= 8:
                    hit = set()
                    for i in range(len(words) - 7):
                        if tuple(words[i : i + 8]) in runs:
                            hit |= set(range(i, i + 8))
                    matched += len(hit)
                elif len(words) >= 4:
                    matched += len(words) * (tuple(words) in runs)
                else:
                    matched += len(words) * (words in said)
            length = sum(map(len, texts))
            if 2 * matched > length:
                found.append(Match(number, task, place, matched, length))
    return found


@pytest.fixture(scope="module")
def known() -> Items:
    return items(random.Random(8))


@pytest.fixture(scope="module")
def rows(known: Items) -> list[list[str]]:
    return documents(random.Random(50), known)


@pytest.fixture(scope="module")
def expected(known: Items, rows: list[list[str]]) -> list[Match]:
    found = by_brute_force(known, rows)
    assert len({one.row for one in found}) > 500
    assert len({(one.task, one.item) for one in found}) > 40
    assert sum(one.matched < one.length for one in found) > 100
    return found


@pytest.mark.parametrize("processes", [1, 3])
def test_every_overlap_is_found_and_no_other(
    known: Items,
    rows: list[list[str]],
    expected: list[Match],
    processes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "rows.jsonl"
    chats = [{"messages": [{"role": "user", "content": said} for said in turns]} for turns in rows]
    path.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    monkeypatch.setattr("olmes.rows.sources.PIECE_BYTES", path.stat().st_size // 11)
    monkeypatch.setattr("olmes.decontamination.processes.BATCH_CHARACTERS", 5000)
    compared = compare(find_source(str(path)), Index.of(evaluations(known)), processes=processes)
    assert list(compared) == expected
    assert compared.rows == DOCUMENTS
    assert compared.without_text == sum(not any(turns) for turns in rows)


def test_however_many_are_looked_at_together(
    known: Items,
    rows: list[list[str]],
    expected: list[Match],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan, "AT_ONCE", 50)
    index = Index.of(evaluations(known))
    assert list(index.matches_of(list(enumerate(rows, start=1)))) == expected
    one_by_one = [match for n, turns in enumerate(rows, 1) for match in index.matches(n, turns)]
    assert one_by_one == expected
