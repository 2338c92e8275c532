"""Overlaps planted in training data: found or not, as the rule says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.matches import Match
from olmes.decontamination.scan import Index
from olmes.decontamination.tokens import tokens


def found(item: str | Sequence[str], *turns: str) -> list[Match]:
    texts = (item,) if isinstance(item, str) else tuple(item)
    one = Item("t/0", "0", texts, tuple(tuple(tokens(text)) for text in texts))
    evaluation = Evaluation(task="t", title="T", data_hash="", held_out=(), items=(one,))
    return list(Index.of([evaluation]).matches(1, turns))


WORDS = [f"word{n}" for n in range(100)]
QUESTION = "Natalia sold clips to 48 of her friends in April, and then she sold half as many."
CODE = '''def has_close_elements(numbers, threshold):
    """Check if any two numbers are closer than threshold."""
    for idx, elem in enumerate(numbers):'''


@pytest.mark.parametrize(
    ("item", "turn", "matched"),
    [
        (QUESTION, f"Solve this. {QUESTION} Thanks.", 17),
        (QUESTION, QUESTION.upper(), 17),
        (QUESTION, QUESTION.replace(",", " -").replace(".", "!"), 17),
        (QUESTION, QUESTION.replace(" ", " \n\t"), 17),
        (QUESTION, f"**{QUESTION.replace(' ', '** **')}**", 17),
        (QUESTION, QUESTION.replace("clips", "clips\u200b").replace("n", "\uff4e"), 17),
        (" ".join(WORDS), " ".join(WORDS[:51]), 51),
        (" ".join(WORDS), " ".join([*WORDS[:30], "other", *WORDS[60:90]]), 60),
        (" ".join(WORDS), " ".join([*WORDS[:51], "x"] * 3), 51),
        (CODE, CODE.replace("    ", "\t"), 21),
        (CODE, CODE.replace("_", " "), 21),
        ("Le café est là et fermé le lundi", "le cafe\u0301 est la\u0300 et ferme\u0301 LE lundi", 8),
        ("東京は日本の首都です", "質問：東京は日本の首都です。", 10),
    ],
)  # fmt: skip
def test_is_found(item: str, turn: str, matched: int) -> None:
    assert [one.matched for one in found(item, turn)] == [matched]


@pytest.mark.parametrize(
    ("item", "turn"),
    [
        (" ".join(WORDS), " ".join(WORDS[:49])),
        (" ".join(WORDS), " ".join(WORDS[:50])),
        (" ".join(WORDS), " ".join(" ".join(WORDS[n : n + 7]) + " x" for n in range(0, 100, 7))),
        (QUESTION, " ".join(reversed(QUESTION.split()))),
        (QUESTION, QUESTION.replace("to", "two").replace("April", "May").replace("she", "he")),
        ("Le café est fermé le dimanche et le lundi", "Le cafe est ferme le dimanche et le lundi"),
    ],
)
def test_is_not_found(item: str, turn: str) -> None:
    assert found(item, turn) == []


def test_turns_of_an_instance_add_up_and_no_ngram_spans_two() -> None:
    text = " ".join(WORDS)
    assert found(text, " ".join(WORDS[:30]), " ".join(WORDS[30:60]))[0].matched == 60
    assert not found(text, *(" ".join(WORDS[n : n + 7]) for n in range(0, 98, 7)))


def test_texts_of_an_item_are_one_count_and_no_ngram_spans_two() -> None:
    texts = (" ".join(WORDS[:10]), "the answer is yes", "forty two")
    assert found(texts, " ".join(WORDS[:10]))[0].matched == 10
    assert [one.matched for one in found(texts, " ".join(WORDS[:10]), "Forty-two")] == [12]
    assert not found((" ".join(WORDS[:6]), " ".join(WORDS[6:13])), " ".join(WORDS[3:13][:7]))


@pytest.mark.parametrize(
    ("item", "turn", "is_found"),
    [
        ("What is photosynthesis?", "what is photosynthesis", True),
        ("What is photosynthesis?", "Tell me: what is photosynthesis?", False),
        ("Who wrote the Iliad?", "Tell me: who wrote the Iliad? Quickly.", True),
        ("Who wrote the Iliad?", "Who wrote the Odyssey?", False),
        ("Simplify sqrt(12)", "simplify SQRT 12", True),
        ("one two three four five six seven", "one two three four five six", False),
        ("one two three four five six seven", "zero one two three four five six seven", True),
        ("...", "...", False),
        ("", "anything", False),
    ],
)
def test_short_texts_are_compared_whole(item: str, turn: str, is_found: bool) -> None:
    assert bool(found(item, turn)) is is_found


@pytest.mark.parametrize(
    ("item", "turn", "is_found"),
    [
        ("3 - 5", "3 + 5", False),
        ("3 - 5", "3 − 5", True),
        ("3 - 5", "3-5", True),
        ("3 - 5", "3 5", True),
        ("3 5", "3 + 5", True),
        ("3 × 5", "3*5", True),
        ("3 ** 5", "3 ^ 5", True),
        ("3 * 5", "3 ** 5", False),
        ("What is 12 + 7 + 3?", "Now: what is 12 + 7 + 3 ?", True),
        ("What is 12 + 7 + 3?", "Now: what is 12 + 7 - 3 ?", False),
        ("What is -3 + 5 + 1?", "What is 3 + 5 + 1?", False),
        ("-3 + 5", "3 + 5", False),
        ("3 + 5 + 1 + 2", "- 3 + 5 + 1 + 2", True),
        ("3 + 5 + 1 + 2", "So 3 - 5 + 1 + 2 and 3 + 5 + 1 + 2.", True),
        ("Solve x - 5 = 3", "Solve: x - 5 = 3", True),
        ("Solve x - 5 = 3 today", "Solve x + 5 = 3 today", False),
        ("Is a well-known fact true?", "is a well known fact true", True),
        ("7 / 2", "7 ÷ 2", True),
        ("7 < 2", "7 > 2", False),
    ],
)
def test_signs_of_arithmetic_tell_in_short_texts(item: str, turn: str, is_found: bool) -> None:
    assert bool(found(item, turn)) is is_found


def test_of_items_with_the_same_tokens_the_one_with_these_signs_is_found() -> None:
    texts = ["What is 3 + 5?", "What is 3 - 5?", "what is 3 5"]
    items = tuple(Item(f"t/{n}", str(n), (t,), (tuple(tokens(t)),)) for n, t in enumerate(texts))
    index = Index.of([Evaluation(task="t", title="T", data_hash="", held_out=(), items=items)])
    assert [one.item for one in index.matches(1, ["What is 3 - 5?"])] == [1, 2]
    assert [one.item for one in index.matches(1, ["What is 3, 5?"])] == [0, 1, 2]


def test_items_without_tokens_are_counted() -> None:
    items = tuple(Item(t, t, (t,), (tuple(tokens(t)),)) for t in ("?!", "a b"))
    one = Evaluation(task="t", title="T", data_hash="", held_out=(), items=items)
    assert one.without_tokens == 1
    assert [match.item for match in Index.of([one]).matches(1, ["a b"])] == [1]


def test_nothing_to_compare_is_no_error() -> None:
    empty = Evaluation(task="t", title="T", data_hash="", held_out=(), items=())
    for evaluations in ([], [empty]):
        assert list(Index.of(evaluations).matches(1, ["some text of a row"])) == []
    assert found("a b c d", "") == found("a b c d") == []
