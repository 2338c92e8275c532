"""The rule of Tülu 3, section 3.2, on planted overlaps."""

from __future__ import annotations

import pytest

from olmes.decontamination.evaluations import Evaluation, Item
from olmes.decontamination.matches import Match
from olmes.decontamination.scan import Index
from olmes.decontamination.tokens import tokens
from olmes.rows.texts import user_turns

WORDS = [f"word{n}" for n in range(100)]
ITEM = " ".join(WORDS)


def evaluation(*texts: str) -> Evaluation:
    items = tuple(
        Item(f"t/{n}", str(n), (text,), (tuple(tokens(text)),)) for n, text in enumerate(texts)
    )
    return Evaluation(task="t", title="T", data_hash="", held_out=(), items=items)


def found(item: str, *turns: str) -> list[Match]:
    return list(Index.of([evaluation(item)]).matches(1, turns))


@pytest.mark.parametrize(
    "turn",
    [
        ITEM,
        ITEM.upper(),
        ITEM.replace(" ", ", "),
        ITEM.replace(" ", "\n\n"),
        f"before {ITEM} after",
        " ".join(WORDS[:51]),
    ],
)
def test_an_item_overlaps_where_more_than_half_is_matched(turn: str) -> None:
    assert len(found(ITEM, turn)) == 1


@pytest.mark.parametrize("turn", [" ".join(WORDS[:50]), " ".join(reversed(WORDS)), ""])
def test_half_is_not_more_than_half(turn: str) -> None:
    assert found(ITEM, turn) == []


def test_the_turns_of_an_instance_add_up() -> None:
    assert found(ITEM, " ".join(WORDS[:30]), " ".join(WORDS[60:90]))[0].matched == 60


def test_unicode_forms_are_one() -> None:
    assert tokens("Café, 3.5 kg") == tokens("CAFE\u0301\u00a03·5 ㎏")


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}, ["a"]),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ["a"]),
        ({"instruction": "a", "input": "b", "output": "c"}, ["a", "b"]),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, ["a"]),
        ({"messages": [{"role": "User", "content": [{"type": "text", "text": "a"}]}]}, ["a"]),
        ({"inputs": "a", "targets": "b"}, ["a"]),
        ({"user": "a", "assistant": "b"}, ["a"]),
        ({"text": 3}, []),
    ],
)  # fmt: skip
def test_what_a_person_said_in_a_row(row: dict[str, object], texts: list[str]) -> None:
    assert user_turns(row) == texts
