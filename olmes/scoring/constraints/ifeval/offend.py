"""A text that misses a constraint, strictly and loosely: the other half of the oracle."""

from __future__ import annotations

from functools import singledispatch

from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifeval import casing, keywords, layout, length
from olmes.scoring.constraints.ifeval.content import NoComma
from olmes.scoring.constraints.judging import judge


def offend(constraint: Constraint) -> str | None:
    """A text that is not blank and misses the constraint in every reading.

    None where there is none, as for "at least 0 words", or where none is known.
    """
    text = offence(constraint)
    return None if judge([constraint], text)[0]["loose"] else text


@singledispatch
def offence(constraint: Constraint) -> str:  # noqa: ARG001
    """One line without a letter or a mark: too little for every constraint that wants something."""
    return "7"


@offence.register
def _(constraint: keywords.Frequency) -> str:
    return too_much(f"{constraint.keyword.strip()} ", constraint.relation, constraint.frequency)


@offence.register
def _(constraint: keywords.ForbiddenWords) -> str:
    return constraint.forbidden_words[0]


@offence.register
def _(constraint: keywords.LetterFrequency) -> str:
    return too_much(constraint.letter, constraint.let_relation, constraint.let_frequency)


@offence.register
def _(constraint: casing.ResponseLanguage) -> str:
    return "This is not so." if constraint.language == "ko" else "그렇지 않습니다."


@offence.register
def _(constraint: casing.CapitalWordFrequency) -> str:
    return too_much("WE ", constraint.capital_relation, constraint.capital_frequency)


@offence.register
def _(constraint: length.NumberSentences) -> str:
    return too_much("This is so. ", constraint.relation, constraint.num_sentences)


@offence.register
def _(constraint: length.NumberWords) -> str:
    return too_much("we ", constraint.relation, constraint.num_words)


@offence.register
def _(constraint: layout.NumberBulletLists) -> str:
    return "7" if constraint.num_bullets else "- 7"


@offence.register
def _(constraint: layout.JsonFormat) -> str:  # noqa: ARG001
    return "{"


@offence.register
def _(constraint: NoComma) -> str:  # noqa: ARG001
    return "This, that"


def too_much(unit: str, relation: str, bound: int) -> str:
    """`unit` as often as "less than" forbids, or the least text there is for "at least"."""
    return unit * max(bound, 1) if relation == "less than" else "7"
