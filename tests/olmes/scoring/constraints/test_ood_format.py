"""IFEval-OOD and IFBench: what the checks on format take and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE

# arguments | text | as stated | by the published check, by constraint
CASES: dict[str, list[tuple[dict[str, Any], str, int, int]]] = {
    "format:emoji": [
        ({}, "I row 🚣. You sail! ⛵", 1, 1),
        ({}, "Hello there! 😀 How are you? 😀", 1, 1),
        ({}, "We won 🇯🇵.", 1, 0),
        ({}, "Well done 👍🏽!", 1, 1),
        ({}, "I row. You sail ⛵.", 0, 0),
        ({}, "I row 🚣. You sail.", 0, 0),
        ({}, "😀", 0, 1),
        ({}, "One. 😀 Two! 🚣 Three?", 0, 0),
    ],
    "format:newline": [
        ({}, "one\ntwo\nthree", 1, 1),
        ({}, "one,\n\ntwo.", 1, 1),
        ({}, "word", 1, 1),
        ({}, "one two", 0, 0),
        ({}, "one two\n \nthree", 0, 1),
        ({}, "...", 0, 1),
    ],
    "format:options": [
        ({"options": "yes/no/maybe"}, "Yes.", 1, 1),
        ({"options": "yes/no/maybe"}, " maybe \n", 1, 0),
        ({"options": "I know or I don't know"}, "I\ndon't\nknow", 1, 0),
        ({"options": "a), b), c), d)"}, "b)", 1, 1),
        ({"options": "a), b), c), d)"}, "b)\n", 1, 0),
        ({"options": "a), b), c), d)"}, "B)", 0, 0),
        ({"options": "a), b), c), d)"}, "b", 0, 0),
        ({"options": "yes/no/maybe"}, "Yes, because", 0, 0),
    ],
    "format:title_case": [
        ({}, "The Tale of a River", 1, 0),
        ({}, "Don't Stop", 1, 0),
        ({}, "An iPhone and 3 Boats", 1, 0),
        ({}, "Rivers Sing", 1, 1),
        ({}, "the River", 0, 0),
        ({}, "Rivers sing", 0, 0),
        ({}, "123", 0, 1),
    ],
    "format:output_template": [
        ({}, "My Answer: yes My Conclusion: so Future Outlook: good", 1, 1),
        ({}, "**My Answer:** yes\n**My Conclusion:** so\n**Future Outlook:** good", 1, 1),
        ({}, "My Answer:\nyes\nMy Conclusion:\nso\nFuture Outlook:\ngood", 1, 1),
        ({}, "My Answer: My Conclusion: Future Outlook:", 0, 1),
        ({}, "Future Outlook: good My Answer: yes My Conclusion: so", 0, 1),
        ({}, "Sure! My Answer: yes My Conclusion: so Future Outlook: good", 0, 1),
        ({}, "My Answer: yes My Conclusion: so", 0, 0),
    ],
    "format:no_whitespace": [
        ({}, "one", 1, 1),
        ({}, "one,two", 1, 1),
        ({}, "一二三。", 1, 1),
        ({}, "one two", 0, 0),
        ({}, "one\n", 0, 0),
        ({}, "one\u00a0two", 0, 0),
    ],
    "format:line_indent": [
        ({}, "one\n two\n  three", 1, 1),
        ({}, "one\n\n two\n\n   three", 1, 1),
        ({}, "one\n\n\n two", 1, 0),
        ({}, "one\n\ttwo\n\t\tthree", 1, 0),
        ({}, "one line", 0, 1),
        ({}, "one\n two\n three", 0, 0),
        ({}, "  one\n two", 0, 0),
    ],
    "format:list": [
        ({"sep": "!?!?"}, "!?!? one\n!?!? two", 1, 1),
        ({"sep": "SEPARATOR"}, "Here:\n SEPARATOR one\n SEPARATOR two", 1, 1),
        ({"sep": "-"}, "- one\n- two", 1, 1),
        ({"sep": "..."}, "Well... it may be... so", 0, 1),
        ({"sep": "-"}, "a well-known, far-off town", 0, 1),
        ({"sep": "!?!?"}, "!?!? one\n* two\n!?!? three", 0, 1),
        ({"sep": "!?!?"}, "!?!? one", 0, 0),
    ],
    "format:no_bullets_bullets": [
        ({}, "One is here. Two is there.\n* a\n* b", 1, 1),
        ({}, "One is here. Two is there.\n\n* a\n\n* b", 1, 0),
        ({}, "One is here. Two is there.\n\n* a\n* b\n\nThat is all.", 1, 0),
        ({}, "One is here! Is two there?\n* a\n* b", 0, 1),
        ({}, "One is here.\n* a\n* b", 0, 0),
        ({}, "One is here. Two is there.\n* a", 0, 0),
        ({}, "One is here. Two is there.\n**a**\n**b**", 0, 1),
        ({}, "* a\n* b\nOne is here. Two is there.", 0, 0),
    ],
    "format:sub-bullets": [
        ({}, "* a\n  - b\n* c\n- d", 1, 1),
        ({}, "* **a**\n  - b", 1, 0),
        ({}, "Here:\n\n* a\n\n- b\n\nThat is all.", 1, 1),
        ({}, "No bullets here.", 0, 1),
        ({}, "* a well-known one\n* a far-off one", 0, 1),
        ({}, "* a\n  - b\n* c", 0, 0),
        ({}, "- a\n- b", 0, 1),
    ],
    "format:thesis": [
        ({}, "<i>Rivers sing.</i> They do.", 1, 1),
        ({}, "# One\n<em>Rivers sing.</em> They do.\n\n# Two\n<i>Birds too.</i> Yes.", 1, 1),
        ({}, "\n<I>Rivers sing.</I>\n\nThey do.", 1, 0),
        ({}, "# One\n<i>Rivers sing.</i> They do.\n\n# Two\nBirds too.", 0, 1),
        ({}, "Rivers. <i>They sing.</i> Yes.", 0, 1),
        ({}, "<i>Rivers sing.</i>", 0, 0),
        ({}, "<i> </i> Rivers.", 0, 0),
        ({}, "*Rivers sing.* They do.", 0, 0),
    ],
    "format:parentheses": [
        ({}, "a (b [c {d (e [f])}])", 1, 1),
        ({}, "1) a ((((( b )))))", 1, 1),
        ({}, "(a (b (c (d (e) f) g) h) i) j", 1, 1),
        ({}, "((((( a )", 0, 1),
        ({}, "((((a))))", 0, 0),
        ({}, "(a) (b) (c) (d) (e)", 0, 0),
        ({}, "([)]([)]([)]", 0, 0),
    ],
    "format:quotes": [
        ({}, '"a \'b "c" b\' a"', 1, 1),
        ({}, "“a ‘b “c” b’ a”", 1, 0),
        ({}, "It's \"a 'b \"c don't\" b' a\"", 1, 0),
        ({}, '"a" isn\'t "b", it\'s \'c\' "d', 0, 0),
        ({}, "\"a 'b' a\"", 0, 0),
        ({}, "It's \"a 'b' a\" for us, isn't it", 0, 1),
        ({}, "no quotes", 0, 0),
    ],
    "format:quote_unquote": [
        ({}, '"Time flies" means that years seem short.', 1, 1),
        ({}, "“Time flies” means that. “So” too.", 1, 1),
        ({}, 'The key is 5" long; "key" is a word.', 1, 1),
        ({}, "No quotation here.", 0, 1),
        ({}, 'He said "time flies".', 0, 0),
        ({}, '"Time flies", "so what", he said.', 0, 1),
        ({}, '"a" "b" c', 0, 0),
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
