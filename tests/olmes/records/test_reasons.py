"""Why responses have no score: equal reasons are one, and none quotes an item."""

from __future__ import annotations

import itertools
import json

import pytest

from olmes.records.reasons import LEFT_OUT, Reasons, reason_of

ITEM = "Janet’s ducks lay 16 eggs per day.\nShe eats three for breakfast and sells the rest."
REFUSED = "the server refused the request"


def counted(*said: str, texts: tuple[str, ...] = ()) -> list[tuple[int, str]]:
    """What is left of some reasons for failing."""
    reasons = Reasons()
    for one in said:
        reasons.add("failed", reason_of(one, texts))
    return [(one.count, one.text) for one in reasons.counted()["failed"]]


def test_equal_reasons_are_one_whatever_numbers_and_ids_they_hold() -> None:
    said = [
        f"{REFUSED} (400: this model takes 512 tokens and the prompt has {600 + i} "
        f"(request req-7f{i:03}abc at 2026-11-30T07:31:{i:02}Z))"
        for i in range(30)
    ]
    [(count, text)] = counted(*said)
    assert count == 30
    assert text.startswith(f"{REFUSED} (400: this model takes 512 tokens and the prompt has N (")
    assert "req-7f0" not in text


def test_other_reasons_are_others_and_the_commonest_is_first() -> None:
    said = ["the server is gone"] * 2 + ["out of memory"] * 5 + ["odd"] * 1
    assert counted(*said) == [(5, "out of memory"), (2, "the server is gone"), (1, "odd")]


def test_memory_is_bounded_and_every_reason_counts() -> None:
    names = itertools.product("abcdefghij", repeat=4)
    found = counted(*(f"no {''.join(name)}" for name in names))
    assert sum(count for count, _ in found[:1]) > 9000


@pytest.mark.parametrize(
    "quoted",
    [
        ITEM,
        json.dumps({"messages": [{"role": "user", "content": ITEM}]}),
        json.dumps(ITEM)[:60],
        repr(ITEM),
        ITEM.upper(),
        " ".join(ITEM.split()[2:8]),
        "'Janet'",
        '"three for breakfast"',
    ],
)
def test_what_a_server_quotes_of_the_item_is_left_out(quoted: str) -> None:
    [(_, text)] = counted(f"{REFUSED} (422: cannot take {quoted})", texts=(ITEM,))
    assert text.startswith(f"{REFUSED} (422: cannot take ")
    assert LEFT_OUT in text
    words = {word.lower() for word in ("ducks", "eggs", "Janet", "breakfast", "sells", "lay")}
    assert not words & set(text.lower().replace("(", " ").replace(")", " ").split())
    assert not any(word in text.lower() for word in words)


@pytest.mark.parametrize(
    "item", ["word3", "Say word3.", "请问一加一等于几", "Wie viel kostet das?"]
)
def test_short_items_and_other_scripts_are_left_out(item: str) -> None:
    [(_, text)] = counted(f"{REFUSED} (400: input is bad: {item})", texts=(item, "user"))
    assert item.rstrip(".?") not in text
    assert text.startswith(f"{REFUSED} (400: input is bad: ")


def test_what_this_program_says_itself_stays_whole() -> None:
    said = (
        "the server cannot continue a prefilled answer; leave the prefill out: --set TASK.prefill="
    )
    assert counted(said, texts=("answer", "server", "What is a server?")) == [(1, said)]


def test_how_much_is_left_out_makes_no_other_reason() -> None:
    reasons = Reasons()
    for item in (
        "What is ice made of?",
        "Is it so? (I ask myself often.)",
        'He said "No, not you."',
    ):
        said = f"{REFUSED} (422: bad input: {json.dumps([item])})"
        reasons.add("failed", reason_of(said, (item,)))
    [one] = reasons.counted()["failed"]
    assert one.count == 3


def test_a_reason_is_one_line_that_steers_no_terminal() -> None:
    [(_, text)] = counted(f"{REFUSED} (400: a\x1b[31m\nb \ud800 c\u202e)")
    assert text == f"{REFUSED} (400: a␛[31m b \\ud800 c\\u202e)"
    text.encode("utf-8")


def test_the_protocols_own_words_stay_though_an_item_holds_them() -> None:
    said = f"{REFUSED} (400: Unsupported value: 'temperature' does not support 0)"
    texts = ("What temperature has ice?", "system", "user")
    assert counted(said, texts=texts) == [(1, said)]


def test_a_reason_that_is_masked_by_chance_in_one_item_is_no_other_reason() -> None:
    reasons = Reasons()
    said = f"{REFUSED} (400: the model does not take so long a prompt in this mode)"
    for text in ["What is ice?"] * 9 + ["He does not take so long a time."]:
        reasons.add("failed", reason_of(said, (text,)))
    [one] = reasons.counted()["failed"]
    assert one.count == 10
    assert one.text.startswith(f"{REFUSED} (400: the model")


@pytest.mark.parametrize("answer", ["cat", "a cat", "42", "The answer is not here"])
def test_a_crash_says_which_scorer_and_where_and_nothing_of_the_answer(answer: str) -> None:
    said = f"score: ValueError: cannot read {answer} (/home/ann/tasks/echo.py:95)"
    assert reason_of(said, (answer,)) == "score: ValueError: … (echo.py:95)"


def test_a_crash_with_words_of_its_own_says_them() -> None:
    said = "score: ValueError: a fault (/home/ann/tasks/echo.py:95)"
    assert reason_of(said, ("raise",)) == "score: ValueError: a fault (echo.py:95)"
