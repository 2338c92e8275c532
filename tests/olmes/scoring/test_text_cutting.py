"""Sentences and words are cut where NLTK 3.8.1 cuts them; languages do not depend on chance."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import langdetect
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from olmes.scoring.language import language
from olmes.scoring.text import sentences, word_tokens, words

PIECES = st.sampled_from(
    ["a", "B", "Dr.", "e.g.", "U.S.", *".!? )(\"'*-,;:", "\n", "\n\n", "...", "1.", "i.", "The", "the",
     "\t", "\u3000", "\xa0", "é", "中", "\x1c", "5", "J.", "。", " . ", "?!", "”", "“", "--", '"\n']
)  # fmt: skip
SHOUTED = st.sampled_from(
    ["A", "Bc", "DR.", "E", "THE", "'", "''", '"', "`", "``", ".", "..", "5", *"    ", "-", "--", "–",
     *"!()<&”“’/_\n*#\xa0", "'S", "N'T", "'LL", "CANNOT", "WANNA", "D'YE", "can't", "'re"]
)  # fmt: skip


@cache
def nltk_tokenizers() -> tuple[Any, Any]:
    """NLTK's own classes, with the character sets and the regex engine of release 3.8.1."""
    import punkt
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktLanguageVars, PunktParameters, PunktSentenceTokenizer

    class Vars(PunktLanguageVars):  # type: ignore[misc]
        __slots__ = ()
        re_boundary_realignment = re.compile(r'["\')\]}]+?(?:\s+|(?=--)|$)', re.MULTILINE)
        _re_non_word_chars = r"(?:[)\";}\]\*:@\'\({\[\?!])"

        def _pattern(self, form: str) -> re.Pattern[str]:
            parts = {
                "NonWord": self._re_non_word_chars,
                "MultiChar": self._re_multi_char_punct,
                "WordStart": self._re_word_start,
                "SentEndChars": self._re_sent_end_chars,
            }
            return re.compile(form % parts, re.VERBOSE)

        def _word_tokenizer_re(self) -> re.Pattern[str]:
            return self._pattern(self._word_tokenize_fmt)

        def period_context_re(self) -> re.Pattern[str]:
            return self._pattern(self._period_context_fmt)

    model, parameters = punkt.load_model("english"), PunktParameters()
    parameters.abbrev_types = set(model.abbrev_types)
    parameters.collocations = set(model.collocations)
    parameters.sent_starters = set(model.sent_starters)
    parameters.ortho_context.update({k: int(v) for k, v in model.ortho_context.items()})
    cutter = PunktSentenceTokenizer(lang_vars=Vars())
    cutter._params = parameters
    return cutter, NLTKWordTokenizer()


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_sentences_are_nltks(text: str) -> None:
    assert sentences(text) == nltk_tokenizers()[0].tokenize(text)


@settings(deadline=None)
@given(st.lists(SHOUTED, max_size=14).map("".join))
def test_words_are_cut_where_nltk_cuts_them(text: str) -> None:
    # A clitic on another clitic, apostrophes side by side: nonsense that is cut differently.
    assume(not re.search(r"['\w]'\w*'|'\s*'", text))
    cutter, tokenizer = nltk_tokenizers()
    theirs = [token for sentence in cutter.tokenize(text) for token in tokenizer.tokenize(sentence)]
    quotes = {"``": '"', "''": '"'}
    assert [quotes.get(t, t) for t in word_tokens(text)] == [quotes.get(t, t) for t in theirs]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I CAN'T.", ["I", "CA", "N'T", "."]),
        ("He'll've CANNOT", ["He'll", "'ve", "CAN", "NOT"]),
        ('Say "A, B" at 5:30, OK?', ["Say", '"', "A", ",", "B", '"', "at", "5:30", ",", "OK", "?"]),
        ("U.S. X-15's A/B--C", ["U.S.", "X-15", "'s", "A/B", "--", "C"]),
    ],
)
def test_words_by_the_treebank(text: str, tokens: list[str]) -> None:
    assert word_tokens(text) == tokens


def test_words_are_runs_of_word_characters() -> None:
    assert words("don't stop_it – 3.5 naïve") == ["don", "t", "stop_it", "3", "5", "naïve"]


def test_language_is_the_same_on_every_call() -> None:
    # Names only: unseeded, the detector answers this one way or another.
    text = "SHELDON: CLEVER, ANALYTICAL, SCIENTIST, QUIRKY, UNIQUE."
    assert len({language(text) for _ in range(20)}) == 1


def test_language_leaves_the_librarys_global_state_alone() -> None:
    before = langdetect.DetectorFactory.seed
    assert language("The garden lies by the river.") == "en"
    assert langdetect.DetectorFactory.seed == before


@pytest.mark.parametrize("text", ["", "12 34", "\0", "\ud800\udfff", "[" * 1000])
def test_no_language_where_nothing_tells(text: str) -> None:
    assert language(text) is None
