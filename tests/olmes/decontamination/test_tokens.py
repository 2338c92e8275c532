"""Tokens: the fast road equals the definition, and the places of tokens are theirs."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmes.decontamination.tokens import folded_tokens, placed, tokens

JOINING = (
    "',1,234e\u0301\u0327\u200d\u00ad\ufb01ｶﾞ\u1100\u1161\u11a8가ßİΣςǰ½㎏·’ด\u0e35\u0e48कि中_ "
    "\u3099\u0338=<Aʼ\u0344\u0345"
)
"""Characters that folding joins, splits or lets vanish."""
texts = st.text(st.one_of(st.sampled_from(JOINING), st.characters()), max_size=40)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_the_fast_road_is_the_definition(text: str) -> None:
    assert tokens(text) == folded_tokens(text)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_places_are_those_of_the_tokens(text: str) -> None:
    found = list(placed(text))
    assert [token.text for token in found] == tokens(text)
    for token in found:
        assert token.text in tokens(text[token.start : token.end])


@given(texts)
def test_composition_and_case_do_not_tell(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert tokens(unicodedata.normalize(form, text)) == tokens(text)
    assert tokens(text.casefold()) == tokens(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, WORLD!", ["hello", "world"]),
        (
            "don't don\u2019t don\xb4t don\u02bct don\uff07t",
            ["dont", "dont", "don", "t", "dont", "dont"],
        ),
        ("“quoted”—dash…", ["quoted", "dash"]),
        ("def has_close(x_1):", ["def", "has", "close", "x", "1"]),
        (
            "3.5 1,000 80,000,000 1,0000 1,00",
            ["3", "5", "1000", "80000000", "1", "0000", "1", "00"],
        ),
        ("’tis rock ‘n’ roll", ["tis", "rock", "n", "roll"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne ｆｉｎｅ fi\u00adne fi\u200bne", ["fine"] * 4),
        ("café cafe\u0301 cafe", ["café", "café", "cafe"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("中国人 abc人", ["中", "国", "人", "abc", "人"]),
        ("ｶﾞがか\u3099", ["ガ", "が", "が"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("한국어 한", ["한국어", "한"]),
        ("1️⃣ 👍🏽 ok", ["1", "ok"]),
        ("½ x²", ["1", "2", "x2"]),
        ("\ud800 lone", ["lone"]),
        ("\u0301 ...", []),
        ("", []),
    ],
)
def test_what_a_token_is(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected
