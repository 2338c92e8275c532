"""Arguments are checked when a constraint is built, and never made up."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from olmes import OlmesError
from olmes.scoring.constraints.catalog import Catalog
from olmes.scoring.constraints.ifeval.content import NoComma
from olmes.scoring.constraints.ifeval.instructions import IFEVAL
from olmes.scoring.constraints.ifeval.keywords import LetterFrequency

WORDS = "length_constraints:number_words"


@pytest.mark.parametrize(
    ("id_", "arguments", "said"),
    [
        (WORDS, {"relation": "at least"}, "needs the argument 'num_words'"),
        (WORDS, {"relation": "at least", "num_words": None}, "needs the argument 'num_words'"),
        (WORDS, {"relation": "at most", "num_words": 3}, "'relation' must be 'less than' or"),
        (WORDS, {"relation": "at least", "num_words": "3"}, "'num_words' must be a count"),
        (WORDS, {"relation": "at least", "num_words": 3.5}, "'num_words' must be a count"),
        (WORDS, {"relation": "at least", "num_words": -1}, "'num_words' must be a count"),
        (WORDS, {"relation": "at least", "num_words": True}, "'num_words' must be a count"),
        (WORDS, {"relation": "at least", "num_words": 3, "x": 1}, "has no argument 'x'"),
        ("punctuation:no_comma", {"x": 1}, "has no argument 'x'; it takes none"),
        ("keywords:existence", {"keywords": "word"}, "'keywords' must be a list of texts"),
        ("keywords:existence", {"keywords": []}, "'keywords' must be a list of texts"),
        ("keywords:existence", {"keywords": [1]}, "'keywords' must be a list of texts"),
        ("combination:repeat_prompt", {}, "needs the argument 'prompt_to_repeat'"),
        ("startend:end_checker", {"end_phrase": 3}, "'end_phrase' must be a text"),
        (
            "keywords:letter_frequency",
            {"letter": "ab", "let_relation": "at least", "let_frequency": 1},
            "'letter' must be one character",
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"},
            "'nth_paragraph' must be 1 to 2",
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 0, "first_word": "a"},
            "'nth_paragraph' must be 1 to 2",
        ),
        ("keywords:none_such", {}, "there is no instruction 'keywords:none_such'"),
    ],
)
def test_bad_arguments_are_named(id_: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(OlmesError) as error:
        IFEVAL.item([id_], [arguments], key=1234)
    assert said in str(error.value)
    assert "item 1234" in str(error.value)
    assert id_ in str(error.value)


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(OlmesError, match="item 7: 1 instructions have 2 sets of arguments"):
        IFEVAL.item(["punctuation:no_comma"], [{}, {}], key=7)


def test_zero_is_an_argument_and_none_is_absent() -> None:
    built = IFEVAL.build(WORDS, {"relation": "less than", "num_words": 0, "letter": None})
    assert built.arguments() == {"relation": "less than", "num_words": 0}
    assert not built.check("one")


def test_whole_floats_are_counts() -> None:
    built = IFEVAL.build(WORDS, {"relation": "less than", "num_words": 3.0})
    assert built == IFEVAL.build(WORDS, {"relation": "less than", "num_words": 3})


def test_an_item_is_built_once() -> None:
    ids, kwargs = ["keywords:existence"], [{"keywords": ["a", "b"]}]
    assert IFEVAL.item(ids, kwargs) is IFEVAL.item(list(ids), [dict(kwargs[0])], key=3)


def test_two_constraints_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="same id"):
        Catalog(NoComma, LetterFrequency, NoComma)


@pytest.mark.parametrize("id_", sorted(IFEVAL.kinds))
def test_drawn_arguments_are_valid_varied_and_told(id_: str) -> None:
    kind = IFEVAL.kinds[id_]
    drawn = [kind.draw(Random(seed), "Name a river.") for seed in range(60)]
    assert [kind.draw(Random(seed), "Name a river.") for seed in range(60)] == drawn
    for constraint in drawn:
        assert IFEVAL.build(id_, constraint.arguments()) == constraint
        told = constraint.describe()
        assert "{" not in told
        for value in constraint.arguments().values():
            assert all(str(v) in told or v == "Name a river." for v in flattened(value))
    if drawn[0].arguments() and id_ != "combination:repeat_prompt":
        assert len(set(drawn)) > 1


def flattened(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
