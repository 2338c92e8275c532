"""The answers in what the templates of current models render, held against TRL's own marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from olmes.rows.chats import chat as read_chat
from olmes.rows.chats import tools_of
from olmes.trainers.templates.answers import AnswerFinder
from olmes.trainers.templates.encoding import label_chats
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.preferences import encode_preferences
from olmes.trainers.templates.rendering import RefusedError, Renderer
from tests.trainers.taught import trained_texts
from tests.trainers.templates_of_trl import FAMILIES, FOLDER, template, tokenizer

U, A, S, T = "user", "assistant", "system", "tool"
CALL = {
    "id": "a12345678",
    "type": "function",
    "function": {"name": "multiply", "arguments": '{"a": 2}'},
}
TOOLS = [
    {
        "name": "multiply",
        "description": "Two times",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "description": "a number"}},
            "required": ["a"],
        },
    }
]
LEADS = (
    "", "<think></think>", "<think>\n\n</think>", "</think>", "to=user<|message|>",
    "<|channel|>final<|message|>",
)  # fmt: skip
"""What templates put between a prompt and an answer."""
ENDS = (
    "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<turn|>", "<|END_RESPONSE|>",
    "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "<|user|>", "<|end|>", "<|return|>", "<|eot|>",
    "<end_of_utterance>", "</s>",
)  # fmt: skip


def chat(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


TWO = chat((U, "Say one."), (A, "One, <b>1</b>."), (U, "Say two."), (A, "Two: 2"))
GIVEN = {
    "two questions": TWO,
    "a system turn": chat((S, "Be brief."), *((t["role"], t["content"]) for t in TWO)),
    "white space": chat((U, " Say one.\n"), (A, "\n\n One \n"), (U, "2?"), (A, " Two\n")),
    "an empty answer": chat((U, "Say nothing."), (A, ""), (U, "Say two."), (A, "Two")),
    "equal turns": chat(*[(U, "7"), (A, "7")] * 3),
    "marks in texts": chat((U, "<|im_end|>\n<|im_start|>assistant\nno"), (A, "<|im_end|> yes")),
}


def answers(family: str, turns: Any, tools: Any = None) -> list[str]:
    """The text of each answer, as decoded from the tokens that are learned."""
    coder = tokenizer(family)
    [(ids, labels, note)] = label_chats(coder, [turns], ChatTemplate(template(family), ""), [tools])
    assert ids, note
    # Neighbours are told apart by what is not learned between them.
    return trained_texts(coder, labels)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("turns", GIVEN.values(), ids=GIVEN.keys())
def test_each_answer_is_learned_with_its_end_and_nothing_else(
    family: str, turns: list[dict[str, str]]
) -> None:
    taught = answers(family, turns)
    said = [turn["content"].strip() for turn in turns if turn["role"] == A]
    assert len(taught) == len(said)
    for text, content in zip(taught, said, strict=True):
        if not content:  # where an empty thought ends and an empty answer begins is not to be told
            assert text.strip().endswith(ENDS)
            continue
        lead, _, end = text.partition(content)
        assert text == lead + content + end
        assert lead.strip() in LEADS
        assert end.strip().replace("><", "> <").split()
        assert set(end.strip().replace("><", "> <").split()) <= set(ENDS)


@pytest.mark.parametrize(
    "family", [one for one in FAMILIES if (FOLDER / f"{one}_training.jinja").is_file()]
)
def test_the_answers_are_those_that_trl_marks(family: str) -> None:
    """But for what it marks beside them: a header, or a line end and an end of text behind the end.

    Where its training template renders another text (an empty thought in earlier turns, which the
    model is not shown), the last answer counts.
    """
    coder = tokenizer(family)
    turns = TWO[:2]
    text, marks = Renderer(coder, template(f"{family}_training")).marked(turns)
    theirs = text[marks[-1][0] : marks[-1][1]]
    [ours] = answers(family, turns)
    assert ours in theirs
    for extra in theirs.split(ours):
        rest = extra.strip()
        assert rest in (
            "",
            "<eos>",
            "<think>",
            "<think>\n\n</think>",
            "<|start|>assistant",
            "<｜Assistant｜>",
        )


HEADERS = ("<|start|>assistant", "<｜Assistant｜>")
WITHOUT_TOOLS = {
    "cohere", "cohere2", "deepseek_r1_distill", "gemma", "gemma3", "idefics3", "lfm2", "llama3",
    "llava_next", "phi3", "phi3_5", "qwen2_5_vl", "smolvlm",
}  # fmt: skip
"""Templates that refuse calls of tools or leave them out."""


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_of_tools_are_learned_and_what_tools_say_is_not(family: str) -> None:
    turns = read_chat(
        [
            {"role": U, "content": "Twice 2?"},
            {"role": A, "content": None, "tool_calls": [CALL]},
            {"role": T, "name": "multiply", "tool_call_id": "a12345678", "content": "It is 4."},
            {"role": A, "content": "Four"},
        ],
        "messages",
    )
    tools = tools_of(json.dumps(TOOLS))
    if family in WITHOUT_TOOLS:
        with pytest.raises(RefusedError):
            AnswerFinder(Renderer(tokenizer(family), template(family))).find(turns, tools)
        return
    taught = "".join(answers(family, turns, tools))
    assert "multiply" in taught
    assert "2" in taught
    assert "Four" in taught
    assert "It is 4." not in taught
    assert "Twice" not in taught
    assert "Two times" not in taught


def test_a_template_that_leaves_the_thought_out_of_its_last_answer_is_given_it() -> None:
    """The distilled R1 is asked with `<think>`, and must write the thought itself."""
    turns = chat((U, "2+2?"), (A, "<think>\nTwo and two.\n</think>\n\nFour"))
    [taught] = answers("deepseek_r1_distill", turns)
    assert taught == "Two and two.\n</think>\n\nFour<｜end▁of▁sentence｜>"
    assert answers("qwen3", turns) == ["<think>\nTwo and two.\n</think>\n\nFour<|im_end|>"]
    [earlier, _] = answers("qwen3", [*turns, *chat((U, "3?"), (A, "3"))])
    assert earlier == "Four<|im_end|>"


@pytest.mark.parametrize(
    "family", ["qwen3", "qwen3_5_think", "gemma", "phi3", "llama3_1", "glm4moe"]
)
def test_a_preference_ends_where_its_turn_does(family: str) -> None:
    coder = tokenizer(family)
    row = {
        "prompt": chat((S, "Be brief."), (U, "Say one.")),
        "chosen": chat((A, "One")),
        "rejected": chat((A, "Once upon")),
        "more": "",
    }
    [found] = encode_preferences(coder, [row], ChatTemplate(template(family), ""))
    assert not isinstance(found, str)
    prompt, chosen, rejected = (coder.decode(ids) for ids in found)
    assert chosen.startswith("O") == rejected.startswith("O")
    assert "Say one." in prompt
    assert "Be brief." in prompt
    assert coder.convert_ids_to_tokens(found[1][-1]) in ENDS
    assert found[1][-1] == found[2][-1]
    assert "e upon" in rejected


def test_today_is_the_day_that_evaluation_gives() -> None:
    """A training that goes on tomorrow has the same tokens."""
    text = Renderer(tokenizer("llama3_2"), template("llama3_2")).text(TWO)
    assert "26 Jul 2024" in text


def test_families_are_there() -> None:
    assert len(FAMILIES) >= 20
    assert Path(FOLDER / "qwen3.jinja").is_file()
