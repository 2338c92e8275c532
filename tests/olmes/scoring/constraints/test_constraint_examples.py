"""IFEval: three texts that meet each of the 25 types and three that miss it, near the border."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifeval.instructions import IFEVAL_BY_REFERENCE as IFEVAL
from olmes.scoring.constraints.judging import judge

NTH = {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "rivers"}
SECTIONS = {"section_spliter": "SECTION", "num_sections": 2}
REPEAT = {"prompt_to_repeat": "Name a river, please."}

# arguments | texts that meet it | texts that miss it, strictly and loosely
EXAMPLES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "keywords:existence": (
        {"keywords": ["river", "sea"]},
        ["The river meets the sea.", "SEA and River", "riverbed, season"],
        ["The river meets the lake.", "se a, river", "The ri\nver and the sea"],
    ),
    "keywords:frequency": (
        {"keyword": "river", "relation": "at least", "frequency": 3},
        ["river river river", "River, rivers, RIVERBED", "A river. A river.\nA river. A river."],
        ["river river", "rive riverr ri ver", "A stream."],
    ),
    "keywords:forbidden_words": (
        {"forbidden_words": ["sea", "deep lake"]},
        ["season of the lake", "deep, lake", "The river is deep."],
        ["By the SEA.", "sea-bird", "the deep lake"],
    ),
    "keywords:letter_frequency": (
        {"letter": "z", "let_relation": "at least", "let_frequency": 3},
        ["Zz z", "pizza, ZOO", "zigzag zone"],
        ["pizza", "Z Z", "S S S"],
    ),
    "language:response_language": (
        {"language": "fr"},
        [
            "La rivière coule lentement vers la mer et les oiseaux chantent.",
            "**Bonjour** à tous, je vous écris depuis une petite ville de province.",
            "Il était une fois un roi qui vivait dans un grand château.",
        ],
        [
            "The river flows slowly to the sea and the birds sing.",
            "Der Fluss fließt langsam zum Meer, und die Vögel singen.",
            "El río corre lentamente hacia el mar y los pájaros cantan.",
        ],
    ),
    "change_case:english_capital": (
        {},
        [
            "THE RIVER FLOWS SLOWLY TO THE SEA.",
            "IN 1999 THERE WERE 12 BRIDGES OVER THE RIVER!",
            "FIRST, THINK ABOUT THE WEATHER.\nTHEN GO OUTSIDE.",
        ],
        [
            "THE RIVER FLOWS SLOWLY TO THE sea.",
            "The River Flows Slowly To The Sea.",
            "DER FLUSS FLIESST LANGSAM ZUM MEER UND DIE VÖGEL SINGEN DAZU.",
        ],
    ),
    "change_case:english_lowercase": (
        {},
        [
            "the river flows slowly to the sea.",
            "in 1999 there were 12 bridges over the river!",
            "first, think about the weather.\nthen go outside.",
        ],
        [
            "the river flows slowly to the Sea.",
            "THE RIVER FLOWS SLOWLY TO THE SEA.",
            "der fluss fließt langsam zum meer und die vögel singen dazu.",
        ],
    ),
    "change_case:capital_word_frequency": (
        {"capital_relation": "less than", "capital_frequency": 2},
        ["No capitals here.", "Only ONE here.", "I am here."],
        ["ONE and TWO.", "I saw NASA.", "A-B and C.D. are in UK, USA."],
    ),
    "length_constraints:number_sentences": (
        {"relation": "at least", "num_sentences": 3},
        ["One. Two. Three.", "Is it? It is! Good.", "Mr. Fox came. He sat.\nHe left."],
        ["One. Two.", "Dr. Who met Mr. Fox at 3.30 p.m. today.", "a line\nanother\na third"],
    ),
    "length_constraints:number_words": (
        {"relation": "less than", "num_words": 4},
        ["One two three", "well-known word", "One, two; three!"],
        ["One two three four", "a well-known old word", "Don't do that"],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2},
        ["One.\n***\nTwo.", "One. *** Two.", "***\nOne.\n***\nTwo.\n***"],
        ["One. *** Two. *** Three.", "One.\n\nTwo.", "One.\n***\n***\nTwo."],
    ),
    "length_constraints:nth_paragraph_first_word": (
        NTH,
        ["a\n\nRivers run\n\nc", 'a\n\n"rivers" run\n\nc', "a\n\nrivers, lakes\n\nc"],
        ["a\n\nLakes\n\nc", "a\n\nriverside\n\nc", "rivers\n\nb\n\nc"],
    ),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2},
        ["* one\n* two", "- one\n- two", "Two:\n  * one\n  - two"],
        ["* one", "* one\n* two\n* three\n* four\n* five", "1. one\n2. two"],
    ),
    "detectable_format:constrained_response": (
        {},
        ["My answer is yes.", "  My answer is no.\n", "Well. My answer is maybe. So be it."],
        ["Yes.", "my answer is yes.", "My answer is yes!"],
    ),
    "detectable_format:number_highlighted_sections": (
        {"num_highlights": 2},
        ["*one* and *two*", "**one** and *two*", "*a b* c\n*d e*"],
        ["*one*", "one and two", "* one\n* two"],
    ),
    "detectable_format:multiple_sections": (
        SECTIONS,
        ["SECTION 1\na\nSECTION 2\nb", "SECTION 1 a SECTION 2 b SECTION 3 c", "SECTION1 SECTION2"],
        ["SECTION 1\na", "Section 1\na\nSection 2\nb", "SECTION A\na\nSECTION B\nb"],
    ),
    "detectable_format:json_format": (
        {},
        ['{"a": 1}', '```json\n{"a": [1, 2]}\n```', "```\n[]\n```"],
        ["{a: 1}", 'Here it is: {"a": 1} Done.', '{"a": 1,}'],
    ),
    "detectable_format:title": (
        {},
        ["<<River>>\nIt flows.", "It flows. <<The river>>", "<<<River>>>"],
        ["<River>", "<< >>", "# River\n<<It\nflows>>"],
    ),
    "detectable_content:number_placeholders": (
        {"num_placeholders": 2},
        ["[name], [address]", "Dear [name],\nI am [name].", "[a][b][c]"],
        ["[name]", "(name), {address}", "[name\n] and [address\n]"],
    ),
    "detectable_content:postscript": (
        {"postscript_marker": "P.P.S"},
        ["Bye.\nP.P.S. One more.", "Bye.\np.p.s one more", "Bye.\nP. P. S: one more"],
        ["Bye.\nP.S. One more.", "Bye.\nPPS One more.", "Bye.\nPostscript: one more."],
    ),
    "combination:two_responses": (
        {},
        ["One.\n******\nTwo.", "One.******Two.", "******\nOne.\n******\nTwo.\n******"],
        ["One.\n***\nTwo.", "One.\n******\nOne.", "One.******Two.******Three."],
    ),
    "combination:repeat_prompt": (
        REPEAT,
        ["Name a river, please.\nThe Rhine.", "  NAME A RIVER, PLEASE. Rhine", "Name a river, please."],
        ["The Rhine.", "Name a river please. The Rhine.", "You said: Name a river, please. Rhine."],
    ),
    "startend:end_checker": (
        {"end_phrase": "That is all."},
        ["The Rhine. That is all.", 'The Rhine. "that is ALL."', "That is all.\n\n"],
        ["That is all. The Rhine.", "The Rhine. That is all", "The Rhine. That is all!"],
    ),
    "startend:quotation": (
        {},
        ['"The Rhine."', ' "The Rhine.\nThe Elbe." \n', '"a" and "b"'],
        ['"The Rhine.', "'The Rhine.'", 'The "Rhine".'],
    ),
    "punctuation:no_comma": (
        {},
        ["The Rhine; the Elbe.", "No comma at all", "An Arabic one، that is another character"],
        ["The Rhine, the Elbe.", ",", "1,000 rivers"],
    ),
}  # fmt: skip


def test_every_type_has_three_of_each() -> None:
    assert EXAMPLES.keys() == IFEVAL.kinds.keys()
    for _, met, missed in EXAMPLES.values():
        assert len(set(met)) == len(set(missed)) == 3


@pytest.mark.parametrize("id_", sorted(EXAMPLES))
def test_three_texts_meet_it_and_three_miss_it(id_: str) -> None:
    arguments, met, missed = EXAMPLES[id_]
    constraint = IFEVAL.build(id_, arguments)
    for text in met:
        assert judge([constraint], text) == [{"id": id_, "strict": True, "loose": True}], text
    for text in missed:
        assert judge([constraint], text) == [{"id": id_, "strict": False, "loose": False}], text
