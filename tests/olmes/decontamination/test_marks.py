"""What is marked in a pair is what was counted, on both sides."""

from __future__ import annotations

import random

import pytest

from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.marks import CONTEXT, Marked, marks
from olmes.decontamination.scan import Index
from olmes.decontamination.tokens import tokens

WORDS = ["one", "Two", "3", "fünf", "漢字", "x", "_y_", "½", "...", "-", "+", "don't", "ﬁne", "4"]


def item_of(*texts: str) -> Item:
    return Item("t/0", "0", texts, tuple(tuple(tokens(text)) for text in texts))


def before(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.choice([0, 3])))


def marked_words(parts: list[Marked]) -> list[str]:
    return [
        word for one in parts for start, end in one.spans for word in tokens(one.text[start:end])
    ]


def test_as_many_tokens_are_marked_as_were_counted() -> None:
    chance = random.Random(5)
    seen = 0
    for _ in range(400):
        texts = [
            " ".join(chance.choices(WORDS, k=chance.choice([2, 4, 6, 12, 25]))) for _ in range(2)
        ]
        turns = [
            f"{before(chance)} {text} 3 x" if chance.random() < 0.7 else text for text in texts
        ]
        item = item_of(*texts)
        one = Evaluation(task="t", title="t", data_hash="", held_out=(), items=(item,))
        for match in Index.of([one]).matches(1, turns):
            seen += 1
            whole, parts = marks(item, turns)
            assert len(marked_words(whole)) == match.matched
            assert set(marked_words(parts)) == set(marked_words(whole))
            for part in parts:
                turn = turns[part.number]
                assert turn[part.start : part.start + len(part.text)] == part.text
    assert seen > 200


@pytest.mark.parametrize(
    ("text", "turn", "marked"),
    [
        ("3 - 5", "3 + 5", []),
        ("3 - 5", "3 − 5", ["3", "5"]),
        ("one two three", "one two three four", []),
        ("one two three", "ONE, two: three!", ["one", "two", "three"]),
        ("one two three four", "so one two three four it is", ["one", "two", "three", "four"]),
    ],
)
def test_short_texts_are_marked_by_the_rule_of_the_scan(
    text: str, turn: str, marked: list[str]
) -> None:
    whole, parts = marks(item_of(text), [turn])
    assert marked_words(whole) == marked_words(parts) == marked


def test_a_long_turn_is_cut_around_what_is_the_same() -> None:
    words = [f"w{n}" for n in range(20)]
    turn = f"{'a b ' * 500}{' '.join(words[:10])}{' c d' * 500} {' '.join(words[10:])}"
    _, parts = marks(item_of(" ".join(words)), ["nothing", turn])
    assert [one.number for one in parts] == [1, 1]
    assert marked_words(parts) == words
    assert all(len(one.text) <= 2 * CONTEXT + len(" ".join(words)) for one in parts)
    texts = [text for text, same in parts[0].segments() if same]
    assert texts == [" ".join(words[:10])]
