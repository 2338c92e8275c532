"""IFEval-OOD and IFBench: what the checks on counts take and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE

KEYWORDS = {f"keyword{n}": word for n, word in enumerate("abcde", 1)}

# arguments | text | as stated | by the published check, by constraint
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "count:conjunctions": [
        ({"small_n": 2}, "Rain and snow, but no wind.", 1, 1),
        ({"small_n": 3}, "AND so YET", 1, 1),
        ({"small_n": 2}, "salt-and-pepper or (nor) else", 1, 1),
        ({"small_n": 2}, "and And and, (and)", 0, 1),
        ({"small_n": 3}, "So it goes, so, so.", 0, 1),
        ({"small_n": 2}, "Rain and sand form a storm.", 0, 0),
    ],
    "count:numbers": [
        ({"N": 2}, "1,000 boats for 3.50 each", 1, 1),
        ({"N": 2}, "from 10-15 boats", 1, 0),
        ({"N": 2}, "1/2", 1, 0),
        ({"N": 0}, "two boats", 1, 1),
        ({"N": 1}, "10-15", 0, 1),
        ({"N": 2}, "1. one boat", 0, 0),
        ({"N": 3}, "1, 2, 3, 4", 0, 0),
    ],
    "count:person_names": [
        ({"N": 2}, "Emma met Liam.", 1, 1),
        ({"N": 1}, "(Zoe)", 1, 1),
        ({"N": 1}, "Emma's boat, not EMMA's", 1, 1),
        ({"N": 2}, "Emma met Emma.", 0, 0),
        ({"N": 1}, "emma", 0, 0),
        ({"N": 1}, "Leonard came.", 0, 0),
    ],
    "count:pronouns": [
        ({"N": 3}, "She/her, and them too", 1, 1),
        ({"N": 2}, "It's mine.", 1, 1),
        ({"N": 2}, "I saw my house", 1, 1),
        ({"N": 1}, "The house", 0, 0),
        ({"N": 2}, "Ithaca is theirs", 0, 0),
        ({"N": 2}, "No one said it", 0, 0),
    ],
    "count:punctuation": [
        ({}, "a. b, c! d? e; f: g?!", 1, 1),
        ({}, "a. b, c! d? e; f: g!?", 1, 1),
        ({}, "a. b, c! d? e; f: g‽", 1, 1),
        ({}, "a. b, c? e; f: g?!", 0, 0),
        ({}, "a. b, c! d? e; f: g", 0, 0),
        ({}, "a. b, e; f: g?!", 0, 0),
    ],
    "count:unique_word_count": [
        ({"N": 3}, "One two three", 1, 1),
        ({"N": 2}, "one, One, two.", 1, 1),
        ({"N": 2}, "it's its", 1, 1),
        ({"N": 3}, "one - two", 0, 1),
        ({"N": 2}, "One one ONE.", 0, 0),
        ({"N": 3}, "“one” one two", 0, 1),
    ],
    "count:word_count_range": [
        ({"min_words": 2, "max_words": 3}, "one two", 1, 1),
        ({"min_words": 2, "max_words": 3}, "one two three", 1, 1),
        ({"min_words": 2.0, "max_words": 2.0}, "don't well-known", 1, 0),
        ({"min_words": 2, "max_words": 3}, "don't", 0, 1),
        ({"min_words": 2, "max_words": 3}, "rain—sun - wind", 1, 1),
        ({"min_words": 2, "max_words": 3}, "one", 0, 0),
        ({"min_words": 2, "max_words": 3}, "one two three four", 0, 0),
        ({"min_words": 1, "max_words": 3}, "...", 0, 0),
    ],
    "count:words_japanese": [
        ({"N": 2}, "the 川 and 山", 1, 1),
        ({"N": 2}, "the カワ, and", 1, 1),
        ({"N": 1}, "川 山", 1, 1),
        ({"N": 2}, "the - and 川", 0, 1),
        ({"N": 3}, "too short", 0, 1),
        ({"N": 2}, "the 川 and 12", 0, 1),
        ({"N": 2}, "the 川 and river", 0, 0),
        ({"N": 2}, "강 강", 0, 0),
    ],
    "count:keywords_multiple": [
        (KEYWORDS, "a b b c c c" + " d" * 5 + " e" * 7, 1, 1),
        (KEYWORDS, "A, B. B! C c C" + " d" * 5 + "\ne" * 7, 1, 1),
        (KEYWORDS, "an a b b c c c" + " d" * 5 + " e" * 7, 1, 0),
        (KEYWORDS, "ab b c c c" + " d" * 5 + " e" * 7, 0, 1),
        (KEYWORDS, "a b b c c c" + " d" * 5 + " e" * 8, 0, 0),
        (KEYWORDS, "a b b c c c" + " d" * 5 + " e" * 6, 0, 0),
        (KEYWORDS, "7", 0, 0),
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
