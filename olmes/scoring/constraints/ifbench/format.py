"""Constraints on single words and characters (docs/protocol.md, section 4.6.1, `format:*`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.vocabulary import MINOR_WORDS
from olmes.scoring.constraints.spoken import (
    EDGES,
    bare_words,
    treebank_tokens,
    unpunctuated,
)
from olmes.scoring.text import sentences

LETTERED = re.compile(r"\W*[aA]\W*[bB]\W*[cC]")
OPTIONS = ("yes/no/maybe", "I know or I don't know", "a), b), c), d)")
LABELS = ("My Answer:", "My Conclusion:", "Future Outlook:")


@dataclass(frozen=True)
class Emoji(OodConstraint):
    """Every sentence ends with an emoji, before or after its last mark."""

    id = "format:emoji"
    instruction = "Please use an emoji at the end of every sentence."

    def check(self, text: str) -> bool:
        """Every sentence with a word has an emoji after its last word.

        An emoji after the last mark is the beginning of the next sentence to the sentence splitter,
        and is given back. Emojis of several code points (flags, skin tones) count.
        """
        import emoji

        owed = False
        for sentence in sentences(text):
            spoken = [index for index, char in enumerate(sentence) if char.isalnum()]
            if owed and not emoji.emoji_count(sentence[: spoken[0]] if spoken else sentence):
                return False
            owed = bool(spoken) and not emoji.emoji_count(sentence[spoken[-1] + 1 :])
        return not owed and any(map(str.isalnum, text))

    def reference(self, text: str) -> bool:
        """An emoji is one code point; the emoji of a sentence does also for the one before it."""
        import emoji

        cut = [unpunctuated(sentence).strip() for sentence in sentences(text)]
        if not all(cut):
            return False
        ends = [any(map(emoji.is_emoji, sentence[-2:])) for sentence in cut]
        begins = [bool(emoji.is_emoji(sentence[0])) for sentence in cut[1:]]
        return all(end or begin for end, begin in zip(ends, [*begins, False], strict=True))

    def example(self) -> str:
        """One sentence."""
        return "The river is calm today 😀."


@dataclass(frozen=True)
class Newline(OodConstraint):
    """One word a line."""

    id = "format:newline"
    instruction = "Write each word on a new line."

    def check(self, text: str) -> bool:
        """There is a word, and no line holds two."""
        counts = [len(bare_words(line)) for line in text.split("\n")]
        return max(counts) == 1

    def reference(self, text: str) -> bool:
        """As many lines as words, so that a line of blanks makes up for one with two words."""
        text = unpunctuated(text).strip()
        return len(list(filter(None, text.split("\n")))) == len(text.split())

    def example(self) -> str:
        """Three lines."""
        return "the\nriver\nsings"


@dataclass(frozen=True)
class Options(OodConstraint):
    """The response is one of the options, and nothing else."""

    id = "format:options"
    instruction = (
        "Answer with one of the following options: {options}. Do not give any explanation."
    )

    options: str
    """Parted by "/", else by "or", else by ","."""

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise OlmesError(
                "the argument 'options' must hold two options or more, parted by '/', 'or' or ',', "
                f"not {self.options!r}; correct the item's kwargs."
            )

    @cached_property
    def choices(self) -> list[str]:
        """The options, one by one."""
        separator = next((mark for mark in ("/", "or") if mark in self.options), ",")
        return [option.strip() for option in self.options.split(separator)]

    def check(self, text: str) -> bool:
        """One of the options, where blanks and line breaks do not matter.

        Options that are letters ("a)") must be given as they are; with others, neither case nor
        marks at the ends matter.
        """
        text = " ".join(text.split())
        if LETTERED.match(self.options):
            return text in self.choices
        return text.strip(EDGES).lower() in [o.strip(EDGES).lower() for o in self.choices]

    def reference(self, text: str) -> bool:
        """A line break at the end is wrong, and an option of several words cannot be in lines."""
        if LETTERED.match(self.options):
            return text in self.choices
        return text.strip(EDGES).lower() in [o.strip(EDGES).lower() for o in self.choices]

    def example(self) -> str:
        """The last option."""
        return self.choices[-1]

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One of IFBench's three sets."""
        return cls(rng.choice(OPTIONS))


@dataclass(frozen=True)
class TitleCase(OodConstraint):
    """Every major word begins with a capital."""

    id = "format:title_case"
    instruction = (
        "Write the entire response in title case (capitalize the first letter of every major word)."
    )

    def check(self, text: str) -> bool:
        """There is a word, and those that begin with a small letter are minor or have a capital within.

        Minor are articles, conjunctions and short prepositions, unless they come first. "iPhone"
        keeps its own spelling.
        """
        spoken = [word for word in bare_words(text) if word[0].isalpha()]
        small = [word for word in spoken if word[0].islower() and word == word.lower()]
        return (
            bool(spoken)
            and spoken[0] not in small
            and all(word.lower() in MINOR_WORDS for word in small)
        )

    def reference(self, text: str) -> bool:
        """Minor words must have a capital too, and "n't" of "Don't", a token of its own, fails."""
        for token in treebank_tokens(text):
            if not token[0].isalpha() or not token[0].islower():
                continue
            if len(token) == 1 or token[1:].islower() or token[1:].isupper():
                return False
        return True

    def example(self) -> str:
        """Three words."""
        return "Old Rivers Sing"


@dataclass(frozen=True)
class OutputTemplate(OodConstraint):
    """The response fills a fixed template of three labels."""

    id = "format:output_template"
    instruction = (
        "Use this exact template for your response: My Answer: [answer] My Conclusion: "
        "[conclusion] Future Outlook: [outlook]"
    )

    def check(self, text: str) -> bool:
        """Each label once, in this order, with words after each and none before the first."""
        before, *filled = re.split("|".join(LABELS), text)
        return (
            tuple(re.findall("|".join(LABELS), text)) == LABELS
            and not bare_words(before)
            and all(map(bare_words, filled))
        )

    def reference(self, text: str) -> bool:
        """The labels are there, in any order, with anything or nothing around them."""
        return all(label in text for label in LABELS)

    def example(self) -> str:
        """The template, filled."""
        return "My Answer: Yes. My Conclusion: It works. Future Outlook: Good."


@dataclass(frozen=True)
class NoWhitespace(OodConstraint):
    """Not one blank, tabulator or line break."""

    id = "format:no_whitespace"
    instruction = "The output should not contain any whitespace."

    def check(self, text: str) -> bool:
        """No character is whitespace to Unicode."""
        return not any(map(str.isspace, text))

    def example(self) -> str:
        """One word."""
        return "Yes."
