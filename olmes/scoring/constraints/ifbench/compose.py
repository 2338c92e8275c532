"""Texts that meet, or miss, the constraints of an item: the oracle of IFEval-OOD and IFBench.

Most items have one constraint, whose example does. For those with two, the examples are put together,
or a text is made for the two kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, permutations

from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.count import PersonNames, Pronouns, WordCountRange
from olmes.scoring.constraints.ifbench.format import Emoji
from olmes.scoring.constraints.ifbench.overlap import Overlap, overlapping, overlapping_in
from olmes.scoring.constraints.ifbench.sentence import Increment, Keyword
from olmes.scoring.constraints.judging import judge
from olmes.scoring.text import words

WRONG = (
    "7",
    "the wind and the rain and the wind",
    "Education takes four four four four four four years, they say",
    "Say this and that. Say those too.",
    'They said "no"',
    "no\n no\nno",
    "* river\n* castle",
    "- river\n* castle",
    "Zoo\nban can van",
    "{",
)
"""Of these, each constraint is missed by one in every reading, if it can be missed at all."""

TOGETHER = {
    frozenset(("format:line_indent", "ratio:sentence_words")): (
        "Rivers sing on.\n Winds blow far.\n  Birds nest low."
    ),
    frozenset(("format:quotes", "format:emoji")): (
        'She wrote "he said \'they sang "go home" loudly\' twice" again 😀.'
    ),
    frozenset(("ratio:sentence_balance", "words:consonants")): (
        "Strong winds blow. Birds sing? Rocks crack!"
    ),
    frozenset(("words:alphabet", "format:parentheses")): (
        "Young (zebras [always {bite (cold [dry])}])."
    ),
    frozenset(("words:consonants", "words:odd_even_syllables")): "strong mountains",
    frozenset(("format:options", "format:newline")): "I\nknow",
}


def compose(wanted: Sequence[Constraint], published: Sequence[Constraint] = ()) -> str | None:
    """A text that meets all constraints strictly, or None when none is known.

    Args:
        wanted: the constraints of an item, as they are stated.
        published: the same, judged by the published checks, which the text meets too if it can.
    """
    meeting = [text for text in candidates(wanted) if meets(wanted, text)]
    return next((t for t in meeting if meets(published, t)), next(iter(meeting), None))


def offend(wanted: Sequence[Constraint], published: Sequence[Constraint] = ()) -> str | None:
    """A text that is not blank and misses one of the constraints in every reading; None if none."""
    missing = [text for text in WRONG if misses(wanted, text)]
    return next((t for t in missing if misses(published, t)), next(iter(missing), None))


def meets(constraints: Sequence[Constraint], text: str) -> bool:
    """Whether the text meets all constraints strictly."""
    return all(part["strict"] for part in judge(constraints, text))


def misses(constraints: Sequence[Constraint], text: str) -> bool:
    """Whether the text misses some constraint loosely."""
    return not all(part["loose"] for part in judge(constraints, text))


def candidates(wanted: Sequence[Constraint]) -> Iterator[str]:
    """Texts that may meet all of `wanted`."""
    kinds = [constraint for constraint in wanted if isinstance(constraint, OodConstraint)]
    examples = [constraint.example() for constraint in kinds]
    yield from examples
    if len(kinds) < 2:
        return
    if together := TOGETHER.get(frozenset(constraint.id for constraint in kinds)):
        yield together
    for order in permutations(examples):
        yield " ".join(order)
        yield "\n".join(order)
    for first, second in permutations(kinds, 2):
        if maker := MAKERS.get((type(first), type(second).id)):
            yield maker(first, second)


def _at_length(bounds: WordCountRange, other: OodConstraint) -> str:
    """The other's example with as many words after it as are wanted."""
    text = other.example()
    return text + " garden" * (bounds.min_words - len(words(text)))


def _with_emoji(_: Emoji, keyword: Keyword) -> str:
    return keyword.example().replace(".", " 😀.")


def _with_thesis(increment: Increment, _: OodConstraint) -> str:
    return f"<i>Rivers sing</i> well. Rivers sing well{' today' * increment.small_n}."


def _after_keyword(overlap: Overlap, keyword: Keyword) -> str:
    return overlapping(overlap, before=keyword.example())


def _with_clusters(overlap: Overlap, consonants: OodConstraint) -> str:
    return overlapping_in(overlap, consonants.check)


def _after_verb(names: PersonNames, _: OodConstraint) -> str:
    return f"Take {names.example()}"


def _with_one_vowel(pronouns: Pronouns, _: OodConstraint) -> str:
    return " ".join(islice(("they", "them") * pronouns.N, pronouns.N))


MAKERS: dict[tuple[type[OodConstraint], str], Callable[..., str]] = {
    (WordCountRange, "format:list"): _at_length,
    (WordCountRange, "format:thesis"): _at_length,
    (WordCountRange, "sentence:keyword"): _at_length,
    (Emoji, "sentence:keyword"): _with_emoji,
    (Increment, "format:thesis"): _with_thesis,
    (Overlap, "sentence:keyword"): _after_keyword,
    (Overlap, "words:consonants"): _with_clusters,
    (PersonNames, "words:start_verb"): _after_verb,
    (Pronouns, "words:vowel"): _with_one_vowel,
}
"""By the class of one constraint and the id of the other."""
