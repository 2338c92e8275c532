"""Words as the published checks cut them, and as a reader would.

Most published checks delete ASCII punctuation and split at blanks, so that a dash between blanks or
a curly quotation mark counts as a word or as a letter. `bare_words` has what a reader calls words.
"""

from __future__ import annotations

import string
import unicodedata

from olmes.scoring.text import sentences, word_tokens

PUNCTUATION = string.punctuation
EDGES = PUNCTUATION + " "
DELETE_PUNCTUATION = str.maketrans("", "", PUNCTUATION)
STRAIGHT_QUOTES = str.maketrans("“”„‘’", '"""\'\'')


def unpunctuated(text: str) -> str:
    """`text` with its ASCII punctuation deleted: "don't" becomes "dont"."""
    return text.translate(DELETE_PUNCTUATION)


def bare(word: str) -> str:
    """`word` without what stands before its first and after its last letter or digit."""
    kept = [index for index, char in enumerate(word) if char.isalnum()]
    return word[kept[0] : kept[-1] + 1] if kept else ""


def bare_words(text: str) -> list[str]:
    """What stands between blanks and holds a letter or digit, without marks at its ends."""
    return list(filter(None, map(bare, text.split())))


def spoken_sentences(text: str) -> list[str]:
    """The sentences of `text` that hold a letter or digit."""
    return [s for s in sentences(text) if any(map(str.isalnum, s))]


def treebank_tokens(text: str) -> list[str]:
    """The tokens of NLTK's `word_tokenize`, where a double quote becomes two characters."""
    return ["''" if word == '"' else word for word in word_tokens(text)]


def folded(text: str) -> str:
    """`text` without accents and without what is not ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def ending(sentence: str) -> str:
    """The last mark of a sentence; quotes, brackets and asterisks after it do not count."""
    return sentence.rstrip(" \t\n\"'”’)]}*_")[-1:]
