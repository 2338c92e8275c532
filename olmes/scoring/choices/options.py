r"""The options of a multiple-choice question, and text made plain enough to find them in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from olmes.scoring.answers.enclosed import TAG, TAG_END

LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SEVERAL = ""
"""Stands for a letter where more than one option is meant."""

# Decoration says nothing about the answer; only a letter set in bold is as good as one in brackets.
SPECIAL_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>")
BOLD_LETTER = re.compile(r"\*\* ?\(?([A-Z])\)?[.:]? ?\*\*")
FONT = re.compile(r"\\(?:text|math)(?:bf|it|rm|sf|tt|up)?(?![a-z])")
BOX = re.compile(r"\\f?box(?:ed)? ?\{")
MARKUP = re.compile(r"[*`$_{}#]|\\[()\[\],;!:]")
# As models write that learnt from Chinese text.
FULL_WIDTH = str.maketrans("（）［］：．，。", "()[]:.,.")
BLANKS = re.compile(r"\s+")
BLANKS_IN_LINE = re.compile(r"[^\S\n]+")
EDGE = " \t\n.,;:!?\"'“”‘’"
# "10" is not stated by "10.5", nor "red" by "red wine".
TEXT_END = re.compile(r"[\"'”’)]*(?:\Z|[.!?;,](?!\w)|\s*\n|\s(?:because|since|as)\b)")


def simplified(text: str) -> str:
    """`text` without Markdown, LaTeX fonts and special tokens.

    A box or an answer tag reads "answer: ...".
    """
    text = SPECIAL_TOKEN.sub(" ", text.translate(FULL_WIDTH))
    text = TAG_END.sub(" ", TAG.sub(" answer: ", text))
    text = BOLD_LETTER.sub(r"(\1)", text)
    return MARKUP.sub("", FONT.sub("", BOX.sub(" answer: ", text)))


def comparable(text: str) -> str:
    """`text` as options are compared: one blank between words, no case, nothing at the edges."""
    return BLANKS.sub(" ", text).strip(EDGE).casefold()


class Options:
    """The options of one question: their letters and their texts, as `comparable` makes them."""

    def __init__(self, options: Sequence[str]) -> None:
        self.letters = LABELS[: len(options)]
        texts = [comparable(simplified(option)) for option in options]
        self.texts = dict(zip(self.letters, texts, strict=True))
        self.longest = max(map(len, texts), default=0)

    def one(self, letters: Iterable[str]) -> str | None:
        """The one letter of this question among `letters`; SEVERAL; or None."""
        found = set(letters) & set(self.letters)
        return (found.pop() if len(found) == 1 else SEVERAL) if found else None

    def whole(self, text: str) -> str | None:
        """The letter of the option whose text is the whole of `text`."""
        wanted = comparable(text)
        return self.one(letter for letter, own in self.texts.items() if own and own == wanted)

    def opening(self, text: str, *, words: int = 1) -> str | None:
        """The letter of the longest option text that `text` opens with.

        One of a single character, or of fewer than `words` words, is passed over.
        """
        given = BLANKS_IN_LINE.sub(" ", text[: 2 * self.longest + 40]).lstrip(EDGE).casefold()
        fitting = [
            own
            for own in self.texts.values()
            if len(own) > 1
            and own.count(" ") >= words - 1
            and given.startswith(own)
            and TEXT_END.match(given, len(own))
        ]
        return self.whole(max(fitting, key=len)) if fitting else None

    def opens_with(self, letter: str, text: str) -> bool:
        """Whether `text` continues with the first word of the option that `letter` labels."""
        own = self.texts[letter].split(" ", 1)[0]
        return bool(own) and comparable(text[: len(own) + 40]).startswith(own)

    def after_text(self, letter: str, text: str) -> str:
        """What follows in `text` after the text of the option that `letter` labels; '' without it."""
        rest = text.lstrip(EDGE + ")]")
        own = self.texts[letter]
        return rest[len(own) :] if own and rest.casefold().startswith(own) else ""
