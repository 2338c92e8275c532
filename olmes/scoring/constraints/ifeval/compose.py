"""A text made to order: one that meets a set of constraints.

Not good prose, but proof that the constraints can be met together and that their checks agree with
each other: the oracle of IFEval, and a filter for drawn training items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice, product
from typing import Literal

from olmes.scoring.constraints.ifeval.base import BLANK, Draft, IFEvalConstraint
from olmes.scoring.constraints.ifeval.combination import RESPONSE_DIVIDER, meet_as_stated
from olmes.scoring.constraints.judging import judge
from olmes.scoring.constraints.vocabulary import FILLER, SENTENCES


def compose(
    wanted: Sequence[IFEvalConstraint],
    published: Sequence[IFEvalConstraint] = (),
    *,
    loose: bool = False,
) -> str | None:
    """A text that meets every constraint as it is stated, or None when none was found.

    Args:
        wanted: the constraints of an item.
        published: the same, judged by the published checks, which the text must meet, too.
        loose: those need only be met loosely, which is possible where a request to be repeated holds
            what another constraint forbids: the reading without the first line is without it.
    """
    draft = Draft()
    for constraint in wanted:
        constraint.require(draft)
    mode: Literal["loose", "strict"] = "loose" if loose else "strict"
    for text in candidates(draft):
        if all(meet_as_stated(wanted, text)) and all(part[mode] for part in judge(published, text)):
            return text
    return None


def candidates(draft: Draft) -> Iterator[str]:
    """Texts with more and more filler, in sentences of several lengths."""
    vocabulary = [word for word in FILLER if all(rule(word) for rule in draft.allowed)]
    if not vocabulary:
        return
    fewest = max(draft.paragraphs, draft.sentences - 6, 1)
    amounts = [*range(fewest, fewest + 12), 4 * fewest, 16 * fewest, 64]
    for amount, shift in product(amounts, (0, 11)):
        for words in dict.fromkeys((1, 3, 8, draft.words // amount + 1)):
            yield render(draft, vocabulary[shift:] + vocabulary[:shift], amount, words)


def render(draft: Draft, vocabulary: Sequence[str], amount: int, words: int) -> str:
    """The draft as a text with `amount` sentences of `words` words."""
    source = cycle(vocabulary)
    foreign = SENTENCES.get(draft.language)
    sentences = [
        foreign or " ".join(islice(source, words)).capitalize() + "."
        for _ in range(amount + draft.second)
    ]
    other = sentences.pop() if draft.second else ""
    items = [item.replace(BLANK, next(source)) for item in draft.items]
    lines = [line.replace(BLANK, next(source)) for line in draft.lines]
    endings = [ending.replace(BLANK, next(source)) for ending in draft.endings]
    title = [f"<<{next(source)}>>"] if draft.title else []
    # Sentences go round the paragraphs; everything else stands in the last one.
    paragraphs = [
        " ".join(filter(None, [draft.openers.get(n, ""), *sentences[n :: draft.paragraphs]]))
        for n in range(draft.paragraphs)
    ]
    paragraphs[-1] = "\n".join(filter(None, [paragraphs[-1], " ".join(items), *lines, *endings]))
    text = draft.divider.join(paragraphs)
    text = "\n".join([*filter(None, [draft.request]), *title, text])
    if draft.second:
        text = f"{other}\n{RESPONSE_DIVIDER}\n{text}"
    return draft.wrapped(draft.cased(text))


def offend(constraint: IFEvalConstraint, *published: IFEvalConstraint) -> str | None:
    """A text that is not blank and misses the constraint in every reading.

    None where there is none, as for "at least 0 words", or where none is known.

    Args:
        constraint: of an item.
        published: the same, judged by the published check, which the text misses, too.
    """
    text = constraint.offence()
    return None if any(part["loose"] for part in judge([constraint, *published], text)) else text
