"""Checks rewritten to take linear time find what the reference's expressions find."""

from __future__ import annotations

import re
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmes.scoring.constraints.ifeval import content, layout
from olmes.scoring.constraints.ifeval.instructions import IFEVAL
from olmes.scoring.constraints.judging import judge
from olmes.scoring.text import sentences, word_tokens

MARKS = st.text(alphabet=list("*-[]<>ps.P \t\n\r\f\x85\u2028\u3000a7"), max_size=60)


@given(MARKS)
def test_bullets(text: str) -> None:
    starred = re.findall(r"^\s*\*[^\*].*$", text, flags=re.MULTILINE)
    dashed = re.findall(r"^\s*-.*$", text, flags=re.MULTILINE)
    found = layout.STARRED.findall(text), layout.DASHED.findall(text)
    assert list(map(len, found)) == [len(starred), len(dashed)]


@given(MARKS)
def test_placeholders(text: str) -> None:
    assert len(content.PLACEHOLDER.findall(text)) == len(re.findall(r"\[.*?\]", text))


@given(MARKS)
def test_title(text: str) -> None:
    titles = re.findall(r"<<[^\n]+>>", text)
    wanted = any(title.lstrip("<").rstrip(">").strip() for title in titles)
    assert layout.Title().reference(text) == wanted


@given(MARKS, st.sampled_from(["P.S.", "P.P.S"]))
def test_postscript(text: str, marker: str) -> None:
    pattern = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}[marker]
    wanted = bool(re.findall(pattern, text.lower(), flags=re.MULTILINE))
    assert content.Postscript(marker).reference(text) == wanted


@given(MARKS)
def test_highlights(text: str) -> None:
    single = [h.strip("*").strip() for h in re.findall(r"\*[^\n\*]*\*", text)]
    double = [
        h.removeprefix("**").removesuffix("**").strip()
        for h in re.findall(r"\*\*[^\n\*]*\*\*", text)
    ]
    count = sum(map(bool, single + double))
    assert layout.NumberHighlightedSections(count).reference(text)
    assert not layout.NumberHighlightedSections(count + 1).reference(text)


MEGABYTE = 1_000_000
HOSTILE = {
    **{repr(mark): mark * MEGABYTE for mark in "[(*<{\"'`-#.!\n a\0"},
    "lone surrogates": "\ud800\udfff " * (MEGABYTE // 3),
    "half titles": "<<a " * (MEGABYTE // 4),
    "half placeholders": "[a" * (MEGABYTE // 2),
    "blank lines": " \n" * (MEGABYTE // 2),
    "markers": "p. " * (MEGABYTE // 3),
    "addresses": "a@" * (MEGABYTE // 2),
    "nested JSON": "[" * (MEGABYTE // 2) + "]" * (MEGABYTE // 2),
    "one long word": "x" * MEGABYTE,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_is_judged(name: str) -> None:
    constraints = [
        kind.draw(Random(1), "the garden")
        for id_, kind in IFEVAL.kinds.items()
        if id_ not in {"length_constraints:number_sentences", "change_case:capital_word_frequency"}
    ]
    start = time.process_time()
    parts = judge(constraints, HOSTILE[name])
    assert len(parts) == len(constraints)
    # 23 checks in up to 8 readings; one quadratic check would take hours.
    assert time.process_time() - start < 30


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_is_cut_into_sentences(name: str) -> None:
    start = time.process_time()
    sentences(HOSTILE[name])
    assert time.process_time() - start < 30


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_cut_into_words(name: str) -> None:
    start = time.process_time()
    word_tokens(HOSTILE[name][: MEGABYTE // 5])
    assert time.process_time() - start < 10
