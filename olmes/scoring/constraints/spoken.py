"""Words and sentences as the published checks cut them, and as a reader would.

Most published checks delete ASCII punctuation and split at blanks, or at every mark, so that a dash
between blanks counts as a word and "don't" as two. `bare_words` has what a reader calls words.
"""

from __future__ import annotations

import re
import string
import unicodedata

from olmes.scoring.text import sentences, word_tokens

PUNCTUATION = string.punctuation
EDGES = PUNCTUATION + " "
DELETE_PUNCTUATION = str.maketrans("", "", PUNCTUATION)
STRAIGHT_QUOTES = str.maketrans("“”„‘’", '"""\'\'')
BLOCK_END = re.compile(r"\n[^\S\n]*\n|\n(?=[^\S\n]*(?:[*+•-]|\d{1,3}[.)])[^\S\n])")
HEADING = re.compile(r"#[^\n]*|<<[^\n.!?]*>>|\*\*[^\n*.!?]*\*\*")
LIST_ITEM = re.compile(r"[^\S\n]*(?:[*+•-]|\d{1,3}[.)])[^\S\n]")
UNMARKED = 5
"""Words of a paragraph that are a sentence without a final mark, where a greeting is none."""
FINAL = ".!?…。！？।॥؟۔።"
FOREIGN_END = re.compile(r"[。！？।॥؟۔።]")
LONG_DASH = re.compile(r"[—―]|--+")
# Thai, Lao, Burmese, Khmer, kana and Chinese are written without blanks between words, and Korean
# without one before a particle.
UNSPACED = (
    "\uac00-\ud7a3\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
)
SPACED_LETTER = re.compile(rf"[^\W_{UNSPACED}]")
LATIN = "0-9A-Za-z\u00c0-\u024f\u1e00-\u1eff"


def unpunctuated(text: str) -> str:
    """`text` with its ASCII punctuation deleted: "don't" becomes "dont"."""
    return text.translate(DELETE_PUNCTUATION)


def bare(word: str) -> str:
    """`word` without what stands before its first and after its last letter or digit."""
    kept = [index for index, char in enumerate(word) if char.isalnum()]
    return word[kept[0] : kept[-1] + 1] if kept else ""


def bare_words(text: str) -> list[str]:
    """What stands between blanks or long dashes and holds a letter or digit, without marks at its ends.

    "don't", "well-known" and "3.14" are one word each.
    """
    return list(filter(None, map(bare, LONG_DASH.sub(" ", text).split())))


def searchable(text: str) -> str:
    """`text` with straight quotes, and blanks for the line breaks that JSON writes as letters."""
    return text.translate(STRAIGHT_QUOTES).replace("\\n", " ")


def whole_word(word: str) -> re.Pattern[str]:
    """The expression that finds `word`, taken literally and in any case, as a word of its own.

    Blanks in it may be of any kind and number. What is searched is `searchable`.
    """
    word = word.translate(STRAIGHT_QUOTES).strip()
    before, after = _letters_beside(word[:1]), _letters_beside(word[-1:])
    literal = r"\s+".join(map(re.escape, word.split()))
    return re.compile(f"(?<!{before}){literal}(?!{after})", re.IGNORECASE)


def _letters_beside(end: str) -> str:
    """The letters that make a word longer beside one of its ends, as an expression.

    An underscore is none: it may be emphasis. Nor is a letter of another alphabet.
    """
    if not SPACED_LETTER.match(end):
        return r"\w(?<!\w)"  # nothing
    return f"[{LATIN}]" if re.match(f"[{LATIN}]", end) else r"[^\W_]"


def spoken_sentences(text: str) -> list[str]:
    """The sentences of `text` that hold a letter or digit."""
    return [s for s in sentences(text) if any(map(str.isalnum, s))]


def full_sentences(text: str) -> list[str]:
    """The sentences of `text` as a reader counts them, in any script.

    A blank line and a list item end a sentence; headings, greetings, the numbers of lists and items
    without a final mark are none.
    """
    found: list[str] = []
    for block in BLOCK_END.split(text.replace("\r\n", "\n")):
        if not HEADING.fullmatch(block.strip()):
            parts = [part for one in sentences(block) for part in FOREIGN_END.split(one)]
            parts = [part for part in parts if any(map(str.isalpha, part))]
            item = bool(LIST_ITEM.match(block))
            if parts and not _is_full(block, item=item, last=parts[-1]):
                parts.pop()
            found += parts
    return found


def _is_full(block: str, *, item: bool, last: str) -> bool:
    """Whether the last sentence of a block, a list item or not, is one."""
    marked = ending(block) in FINAL
    return marked or (not item and len(bare_words(last)) >= UNMARKED)


def treebank_tokens(text: str) -> list[str]:
    """The tokens of NLTK's `word_tokenize`, where a double quote becomes two characters."""
    return ["''" if word == '"' else word for word in word_tokens(text)]


def folded(text: str) -> str:
    """`text` without accents and without what is not ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def ending(sentence: str) -> str:
    """The last mark of a sentence; quotes, brackets and asterisks after it do not count."""
    return sentence.rstrip(" \t\n\"'”’)]}*_")[-1:]
