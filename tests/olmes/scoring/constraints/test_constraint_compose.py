"""Texts made to order meet what they must; offences miss it in every reading."""

from __future__ import annotations

from random import Random

import pytest

from olmes.scoring.constraints.ifeval.combination import meet_as_stated
from olmes.scoring.constraints.ifeval.compose import compose, offend
from olmes.scoring.constraints.ifeval.instructions import IFEVAL, IFEVAL_BY_REFERENCE
from olmes.scoring.constraints.judging import judge


@pytest.mark.parametrize("id_", sorted(IFEVAL.kinds))
def test_every_constraint_can_be_met_and_missed_alone(id_: str) -> None:
    for seed in range(8):
        constraint = IFEVAL.kinds[id_].draw(Random(seed), "Name a river.")
        met, missed = compose([constraint]), offend(constraint)
        assert met is not None
        assert judge([constraint], met)[0]["strict"]
        assert missed is not None
        assert missed.strip()
        assert not judge([constraint], missed)[0]["loose"]


def test_contradictions_are_found_out() -> None:
    capital = IFEVAL.build("change_case:english_capital", {})
    lowercase = IFEVAL.build("change_case:english_lowercase", {})
    assert compose([capital, lowercase]) is None
    assert compose([capital, lowercase], loose=True) is None


def test_a_request_that_holds_what_is_forbidden_can_be_met_loosely_only() -> None:
    """By the published checks; as it is stated the ban is on the answer."""
    ids = ["combination:repeat_prompt", "punctuation:no_comma"]
    kwargs = [{"prompt_to_repeat": "Short, please."}, {}]
    wanted, published = (c.item(ids, kwargs) for c in (IFEVAL, IFEVAL_BY_REFERENCE))
    assert compose(wanted, published) is None
    text = compose(wanted, published, loose=True)
    assert text is not None
    assert all(part["loose"] for part in judge(published, text))
    assert meet_as_stated(wanted, text) == [True, True]
    assert meet_as_stated(wanted, f"{text}, too") == [True, False]
    assert meet_as_stated(wanted, "Short, please.") == [False, False]


def test_what_cannot_be_missed_has_no_offence() -> None:
    one = IFEVAL_BY_REFERENCE.build("length_constraints:number_paragraphs", {"num_paragraphs": 1})
    assert offend(one) is None
    free = {"relation": "at least", "num_words": 0}
    assert offend(IFEVAL.build("length_constraints:number_words", free)) is None
