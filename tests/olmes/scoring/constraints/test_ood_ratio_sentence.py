"""IFEval-OOD and IFBench: what the checks on ratios and sentences take and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE

# arguments | text | as stated | by the published check, by constraint
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "ratio:overlap": [
        ({"reference_text": "one two three four", "percentage": 100}, "One, two three four", 1, 0),
        ({"reference_text": "one two three four", "percentage": 50}, "two three four five", 1, 0),
        ({"reference_text": "one two three four", "percentage": 0}, "xyz uvw rst", 1, 1),
        ({"reference_text": "one two three four", "percentage": 100}, "one two", 0, 1),
        ({"reference_text": "one two three four", "percentage": 60}, "two three four five", 0, 0),
        ({"reference_text": "one two three four", "percentage": 0}, "ab", 0, 0),
        ({"reference_text": "", "percentage": 50}, "one two three", 0, 0),
    ],
    "ratio:sentence_balance": [
        ({}, "It rains. Does it? It does!", 1, 1),
        ({}, "One is here. Two too. Is it? Is it so? Yes! No!", 1, 1),
        ({}, 'It rains. Does it? He said "no!"', 1, 0),
        ({}, "no marks at all", 0, 1),
        ({}, "It rains. Does it?", 0, 0),
        ({}, "It rains. Yes it does. Does it? It does!", 0, 0),
    ],
    "ratio:sentence_type": [
        ({}, "It rains. It pours. Does it?", 1, 1),
        ({}, "It rains. Does it? It pours. It stops!", 1, 1),
        ({}, "One is here. Two is there. (Is three here?)", 1, 0),
        ({}, "no marks at all", 0, 1),
        ({}, "It rains!", 0, 1),
        ({}, "It rains. Does it?", 0, 0),
    ],
    "ratio:sentence_words": [
        ({}, "We row far. You go out. It is so!", 0, 0),
        ({}, "We row far. You go out. They sing.", 0, 0),
        ({}, "We run far. You go out. They sat.", 0, 0),
        ({}, "We saw it. We ate it. We had it.", 0, 1),
        ({}, "We saw me. You ate it. I had us.", 0, 0),
        ({}, "Rivers sing on. Winds blow far. Birds nest low.", 1, 1),
        ({}, "Row far. Sing so! Eat now?", 1, 1),
        ({}, "Row far. \n Sing so! \n Eat now?", 1, 1),
        ({}, "Row far. Sing so! Eat far?", 0, 1),
    ],
    "ratio:stop_words": [
        ({"percentage": 0}, "Rivers sing.", 1, 1),
        ({"percentage": 50}, "The river", 1, 1),
        ({"percentage": 25}, "THE old river sings", 1, 1),
        ({"percentage": 40}, "The river", 0, 0),
        ({"percentage": 30}, "don't worry", 0, 0),
        ({"percentage": 100}, "...", 0, 0),
    ],
    "sentence:alliteration_increment": [
        ({}, "Rivers sing. Big blue boats come.", 1, 1),
        ({}, "We row. Big boats come. Tall trees there, too.", 1, 1),
        ({}, "He sings. “Big boats” come.", 1, 0),
        ({}, "One sentence alone.", 0, 1),
        ({}, "Big boats come. Tall trees stand.", 0, 0),
        ({}, "Big boats come. Tall trees hear small signs.", 0, 1),
    ],
    "sentence:increment": [
        ({"small_n": 1}, "We row. We row far.", 1, 1),
        ({"small_n": 2}, "Stop. We row - far. We all row out so far.", 0, 0),
        ({"small_n": 2}, "Stop. We row far. We all row so far.", 1, 1),
        ({"small_n": 2}, "Stop. We row - far. We all row - so far.", 1, 1),
        ({"small_n": 0}, "We row. You row.", 1, 1),
        ({"small_n": 1}, "We row.", 0, 1),
        ({"small_n": 1}, "We row. We row so far.", 0, 0),
    ],
    "sentence:keyword": [
        ({"word": "river", "N": 2}, "It rains. The RIVER rises.", 1, 1),
        ({"word": "river", "N": 1}, "River.", 1, 1),
        ({"word": "a.b", "N": 1}, "It is a.b here", 1, 1),
        ({"word": "river", "N": 2}, "The river rises. It rains.", 0, 0),
        ({"word": "river", "N": 2}, "It rains. Rivers rise.", 0, 0),
        ({"word": "river", "N": 3}, "It rains. The river rises.", 0, 0),
    ],
    "words:keywords_specific_position": [
        ({"keyword": "river", "n": 2, "m": 2}, "It rains. The river, too.", 1, 1),
        ({"keyword": "river", "n": 1, "m": 1}, "River.", 1, 1),
        ({"keyword": "river", "n": 1, "m": 3}, "Don't cross river", 1, 0),
        ({"keyword": "river", "n": 1, "m": 4}, "Don't cross river", 0, 1),
        ({"keyword": "river", "n": 2, "m": 2}, "The river. It rains.", 0, 0),
        ({"keyword": "river", "n": 1, "m": 9}, "The river.", 0, 0),
    ],
}


@pytest.mark.parametrize(
    ("id_", "arguments", "text", "stated", "published"),
    [(id_, *case) for id_, cases in CASES.items() for case in cases],
)
def test_verdicts(
    id_: str, arguments: dict[str, Any], text: str, stated: int, published: int
) -> None:
    assert IFBENCH.build(id_, arguments).check(text) == stated
    assert IFBENCH_BY_REFERENCE.build(id_, arguments).check(text) == published


@pytest.mark.parametrize("id_", CASES)
def test_three_pass_and_three_fail(id_: str) -> None:
    stated = [case[2] for case in CASES[id_]]
    assert stated.count(1) >= 3
    assert stated.count(0) >= 3
