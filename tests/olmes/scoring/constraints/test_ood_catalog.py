"""IFEval-OOD and IFBench: 62 types, their arguments, examples and behaviour on hostile texts."""

from __future__ import annotations

import inspect
import sys
from random import Random
from typing import Any

import pytest

from olmes import OlmesError
from olmes.scoring.constraints.ifbench import tagger as ood_tagger
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.compose import offend
from olmes.scoring.constraints.ifbench.instructions import (
    DROPPED,
    IFBENCH,
    IFBENCH_BY_REFERENCE,
    KINDS,
)
from olmes.scoring.constraints.judging import judge

IDS = sorted(IFBENCH.kinds)
PROMPT = "Name a long river of the north, and say where it ends."
# The published list of capitals is without Kyiv.
NO_TEXT_MEETS_BOTH = {"custom:european_capitals_sort"}

HOSTILE = (
    "\0",
    "\ud800",
    "“",
    "'" * 999,
    '"' * 999,
    "(" * 20_000,
    "[{(" * 9_999 + ")" * 9_999,
    "*" * 9_999,
    "\n" * 2_000 + "x",
    "* \n" * 999,
    "<i>" * 9_999,
    "<i></i>" * 999,
    ". " * 999,
    "?!" * 999,
    "ß İ ŉ ﬁ ² ٣ ½",
    "😀" * 999,
    "\u0301\u200b\u202e",
    "a\rb",
    "Question " * 999,
    "Zimbabwe\n" * 999,
    "9" * 9_999,
    "x" * 50_000,
    "1805-12-02," * 999,
    ",".join('"' * 5),
    "lambda: " * 500,
)


def test_there_are_58_types_and_the_four_that_were_dropped() -> None:
    assert len(KINDS) == 62
    assert len(DROPPED) == 4
    assert IFBENCH.kinds.keys() == IFBENCH_BY_REFERENCE.kinds.keys()


@pytest.mark.parametrize("id_", IDS)
def test_drawn_arguments_are_valid_varied_and_told(id_: str) -> None:
    kind = IFBENCH.kinds[id_]
    drawn = [kind.draw(Random(seed), PROMPT) for seed in range(60)]
    assert [kind.draw(Random(seed), PROMPT) for seed in range(60)] == drawn
    for constraint in [*drawn, kind.draw(Random(0))]:
        assert IFBENCH.build(id_, constraint.arguments()) == constraint
        told = constraint.describe()
        assert told
        assert "{" not in told.replace("{and braces}", "")
        for name, value in constraint.arguments().items():
            assert str(value) in told or name == "prompt_to_repeat"
    if drawn[0].arguments() and id_ != "repeat:repeat_change":
        assert len(set(drawn)) > 1


@pytest.mark.parametrize("id_", IDS)
def test_drawn_constraints_are_met_by_their_example_and_missed_by_another_text(id_: str) -> None:
    for seed in range(20):
        constraint = IFBENCH.kinds[id_].draw(Random(seed), PROMPT)
        assert isinstance(constraint, OodConstraint)
        published = IFBENCH_BY_REFERENCE.build(id_, constraint.arguments())
        text = constraint.example()
        assert constraint.check(text), (constraint, text)
        assert published.check(text) == (id_ not in NO_TEXT_MEETS_BOTH), (constraint, text)
        wrong = offend([constraint], [published])
        assert wrong
        assert not judge([constraint], wrong)[0]["loose"]


@pytest.mark.parametrize("id_", IDS)
def test_hostile_texts_get_a_verdict(id_: str) -> None:
    constraint = IFBENCH.kinds[id_].draw(Random(1), PROMPT)
    published = IFBENCH_BY_REFERENCE.build(id_, constraint.arguments())
    for text in HOSTILE:
        for part in judge([constraint, published], text):
            assert isinstance(part["strict"], bool)
            assert isinstance(part["loose"], bool)


@pytest.mark.parametrize("id_", IDS)
def test_every_check_says_what_it_does(id_: str) -> None:
    kind = IFBENCH.kinds[id_]
    assert kind.__doc__
    for name in ("check", "reference", "example"):
        assert inspect.getdoc(getattr(kind, name))


@pytest.mark.parametrize(
    ("id_", "arguments", "said"),
    [
        ("count:conjunctions", {"small_n": 8}, "'small_n' must be at most 7"),
        ("count:person_names", {"N": 51}, "'N' must be at most 50"),
        ("count:numbers", {"N": 2.5}, "'N' must be a count"),
        ("count:numbers", {}, "needs the argument 'N'"),
        ("count:numbers", {"N": 2, "M": 2}, "has no argument 'M'; it takes N"),
        (
            "count:word_count_range",
            {"min_words": 9, "max_words": 8},
            "'max_words' must be 9 or more",
        ),
        ("count:words_japanese", {"N": 0}, "'N' must be 1 or more"),
        ("format:list", {"sep": " "}, "'sep' must not be blank"),
        ("format:options", {"options": "yes"}, "'options' must hold two options or more"),
        ("ratio:stop_words", {"percentage": 101}, "'percentage' must be at most 100"),
        ("sentence:keyword", {"word": "a", "N": 0}, "'N' must be 1 or more"),
        ("words:repeats", {"small_n": 0}, "'small_n' must be 1 or more"),
        ("repeat:repeat_change", {"prompt_to_repeat": "one"}, "must have 2 words or more"),
        (
            "repeat:repeat_span",
            {"prompt_to_repeat": "one two", "n_start": 1, "n_end": 2},
            "must have 3 words or more",
        ),
        (
            "repeat:repeat_span",
            {"prompt_to_repeat": "one two", "n_start": 1, "n_end": 0},
            "'n_end' must be 1 or more",
        ),
    ],
)
def test_bad_arguments_are_named(id_: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(OlmesError) as error:
        IFBENCH.item([id_], [arguments], key=1234)
    assert said in str(error.value)
    assert "item 1234" in str(error.value)
    assert id_ in str(error.value)


def test_null_is_absent_and_a_whole_float_a_count() -> None:
    built = IFBENCH.build("sentence:keyword", {"word": "a", "N": 3.0, "percentage": None})
    assert built.arguments() == {"word": "a", "N": 3}


def test_without_a_tagger_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ood_tagger, "PACKAGE", "no_such_package_anywhere")
    ood_tagger.weights.cache_clear()
    with pytest.raises(OlmesError, match="pip install textblob-aptagger"):
        IFBENCH.build("words:start_verb", {}).check("Qxzt the river")
    ood_tagger.weights.cache_clear()


def test_the_tagger_package_is_read_and_not_imported() -> None:
    assert IFBENCH.build("words:start_verb", {}).check("Take the bridge")
    assert "textblob_aptagger" not in sys.modules
