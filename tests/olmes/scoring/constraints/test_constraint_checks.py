"""What each of the 25 checks takes and refuses (docs/protocol.md, section 3.9.1)."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifeval.instructions import IFEVAL_BY_REFERENCE as IFEVAL
from olmes.scoring.constraints.judging import judge


def nth(num_paragraphs: int, nth_paragraph: int, first_word: str) -> dict[str, Any]:
    return {
        "num_paragraphs": num_paragraphs,
        "nth_paragraph": nth_paragraph,
        "first_word": first_word,
    }


# arguments | text | strict | loose, by instruction
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "keywords:existence": [
        ({"keywords": ["rock", "Tree"]}, "Trees rOCK.", 1, 1),
        ({"keywords": ["rock", "tree"]}, "Trees.", 0, 0),
        ({"keywords": ["colou?r"]}, "A color.", 1, 1),
        ({"keywords": ["c++ ("]}, "In C++ (2020).", 1, 1),
    ],
    "keywords:frequency": [
        ({"keyword": " war ", "relation": "at least", "frequency": 2}, "Warwar", 1, 1),
        ({"keyword": "war", "relation": "at least", "frequency": 2}, "War", 0, 0),
        ({"keyword": "war", "relation": "less than", "frequency": 2}, "a war", 1, 1),
        ({"keyword": "war", "relation": "less than", "frequency": 1}, "war", 0, 0),
        ({"keyword": "war", "relation": "at least", "frequency": 0}, "no", 1, 1),
    ],
    "keywords:forbidden_words": [
        ({"forbidden_words": ["rock"]}, "A rocket.", 1, 1),
        ({"forbidden_words": ["rock"]}, "Hard ROCK!", 0, 0),
        ({"forbidden_words": ["rock"]}, "Sure, rock:\nA stone.", 0, 1),
        ({"forbidden_words": ["(x"]}, "f(x", 0, 0),
    ],
    "keywords:letter_frequency": [
        ({"letter": "A", "let_relation": "at least", "let_frequency": 2}, "aA", 1, 1),
        ({"letter": "a", "let_relation": "less than", "let_frequency": 2}, "aA", 0, 0),
        ({"letter": "#", "let_relation": "at least", "let_frequency": 2}, "#a #b", 1, 1),
        ({"letter": "!", "let_relation": "at least", "let_frequency": 1}, "#a #b", 0, 0),
    ],
    "language:response_language": [
        ({"language": "de"}, "Das ist ein schöner Garten am Fluss.", 1, 1),
        ({"language": "de"}, "This is a lovely garden by the river.", 0, 0),
        ({"language": "de"}, "12:30", 1, 1),
    ],
    "change_case:english_capital": [
        ({}, "THIS IS A LOVELY GARDEN BY THE RIVER.", 1, 1),
        ({}, "THIS IS A LOVELY GARDEN BY THE River.", 0, 0),
        ({}, "12:30", 0, 0),
    ],
    "change_case:english_lowercase": [
        ({}, "this is a lovely garden by the river.", 1, 1),
        ({}, "This is a lovely garden by the river.", 0, 0),
        ({}, "das ist ein schöner garten am fluss.", 0, 0),
        ({}, "Sure!\nthis is a lovely garden by the river.", 0, 1),
    ],
    "change_case:capital_word_frequency": [
        ({"capital_relation": "at least", "capital_frequency": 3}, "I ask NASA's X-15.", 1, 1),
        ({"capital_relation": "less than", "capital_frequency": 3}, "I ask NASA's X-15.", 0, 0),
        ({"capital_relation": "at least", "capital_frequency": 2}, "I CANNOT", 1, 1),
        ({"capital_relation": "less than", "capital_frequency": 1}, "a b", 1, 1),
    ],
    "length_constraints:number_sentences": [
        ({"relation": "at least", "num_sentences": 2}, "Dr. Who came. He left.", 1, 1),
        ({"relation": "less than", "num_sentences": 2}, "Dr. Who came.", 1, 1),
        ({"relation": "at least", "num_sentences": 3}, "Dr. Who came. He left.", 0, 0),
    ],
    "length_constraints:number_words": [
        ({"relation": "at least", "num_words": 4}, "Don't stop_it now", 1, 1),
        ({"relation": "less than", "num_words": 4}, "Don't stop_it now", 0, 0),
        ({"relation": "less than", "num_words": 3}, "Sure.\nOne two", 0, 1),
    ],
    "length_constraints:number_paragraphs": [
        ({"num_paragraphs": 2}, "a\n***\nb", 1, 1),
        ({"num_paragraphs": 2}, "***\na\n***\nb\n***", 1, 1),
        ({"num_paragraphs": 2}, "a *** *** b", 0, 0),
        ({"num_paragraphs": 1}, "a\n***\nb", 0, 1),
        ({"num_paragraphs": 3}, "a\n***\nb", 0, 0),
    ],
    "length_constraints:nth_paragraph_first_word": [
        (nth(2, 2, "Elm"), 'a\n\n\'"elm\'s leaf', 1, 1),
        (nth(2, 2, "elm"), "a\n\nelms", 0, 0),
        (nth(2, 1, "elm"), "elm\n\nb\n\nc", 0, 1),
        (nth(2, 2, "elm"), "a\n\n \n\nelm", 0, 0),
        (nth(1, 1, "elm"), "**Elm**, oak", 0, 1),
        (nth(3, 1, "elm"), "elm\n\nb", 0, 0),
    ],
    "detectable_format:number_bullet_lists": [
        ({"num_bullets": 2}, "Two:\n* a\n  - b", 1, 1),
        ({"num_bullets": 1}, "Two:\n* a\n  - b", 0, 1),
        ({"num_bullets": 1}, "**bold**\n- a", 1, 1),
        ({"num_bullets": 1}, "a\n* ", 1, 1),
        ({"num_bullets": 2}, "*\n* one after an empty one", 0, 0),
        ({"num_bullets": 0}, "none", 1, 1),
    ],
    "detectable_format:constrained_response": [
        ({}, "Well: My answer is no. Sorry.", 1, 1),
        ({}, "My answer is no", 0, 0),
        ({}, "**My answer** is maybe.", 0, 1),
    ],
    "detectable_format:number_highlighted_sections": [
        ({"num_highlights": 2}, "*a* and **b**", 1, 1),
        ({"num_highlights": 3}, "*a* and **b**", 0, 0),
        ({"num_highlights": 1}, "* * ** ** *a\nb*", 0, 0),
    ],
    "detectable_format:multiple_sections": [
        ({"section_spliter": "Section", "num_sections": 2}, "Section 1 a\nSection2 b", 1, 1),
        ({"section_spliter": "SECTION", "num_sections": 2}, "SECTION 1 a\nSection 2 b", 0, 0),
        ({"section_spliter": "Act (", "num_sections": 1}, "Act ( 1", 1, 1),
    ],
    "detectable_format:json_format": [
        ({}, '{"a": [1, null]}', 1, 1),
        ({}, "```json\n[1, 2]\n```", 1, 1),
        ({}, "Sure:\n[1, 2]", 0, 1),
        ({}, "{'a': 1}", 0, 0),
        ({}, "[" * 100_000 + "]" * 100_000, 0, 0),
        ({}, "9" * 5_000, 0, 0),
    ],
    "detectable_format:title": [
        ({}, "a <<b>> c", 1, 1),
        ({}, "<< >>\n<<<>>>", 0, 0),
        ({}, "<<a\nb>>", 0, 0),
        ({}, ">> <<", 0, 0),
    ],
    "detectable_content:number_placeholders": [
        ({"num_placeholders": 2}, "[a [b] c] []", 1, 1),
        ({"num_placeholders": 1}, "]a[\n]", 0, 0),
    ],
    "detectable_content:postscript": [
        ({"postscript_marker": "P.S."}, "Bye. p. s. more", 1, 1),
        ({"postscript_marker": "P.S."}, "P.S more", 0, 0),
        ({"postscript_marker": "P.P.S"}, "P. P.S more", 1, 1),
        ({"postscript_marker": "P.P.S"}, "P.S. more", 0, 0),
        ({"postscript_marker": "PS:"}, "ps: more", 1, 1),
        ({"postscript_marker": "P.S."}, "**P.S**. more", 0, 1),
    ],
    "combination:two_responses": [
        ({}, "a\n******\nb", 1, 1),
        ({}, "******a******b******", 1, 1),
        ({}, "a\n******\na ", 0, 0),
        ({}, "a ****** ****** b", 0, 0),
        ({}, "a******b******c", 0, 0),
        ({}, "Sure.\n******\na\n******\nb", 0, 1),
    ],
    "combination:repeat_prompt": [
        ({"prompt_to_repeat": "Say A. "}, "\nsay a. A.", 1, 1),
        ({"prompt_to_repeat": "Say A."}, "I say A.", 0, 0),
        ({"prompt_to_repeat": "Say A."}, "Sure!\n**Say A.** A.", 0, 1),
    ],
    "startend:end_checker": [
        ({"end_phrase": "The end. "}, 'That was it. THE END."\n', 1, 1),
        ({"end_phrase": "The end."}, "The end. Or not.", 0, 0),
        ({"end_phrase": "The end."}, "**The end.**", 0, 1),
    ],
    "startend:quotation": [
        ({}, ' "a" ', 1, 1),
        ({}, '"', 0, 0),
        ({}, "“a”", 0, 0),
        ({}, 'Sure:\n"a"', 0, 1),
    ],
    "punctuation:no_comma": [
        ({}, "a; b", 1, 1),
        ({}, "a, b", 0, 0),
        ({}, "Sure, here:\na; b", 0, 1),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("id_", "arguments", "text", "strict", "loose"),
    [(id_, *case) for id_, cases in CASES.items() for case in cases],
)
def test_verdict(id_: str, arguments: dict[str, Any], text: str, strict: int, loose: int) -> None:
    part = judge([IFEVAL.build(id_, arguments)], text)[0]
    assert (part["id"], part["strict"], part["loose"]) == (id_, bool(strict), bool(loose))


def test_every_type_has_a_case_that_passes_and_one_that_fails() -> None:
    assert set(CASES) == set(IFEVAL.kinds)
    assert len(CASES) == 25
    for cases in CASES.values():
        assert {1, 0} <= {strict for _, _, strict, _ in cases}
        assert 0 in {loose for _, _, _, loose in cases}


@pytest.mark.parametrize("id_", sorted(IFEVAL.kinds))
@pytest.mark.parametrize("text", ["", " \n\t", "\n\n\n"])
def test_a_blank_response_meets_nothing(id_: str, text: str) -> None:
    part = judge([IFEVAL.build(id_, CASES[id_][0][0])], text)[0]
    assert not part["strict"]
    assert not part["loose"]


@pytest.mark.parametrize(
    ("id_", "arguments", "note"),
    [
        (
            "keywords:letter_frequency",
            {"letter": "#", "let_relation": "at least", "let_frequency": 4},
            "random letter",
        ),
        ("keywords:existence", {"keywords": ["fine", "c++ ("]}, r"c++ ("),
        ("keywords:forbidden_words", {"forbidden_words": ["*"]}, "*"),
        (
            "keywords:frequency",
            {"keyword": "[", "relation": "at least", "frequency": 1},
            "literally: [",
        ),
    ],
)
def test_unusual_arguments_are_noted_in_the_verdict(
    id_: str, arguments: dict[str, Any], note: str
) -> None:
    assert note in judge([IFEVAL.build(id_, arguments)], "text")[0]["note"]


def test_usual_arguments_carry_no_note() -> None:
    constraint = IFEVAL.build("keywords:existence", {"keywords": ["plain"]})
    assert "note" not in judge([constraint], "text")[0]
