"""Chats in the shapes that data sets have them in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.rows.chats import row_tools, whole_chat
from olmes.trainers.data.training_rows import dpo_row, features, rlvr_row, sft_row

U, A, S, T = "user", "assistant", "system", "tool"
ASKED = {"role": U, "content": "q"}
SAID = {"role": A, "content": "a"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}

SAME: dict[str, dict[str, Any]] = {
    "messages": {"messages": [ASKED, SAID]},
    "ShareGPT": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    "mixed keys": {"conversations": [ASKED, SAID], "system": None},
    "prompt and completion": {"prompt": "q", "completion": "a"},
    "prompt and completion as turns": {"prompt": [ASKED], "completion": [SAID]},
    "Alpaca": {"instruction": "q", "input": "", "output": "a"},
    "question and answer": {"question": "q", "answer": "a"},
    "parts": {
        "messages": [{"role": U, "content": [{"type": "text", "text": "q"}]}, SAID],
    },
    "other names": {
        "messages": [{"role": "human", "content": "q"}, {"role": "model", "content": "a"}]
    },
    "keys of nothing": {
        "messages": [{**ASKED, "tool_calls": None, "name": None}, {**SAID, "tool_calls": []}]
    },
}


@pytest.mark.parametrize("row", SAME.values(), ids=SAME.keys())
def test_one_chat_in_many_shapes(row: dict[str, Any]) -> None:
    assert dict(sft_row(row)) == {"messages": [ASKED, SAID], "more": ""}


def test_alpaca_with_all_its_keys() -> None:
    row = {
        "instruction": "q", "input": "in", "output": "a", "system": "s", "history": [["q0", "a0"]],
    }  # fmt: skip
    contents = [turn["content"] for turn in sft_row(row)["messages"]]
    assert contents == ["s", "q0", "a0", "q\n\nin", "a"]


def test_a_developer_is_the_system() -> None:
    turns = [{"role": "developer", "content": "s"}, ASKED, SAID]
    assert [turn["role"] for turn in sft_row({"messages": turns})["messages"]] == [S, U, A]


@pytest.mark.parametrize("arguments", [{"x": 1}, '{"x": 1}', {"x": 1, "y": None}])
def test_calls_and_functions_survive_the_disk(arguments: Any) -> None:
    """Rows with and without them lie in the same columns."""
    from datasets import Dataset

    call = {**CALL, "function": {"name": "f", "arguments": arguments}}
    tools = [{"name": "f", "parameters": {"type": "object"}}]
    turns = [
        ASKED,
        {"role": A, "content": None, "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "function", "name": "f", "content": "2"},
        SAID,
    ]
    rows = [
        sft_row({"messages": turns, "tools": json.dumps(tools)}),
        sft_row({"messages": [ASKED, SAID]}),
    ]
    stored = Dataset.from_list([dict(row) for row in rows], features=features("sft"))
    assert whole_chat(stored[0], "messages") == [
        ASKED,
        {"role": A, "content": "", "tool_calls": [CALL], "reasoning_content": "hm"},
        {"role": T, "name": "f", "content": "2"},
        SAID,
    ]
    assert row_tools(stored[0]) == [{"type": "function", "function": tools[0]}]
    assert whole_chat(stored[1], "messages") == [ASKED, SAID]
    assert row_tools(stored[1]) is None


def test_calls_of_share_gpt() -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
            {"from": "observation", "value": "2"},
            {"from": "gpt", "value": "a"},
        ],
        "tools": '[{"name": "f"}]',
    }
    made = sft_row(row)
    [_, call, answer, _] = whole_chat(made, "messages")
    assert call["tool_calls"][0]["function"] == {"name": "f", "arguments": {"x": 1}}
    assert answer["role"] == T
    assert row_tools(made) == [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [{"role": "narrator", "content": "x"}]}, "'narrator' is no role"),
        (
            {"messages": [{"role": U, "content": [{"type": "image_url", "image_url": "x"}]}, SAID]},
            "a part of type 'image_url'",
        ),
        ({"messages": [ASKED, {"role": A, "content": None}]}, "a role and a content"),
        ({"messages": [ASKED, {**SAID, "tool_calls": [{"x": 1}]}]}, "a function with a name"),
        ({"messages": [ASKED, SAID], "tools": "f"}, "'tools' must be a list"),
        (
            {"instruction": "q", "output": "a", "history": ["x"]},
            "'history' must be a list of pairs",
        ),
        ({"text": "q a"}, "a row for SFT has 'messages'"),
    ],
)
def test_what_is_no_chat_is_refused(row: dict[str, Any], words: str) -> None:
    with pytest.raises(OlmesError, match=words):
        sft_row(row)


def test_a_preference_keeps_calls_and_functions() -> None:
    row = {
        "messages": [ASKED],
        "chosen": {"role": A, "content": "", "tool_calls": [CALL]},
        "rejected": "no",
        "tools": [{"name": "f"}],
        "system": "s",
    }
    made = dpo_row(row)
    assert [turn["role"] for turn in made["prompt"]] == [S, U]
    assert whole_chat(made, "chosen")[0]["tool_calls"] == [CALL]
    assert whole_chat(made, "rejected") == [{"role": A, "content": "no"}]
    assert row_tools(made) == [{"type": "function", "function": {"name": "f"}}]


def test_prompts_of_rewards_are_turns_of_text() -> None:
    verifier = {"task": "gsm8k", "doc": {"question": "q", "answer": "#### 1"}}
    with pytest.raises(OlmesError, match="leave the row out"):
        rlvr_row({"messages": [ASKED], "tools": [{"name": "f"}], "verifiers": [verifier]})
