"""IFEval-OOD and IFBench: what the checks on words and repeated requests take and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE

PALINDROMES = "level radar civic kayak refer rotor madam tenet stats solos"
SPAN = {"prompt_to_repeat": "Name a long river there.", "n_start": 1, "n_end": 3}

# arguments | text | as stated | by the published check, by constraint
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "words:alphabet": [
        ({}, "Young zebras always bite", 1, 1),
        ({}, "A - big, cat", 1, 1),
        ({}, "“Dogs eat”", 1, 0),
        ({}, "Word", 0, 1),
        ({}, "A cat", 0, 0),
        ({}, "1 2", 0, 0),
        ({}, "...", 0, 0),
    ],
    "words:consonants": [
        ({}, "Strong winds blow", 1, 1),
        ({}, "strong - winds", 1, 0),
        ({}, "Don't (try) 12 things", 1, 0),
        ({}, "A strong wind", 0, 0),
        ({}, "12 - 13", 0, 0),
        ({}, "rowing so far", 0, 0),
    ],
    "words:last_first": [
        ({}, "We see rivers. Rivers sing.", 1, 1),
        ({}, "We see rivers. “Rivers”, they say, sing. Sing!", 1, 0),
        ({}, "We see rivers. Rivers meet seas. Seas rise.", 1, 1),
        ({}, "One sentence alone", 0, 1),
        ({}, "We see rivers. They sing.", 0, 0),
        ({}, "Rivers sing. Rivers rise.", 0, 0),
    ],
    "words:no_consecutive": [
        ({}, "Old rivers sing", 1, 1),
        ({}, "one", 1, 1),
        ({}, "“Old” “rivers” sing", 1, 0),
        ({}, "“Old” “red” boats", 1, 0),
        ({}, "Two trees", 0, 0),
        ({}, "Two - Trees", 0, 0),
        ({}, "!!", 0, 1),
    ],
    "words:odd_even_syllables": [
        ({}, "Old rivers sing", 1, 1),
        ({}, "Rivers sing often", 1, 1),
        ({}, "river, go", 1, 1),
        ({}, "word", 0, 1),
        ({}, "two trees", 0, 0),
        ({}, "river mountains", 0, 0),
    ],
    "words:palindrome": [
        ({}, PALINDROMES, 1, 1),
        ({}, PALINDROMES.upper().replace(" ", ", "), 1, 1),
        ({}, f"See: {PALINDROMES} and more.", 1, 1),
        ({}, "level " * 10, 0, 1),
        ({}, "11111 " * 10, 0, 1),
        ({}, PALINDROMES.replace("level", "wow"), 0, 0),
    ],
    "words:paragraph_last_first": [
        ({}, "Time takes time.", 1, 1),
        ({}, "Time takes time.\n\nRain, they say, is rain!", 1, 0),
        ({}, "Word\nTime takes time", 1, 1),
        ({}, "Word", 0, 1),
        ({}, "Time takes rain.", 0, 0),
        ({}, "Time takes time.\nRain falls.", 0, 0),
    ],
    "words:prime_lengths": [
        ({}, "Old birds see us", 1, 1),
        ({}, "“We” see", 1, 0),
        ({}, "don’t see", 0, 1),
        ({}, "a" * 101, 1, 0),
        ({}, "four", 0, 0),
        ({}, "a bird", 0, 0),
        ({}, "...", 0, 1),
    ],
    "words:repeats": [
        ({"small_n": 2}, "go Go far", 1, 1),
        ({"small_n": 1}, "it's its", 1, 0),
        ({"small_n": 1}, "word", 1, 1),
        ({"small_n": 2}, "go, Go! GO", 0, 0),
        ({"small_n": 1}, "“go” go", 0, 1),
        ({"small_n": 1}, "...", 0, 1),
    ],
    "words:start_verb": [
        ({}, "Take the bridge over the river.", 1, 1),
        ({}, "**Take** the bridge.", 1, 0),
        ({}, "Consider the river.", 1, 1),
        ({}, "Use the bridge.", 1, 0),
        ({}, "The river runs.", 0, 0),
        ({}, "Rivers run.", 0, 0),
        ({}, "...", 0, 0),
    ],
    "words:vowel": [
        ({}, "The lake has waves", 1, 1),
        ({}, "  It is a red bar.\n", 1, 1),
        ({}, "rhythm", 1, 1),
        ({}, "It is our lake", 0, 0),
        ({}, "a red bar\nor so", 0, 0),
        ({}, "Le café où dîner", 0, 1),
        ({}, "!!", 0, 1),
    ],
    "words:words_position": [
        ({"keyword": "river"}, "The river meets another River here.", 1, 1),
        ({"keyword": "river"}, "Don't river me river now", 1, 0),
        ({"keyword": "river"}, "One river two", 1, 1),
        ({"keyword": "river"}, "The river meets it.", 0, 0),
        ({"keyword": "river"}, "river river", 0, 1),
        ({"keyword": "river"}, "River", 0, 0),
        ({"keyword": "river"}, "- river meets a river -", 0, 0),
    ],
    "repeat:repeat_change": [
        ({"prompt_to_repeat": "Name a river."}, "Find a river.", 1, 1),
        ({"prompt_to_repeat": "Name a river."}, "Find  a\nriver.", 1, 1),
        ({"prompt_to_repeat": "Name a river. "}, "Say a river.", 1, 1),
        ({"prompt_to_repeat": "Name a river."}, "Name a river. ", 0, 1),
        ({"prompt_to_repeat": "Name a river."}, "NAME a river.", 0, 1),
        ({"prompt_to_repeat": "Name a river."}, "Find a river. The Nile.", 0, 0),
        ({"prompt_to_repeat": "Name a river."}, "Name a river.", 0, 0),
    ],
    "repeat:repeat_simple": [
        ({}, "Only output this sentence here, ignore all other requests.", 1, 1),
        ({}, "\nonly output this sentence here, ignore all other requests. ", 1, 1),
        ({}, "ONLY OUTPUT THIS SENTENCE HERE, IGNORE ALL OTHER REQUESTS.", 1, 1),
        ({}, "Only output this sentence here, ignore all other requests", 0, 0),
        ({}, "Sure: Only output this sentence here, ignore all other requests.", 0, 0),
        ({}, "this sentence", 0, 0),
    ],
    "repeat:repeat_span": [
        (SPAN, "a long river", 1, 1),
        (SPAN, " A long\nriver ", 1, 1),
        ({**SPAN, "n_start": 4.0, "n_end": 4.0}, "there.", 1, 1),
        (SPAN, "Name a long", 0, 0),
        (SPAN, "a long river there.", 0, 0),
        (SPAN, "ame", 0, 0),
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
