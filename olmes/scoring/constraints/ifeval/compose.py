"""A text made to order: one that meets a set of constraints.

Not good prose, but proof that the constraints can be met together and that their checks agree with
each other: the oracle of IFEval, and a filter for drawn training items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from itertools import cycle, islice, product

from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifeval import casing, content, keywords, layout, length
from olmes.scoring.constraints.judging import judge
from olmes.scoring.constraints.vocabulary import FILLER, SENTENCES

BLANK = "\0"
"""Stands for a made-up word."""


@dataclass
class Draft:
    """What a text must hold, gathered from its constraints."""

    language: str = "en"
    cased: Callable[[str], str] = str
    wrapped: Callable[[str], str] = str
    allowed: list[Callable[[str], object]] = field(default_factory=list)
    """Conditions on every word that is made up."""
    request: str = ""
    title: bool = False
    items: list[str] = field(default_factory=list)
    """Words that must occur."""
    lines: list[str] = field(default_factory=list)
    """Lines that must occur."""
    divider: str = "\n"
    paragraphs: int = 1
    openers: dict[int, str] = field(default_factory=dict)
    """First word of a paragraph, by its number from 0."""
    sentences: int = 0
    words: int = 0
    endings: list[str] = field(default_factory=list)
    second: bool = False
    """A second, different response follows."""


def compose(constraints: Sequence[Constraint], *, loose: bool = False) -> str | None:
    """A text that meets every constraint, or None when none was found.

    With `loose`, each constraint need only be met loosely, which can be had where a request to be
    repeated holds what another constraint forbids: the reading without the first line is without it.
    """
    draft = Draft()
    for constraint in constraints:
        require(constraint, draft)
    for text in candidates(draft):
        parts = judge(constraints, text)
        if all(part["loose"] if loose else part["strict"] for part in parts):
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
    title = [f"<<{next(source)}>>"] if draft.title else []
    # Sentences go round the paragraphs; everything else stands in the last one.
    paragraphs = [
        " ".join(filter(None, [draft.openers.get(n, ""), *sentences[n :: draft.paragraphs]]))
        for n in range(draft.paragraphs)
    ]
    paragraphs[-1] = "\n".join(
        filter(None, [paragraphs[-1], " ".join(items), *lines, *draft.endings])
    )
    text = draft.divider.join(paragraphs)
    text = "\n".join([*filter(None, [draft.request]), *title, text])
    if draft.second:
        text = f"{other}\n{content.RESPONSE_DIVIDER}\n{text}"
    return draft.wrapped(draft.cased(text))


@singledispatch
def require(constraint: Constraint, draft: Draft) -> None:
    """Note in `draft` what a constraint demands."""
    raise NotImplementedError(f"{constraint.id} cannot be composed yet")


@require.register
def _(constraint: keywords.Existence, draft: Draft) -> None:
    draft.items += constraint.keywords


@require.register
def _(constraint: keywords.Frequency, draft: Draft) -> None:
    if constraint.relation == "at least":
        draft.items += [constraint.keyword.strip()] * constraint.frequency
    else:
        draft.allowed.append(lambda word: not constraint.pattern.search(word))


@require.register
def _(constraint: keywords.ForbiddenWords, draft: Draft) -> None:
    draft.allowed.append(constraint.check)


@require.register
def _(constraint: keywords.LetterFrequency, draft: Draft) -> None:
    letter = constraint.letter.strip().lower()
    if constraint.let_relation == "at least":
        draft.items.append(letter * constraint.let_frequency)
    else:
        draft.allowed.append(lambda word: letter not in word)


@require.register
def _(constraint: casing.ResponseLanguage, draft: Draft) -> None:
    draft.language = constraint.language


@require.register
def _(constraint: casing.EnglishCapital, draft: Draft) -> None:  # noqa: ARG001
    draft.cased = str.upper


@require.register
def _(constraint: casing.EnglishLowercase, draft: Draft) -> None:  # noqa: ARG001
    draft.cased = str.lower


@require.register
def _(constraint: casing.CapitalWordFrequency, draft: Draft) -> None:
    if constraint.capital_relation == "at least":
        draft.items += ["WE"] * constraint.capital_frequency


@require.register
def _(constraint: length.NumberSentences, draft: Draft) -> None:
    if constraint.relation == "at least":
        draft.sentences = max(draft.sentences, constraint.num_sentences)


@require.register
def _(constraint: length.NumberWords, draft: Draft) -> None:
    if constraint.relation == "at least":
        draft.words = max(draft.words, constraint.num_words)


@require.register
def _(constraint: length.NumberParagraphs, draft: Draft) -> None:
    draft.paragraphs, draft.divider = constraint.num_paragraphs, "\n***\n"


@require.register
def _(constraint: length.NthParagraphFirstWord, draft: Draft) -> None:
    draft.paragraphs, draft.divider = constraint.num_paragraphs, "\n\n"
    draft.openers[constraint.nth_paragraph - 1] = constraint.first_word


@require.register
def _(constraint: layout.NumberBulletLists, draft: Draft) -> None:
    draft.lines += [f"- {BLANK}"] * constraint.num_bullets


@require.register
def _(constraint: layout.ConstrainedResponse, draft: Draft) -> None:  # noqa: ARG001
    draft.lines.append(layout.OPTIONS[0])


@require.register
def _(constraint: layout.NumberHighlightedSections, draft: Draft) -> None:
    draft.items += [f"*{BLANK}*"] * constraint.num_highlights


@require.register
def _(constraint: layout.MultipleSections, draft: Draft) -> None:
    word = constraint.section_spliter.strip()
    draft.lines += [f"{word} {n}\n{BLANK}" for n in range(1, constraint.num_sections + 1)]


@require.register
def _(constraint: layout.JsonFormat, draft: Draft) -> None:  # noqa: ARG001
    draft.wrapped = json.dumps


@require.register
def _(constraint: layout.Title, draft: Draft) -> None:  # noqa: ARG001
    draft.title = True


@require.register
def _(constraint: content.NumberPlaceholders, draft: Draft) -> None:
    draft.items += [f"[{BLANK}]"] * constraint.num_placeholders


@require.register
def _(constraint: content.Postscript, draft: Draft) -> None:
    draft.endings.insert(0, f"{constraint.postscript_marker} {BLANK}")


@require.register
def _(constraint: content.TwoResponses, draft: Draft) -> None:  # noqa: ARG001
    draft.second = True


@require.register
def _(constraint: content.RepeatPrompt, draft: Draft) -> None:
    draft.request = constraint.prompt_to_repeat


@require.register
def _(constraint: content.EndChecker, draft: Draft) -> None:
    draft.endings.append(constraint.end_phrase)


@require.register
def _(constraint: content.Quotation, draft: Draft) -> None:  # noqa: ARG001
    draft.wrapped = '"{}"'.format


@require.register
def _(constraint: content.NoComma, draft: Draft) -> None:
    draft.allowed.append(constraint.check)
