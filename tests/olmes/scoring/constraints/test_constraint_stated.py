"""IFEval as it is stated, where the published checks pass what is not asked for or fail what is."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import pytest

from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifeval.combination import meet_as_stated
from olmes.scoring.constraints.ifeval.instructions import IFEVAL, IFEVAL_BY_REFERENCE
from olmes.scoring.constraints.ifeval.layout import MultipleSections
from olmes.scoring.constraints.judging import meets
from tests.olmes.scoring.constraints.test_constraint_linear import HOSTILE

WAR: dict[str, Any] = {"keyword": "war", "relation": "at least", "frequency": 2}
FEW: dict[str, Any] = {"relation": "less than", "num_sentences": 3}
MANY: dict[str, Any] = {"relation": "at least", "num_sentences": 2}
CAPITALS: dict[str, Any] = {"capital_relation": "at least", "capital_frequency": 2}
TWO: dict[str, Any] = {"section_spliter": "Section", "num_sections": 2}
PS: dict[str, Any] = {"postscript_marker": "P.S."}
BYE: dict[str, Any] = {"end_phrase": "Any more questions?"}
ASKED: dict[str, Any] = {"prompt_to_repeat": "Write a poem about 'rain'."}
SUN: dict[str, Any] = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "sun"}
ENGLISH = "This is a lovely garden by the river, and the children play in it every day."
HINDI = "यह हमारे पुराने शहर के इतिहास के बारे में लिखी गई एक बहुत सुंदर किताब है।"

# arguments | text | as stated | by the published check, by instruction
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "keywords:existence": [
        ({"keywords": ["ink"]}, "I was thinking.", 0, 1),
        ({"keywords": ["ink"]}, "Some _ink_ and *Ink*.", 1, 1),
        ({"keywords": ["colou?r"]}, "A color.", 0, 1),
        ({"keywords": ["don't"]}, "I don’t.", 1, 0),
        ({"keywords": ["river bed"]}, "A river\nbed.", 1, 0),
        ({"keywords": ["theta"]}, '{"a": "b\\ntheta"}', 1, 1),
        ({"keywords": ["사과"]}, "나는 사과를 먹는다.", 1, 1),
    ],
    "keywords:frequency": [
        (WAR, "Towards a warm land.", 0, 1),
        (WAR, "War and war.", 1, 1),
        ({**WAR, "relation": "less than"}, "war, wars and warm wars", 1, 0),
    ],
    "keywords:forbidden_words": [
        ({"forbidden_words": ["rock"]}, "a _rock_", 0, 1),
        ({"forbidden_words": ["rock"]}, "a rocket", 1, 1),
    ],
    "keywords:letter_frequency": [
        ({"letter": "a", "let_relation": "less than", "let_frequency": 2}, "aA", 0, 0),
    ],
    "language:response_language": [
        ({"language": "hi"}, HINDI, 1, 1),
        ({"language": "hi"}, "12:30", 0, 1),
        ({"language": "hi"}, f"Sure, here is what you asked for:\n{HINDI}\n{HINDI}", 0, 1),
        ({"language": "hi"}, f"<<Site Reliability Engineer Handbook>>\n{HINDI}\n{HINDI}", 1, 1),
        ({"language": "en"}, f"{ENGLISH} {ENGLISH}\n{HINDI[:40]}", 0, 1),
        ({"language": "de"}, ENGLISH, 0, 0),
        ({"language": "zh"}, "这是一个关于老城历史的美丽故事，孩子们每天都在那里玩。", 1, 0),
    ],
    "change_case:english_capital": [
        ({}, ENGLISH.upper(), 1, 1),
        ({}, "- WAN WAN IS A SORCERESS.\n- SHE IS IN LOVE WITH LI ZHAOYUN.", 1, 0),
        ({}, "DAS IST EIN SCHÖNER GARTEN AM FLUSS, UND DIE KINDER SPIELEN DARIN.", 0, 0),
        ({}, "SHE SAID: Yes.", 0, 0),
    ],
    "change_case:english_lowercase": [({}, ENGLISH.lower(), 1, 1), ({}, ENGLISH, 0, 0)],
    "change_case:capital_word_frequency": [
        (CAPITALS, "I think I know.", 0, 1),
        (CAPITALS, "We CAN'T.", 0, 1),
        (CAPITALS, "A BIG dog.", 1, 1),
        (CAPITALS, "A dog, A WELL-KNOWN one.", 1, 1),
        ({**CAPITALS, "capital_relation": "less than"}, "I said I know.", 1, 0),
    ],
    "length_constraints:number_sentences": [
        (FEW, "1. Sow seeds.\n2. Add water.", 1, 0),
        (MANY, "The rain falls on the roof\n\nThe sun shines on the sea", 1, 0),
        (MANY, "# Rain\n\nIt falls.", 0, 0),
        (FEW, "Dear Ann,\n\nIt rains.\n\nWith love,\n\nBob", 1, 1),
        (MANY, "我喜欢雨。你喜欢太阳。", 1, 0),
        (MANY, "- rain\n- sun", 0, 0),
    ],
    "length_constraints:number_words": [
        ({"relation": "less than", "num_words": 2}, "don't", 1, 0),
        ({"relation": "at least", "num_words": 4}, "well-known don'ts", 0, 1),
        ({"relation": "at least", "num_words": 2}, "rain—sun", 1, 1),
    ],
    "length_constraints:number_paragraphs": [
        ({"num_paragraphs": 2}, "Rain.\n***\nSun.", 1, 1),
        ({"num_paragraphs": 2}, "It is ***rain***.", 0, 0),
        ({"num_paragraphs": 3}, "It is ***heavy*** rain.", 0, 1),
        ({"num_paragraphs": 2}, "Rain.\n***\n***\nSun.", 1, 0),
        ({"num_paragraphs": 2}, "Rain.\n* * *\nSun.", 1, 0),
        ({"num_paragraphs": 1}, "Rain.\n***\nSun.", 0, 0),
    ],
    "length_constraints:nth_paragraph_first_word": [
        (SUN, "Rain falls.\n\n\n\nSun shines.", 1, 0),
        (SUN, "\n\nRain falls.\n\n**Sun** shines.", 1, 0),
        (SUN, "Rain falls.\n \nSun shines.", 1, 0),
        (SUN, "Sun shines.\n\nRain falls.", 0, 0),
        (SUN, "Rain falls.\n\nSunny days.", 0, 0),
    ],
    "detectable_format:number_bullet_lists": [
        ({"num_bullets": 2}, "+ a\n+ b", 1, 0),
        ({"num_bullets": 2}, "• a\n•b", 1, 0),
        ({"num_bullets": 2}, "* a\n* * *\n* b", 1, 0),
        ({"num_bullets": 2}, "*It* rains.\n-5 degrees.", 0, 1),
        ({"num_bullets": 2}, "* a\n\n---\n", 0, 1),
        ({"num_bullets": 2}, "```python\n- a\n- b\n```", 0, 1),
        ({"num_bullets": 2}, "```markdown\n- a\n- b\n```", 1, 1),
        ({"num_bullets": 2}, '"* a\n  - b"', 1, 0),
    ],
    "detectable_format:constrained_response": [
        ({}, "My answer is yes. My answer is no. My answer is maybe.", 0, 1),
        ({}, "It is so. **My answer is yes.**", 1, 1),
    ],
    "detectable_format:number_highlighted_sections": [
        ({"num_highlights": 1}, "2*3*4 = 24", 0, 1),
        ({"num_highlights": 1}, "2 * 3 * 4 = 24", 0, 1),
        ({"num_highlights": 1}, "f(*args) and g(*args)", 0, 1),
        ({"num_highlights": 2}, "***rain***", 0, 1),
        ({"num_highlights": 2}, "**rain** and *sun*", 1, 1),
        ({"num_highlights": 1}, "*Rain falls\non the roof*", 1, 0),
        ({"num_highlights": 1}, "*Rain falls\n\non the roof*", 0, 0),
        ({"num_highlights": 1}, "`a **b** c`", 0, 1),
        ({"num_highlights": 1}, "비가 *많이*는 아니다", 1, 1),
    ],
    "detectable_format:multiple_sections": [
        (TWO, "Section 1\nRain.\nSection 2\nSun.", 1, 1),
        (TWO, "See Section 1 and Section 2 of the act.", 0, 1),
        (TWO, "Section 1\nRain.\nSection 2\nSun.\nSection 3\nFog.", 0, 1),
        (TWO, "Section I: Rain.\nSection II: Sun.", 1, 0),
        (TWO, "**Section One**\nRain.\n\n**Section Two**\nSun.", 1, 0),
        (TWO, "Section 1\nSection 2\n", 0, 1),
        (TWO, "Section 1\nRain.\nSection 1\nSun.", 0, 1),
        (TWO, "(Verse - Section 1)\nRain.\n\n(Verse - Section 2)\nSun.", 1, 1),
        (TWO, '"Section 1" It rains. "Section 2" It shines.', 1, 1),
    ],
    "detectable_format:json_format": [
        ({}, '````json\n{"a": 1}\n````', 1, 0),
        ({}, '{"a": NaN}', 0, 1),
        ({}, "7", 0, 1),
        ({}, '"only a text"', 0, 1),
        ({}, '```json\n["a"]', 0, 1),
        ({}, '~~~\n["a"]\n~~~', 1, 0),
        ({}, 'Here:\n```json\n["a"]\n```', 0, 0),
    ],
    "detectable_format:title": [
        ({}, 'cout << "hi"; cin >> x;', 0, 1),
        ({}, "int y = a<<2; int z = b>>1;", 0, 1),
        ({}, '```cpp\nf(<<"rain">>)\n```', 0, 1),
        ({}, "# Title: << Rain >>\nIt falls.", 1, 1),
        ({}, "It is called <<Rain>>.", 1, 1),
        ({}, "<< >>", 0, 0),
    ],
    "detectable_content:number_placeholders": [
        ({"num_placeholders": 1}, "Dear [name],", 1, 1),
        ({"num_placeholders": 1}, "As shown [1] and [^a] and [].", 0, 1),
        ({"num_placeholders": 1}, "See [here](https://example.org).", 0, 1),
        ({"num_placeholders": 1}, "- [x] bought\n- [ ] paid", 0, 1),
        ({"num_placeholders": 1}, '{"a": ["b"]}', 0, 1),
    ],
    "detectable_content:postscript": [
        (PS, "He stood up. S. ran.", 0, 1),
        (PS, "Hi.\n\n**P.S.** Bye", 1, 1),
        (PS, "It rains. p. s. Bring boots.", 1, 1),
        (PS, "P.S. It rains.\n\nDear Ann,\nI write to you.\nBob", 0, 1),
        (PS, "It rains.\n\nP.S.", 0, 1),
        (PS, "It rains.\n\nP.P.S. Bring boots.", 0, 1),
    ],
    "combination:two_responses": [
        ({}, "It rains.\n******\nIt shines.", 1, 1),
        ({}, "It rains.\n******\nIt rains!", 0, 1),
        ({}, "It rains.\n********\nIt shines.", 0, 1),
        ({}, r"It rains. \*\*\*\*\*\* It shines.", 1, 0),
    ],
    "combination:repeat_prompt": [
        (ASKED, "Write a poem about 'rain'.", 0, 1),
        (ASKED, "Write a poem about 'rain'.\nIt falls.", 1, 1),
        (ASKED, "**Write a poem about ‘rain’.**\n\nIt falls.", 1, 0),
        (ASKED, "Sure! Write a poem about 'rain'.\nIt falls.", 0, 0),
    ],
    "startend:end_checker": [
        (BYE, "It rains. **Any more questions?**", 1, 0),
        (BYE, "It rains. “Any more questions?”", 1, 0),
        (BYE, "There are many more questions?", 0, 1),
        (BYE, "It rains. Any more questions", 0, 0),
        (BYE, "Any more questions? Yes.", 0, 0),
        ({"end_phrase": "in India"}, "We live in India.", 1, 0),
        ({"end_phrase": "That's all."}, "That’s all.", 1, 0),
    ],
    "startend:quotation": [
        ({}, '"It rains" and "it shines"', 0, 1),
        ({}, "“It rains.”", 1, 0),
        ({}, "«Il pleut.»", 1, 0),
        ({}, '"She said "rain" and left."', 1, 1),
        ({}, '"A pipe of 6" width"', 1, 1),
        ({}, '"One paragraph.\n\n"And another."', 1, 1),
        ({}, '"Title"\n\nIt rains."', 0, 1),
        ({}, 'So: "It rains."', 0, 0),
    ],
    "punctuation:no_comma": [
        ({}, "你好，世界。", 0, 1),
        ({}, "一、二", 0, 1),
        ({}, "مرحبا، عالم", 0, 1),
        ({}, "1,000", 0, 0),
        ({}, "Rain; sun.", 1, 1),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("id_", "arguments", "text", "stated", "published"),
    [(id_, *case) for id_, cases in CASES.items() for case in cases],
)
def test_verdicts(
    id_: str, arguments: dict[str, Any], text: str, stated: int, published: int
) -> None:
    assert IFEVAL.build(id_, arguments).check(text) == stated
    assert IFEVAL_BY_REFERENCE.build(id_, arguments).check(text) == published


def test_where_the_published_check_is_another_an_example_shows_it() -> None:
    """And where it is the same, no example shows a difference."""
    assert CASES.keys() == IFEVAL.kinds.keys() == IFEVAL_BY_REFERENCE.kinds.keys()
    for id_, cases in CASES.items():
        differing = any(stated != published for _, _, stated, published in cases)
        kind: type[Constraint] = IFEVAL.kinds[id_]
        assert differing == (kind.reference is not Constraint.reference)


def test_more_sections_are_right_where_at_least_so_many_are_asked_for() -> None:
    three = "Section 1\nRain.\nSection 2\nSun.\nSection 3\nFog."
    assert MultipleSections(**TWO).or_more().check(three)
    assert not MultipleSections("Section", 4).or_more().check(three)


def test_a_ban_that_the_request_itself_breaks_is_on_the_answer() -> None:
    ids = [
        "combination:repeat_prompt",
        "keywords:forbidden_words",
        "length_constraints:number_words",
    ]
    words = {"relation": "less than", "num_words": 12}
    kwargs = [ASKED, {"forbidden_words": ["rain"]}, words]
    wanted = IFEVAL.item(ids, kwargs)
    asked = ASKED["prompt_to_repeat"]
    assert meet_as_stated(wanted, f"{asked}\nIt falls.") == [True, True, True]
    assert meet_as_stated(wanted, f"{asked}\nThe rain falls.") == [True, False, True]
    # The request has few words, so that the limit is on the whole.
    assert meet_as_stated(wanted, f"{asked}\nIt falls on roofs and on roads alike.")[2] is False


MORE_HOSTILE = {
    name: text * (1_000_000 // len(text))
    for name, text in {
        "half highlights": "*a ",
        "half emphasis": "***a",
        "headings": "Section 1\n",
        "half headings": "# Section ",
        "bullets": "\n- a",
        "blank bullets": "* \n",
        "half quotations": '"a ',
        "postscripts": "P.S. a\n",
        "code": "```python\n",
        "lists": "1. a\n",
    }.items()
}


@pytest.mark.parametrize("name", [*HOSTILE, *MORE_HOSTILE])
def test_a_hostile_megabyte_is_judged_as_stated(name: str) -> None:
    constraints = [kind.draw(Random(1), "the garden") for kind in IFEVAL.kinds.values()]
    start = time.process_time()
    assert len(meets(constraints, (HOSTILE | MORE_HOSTILE)[name])) == 25
    assert time.process_time() - start < 30
