"""Thoughts of checkpoints: which are known, where they end, and what their limits are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.models.options import Asking
from olmes.reasoning import split
from olmes.types import Generation, Request, Response
from tests.olmes.models.files.scripted_model import (
    BEGINS_INSIDE,
    CHANNEL_TOKENS,
    CHANNELS,
    QUESTION,
    THINKS,
    build_scripted,
)

Answer = Callable[..., list[Response]]
THOUGHT = "<think>\nIs it Q: no.\n\nStop here\n</think>\n\n"


@pytest.fixture(params=["shared prefixes", "padded batch"])
def ask(request: pytest.FixtureRequest, answer: Answer) -> Callable[..., Response]:
    """`ask(folder, asking, **generation)`: one response, by either way of generating."""

    def run(
        folder: Path, asking: Asking | None = None, prefill: str = "", **given: Any
    ) -> Response:
        model = HFModel("m", LocalCheckpoint(folder), device="cpu", asking=asking or Asking())
        model.__dict__["shares_prefixes"] = request.param == "shared prefixes"
        generation = Generation(**{"max_tokens": 40, **given})
        asked = Request(generation=generation, messages=QUESTION, prefill=prefill)
        raw, again = answer(model, [asked, asked])
        assert raw == again
        return split(raw, model.reader)

    return run


def test_stops_hold_for_the_answer_and_never_for_the_thought(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, THOUGHT + "\nIt is 7.\n\nQ: and then?", template=THINKS)
    found = ask(tmp_path, stop=("\n\n", "Q:", "Stop"))
    assert (found.text, found.finish) == ("It is 7.", "stop")
    assert found.reasoning == "Is it Q: no.\n\nStop here"
    assert found.completion_tokens > found.reasoning_tokens > 10
    assert not found.unfinished_thinking


@pytest.mark.parametrize("budget", [8, 9, 12])
def test_a_thought_over_its_budget_ends_the_response(
    tmp_path: Path, ask: Callable[..., Response], budget: int
) -> None:
    build_scripted(tmp_path, THOUGHT + "It is 7.", template=THINKS)
    found = ask(tmp_path, Asking(thinking_budget=budget), max_tokens=2)
    assert found.unfinished_thinking
    assert (found.text, found.finish) == ("", "length")
    assert found.completion_tokens == found.reasoning_tokens == budget


@pytest.mark.parametrize("limit", [1, 3])
def test_an_answer_has_a_limit_of_its_own(
    tmp_path: Path, ask: Callable[..., Response], limit: int
) -> None:
    build_scripted(tmp_path, [THOUGHT.rstrip(), "abcdefgh"], template=THINKS)
    found = ask(tmp_path, max_tokens=limit)
    assert found.completion_tokens == found.reasoning_tokens + limit
    assert (found.text, found.finish) == ("abcdefgh"[:limit], "length")
    assert not found.unfinished_thinking


def test_the_last_token_of_the_budget_may_close_the_thought(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, ["<think>abc</think>", "xyz"], template=THINKS)
    whole = ask(tmp_path)
    budget = whole.reasoning_tokens
    assert ask(tmp_path, Asking(thinking_budget=budget)).text == "xyz"
    cut = ask(tmp_path, Asking(thinking_budget=budget - 1))
    assert cut.unfinished_thinking
    assert cut.completion_tokens == budget - 1


def test_a_template_that_begins_inside_the_thought(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, "I see: Stop.\n</think>\n\nIt is 7. Stop", template=BEGINS_INSIDE)
    found = ask(tmp_path, stop=(" Stop",))
    assert (found.text, found.reasoning) == ("It is 7.", "I see: Stop.")
    cut = ask(tmp_path, Asking(thinking_budget=4))
    assert (cut.text, cut.unfinished_thinking, cut.completion_tokens) == ("", True, 4)


def test_channels_are_kept_apart_though_their_marks_are_special_tokens(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    script = (
        "<|channel|>analysis<|message|>Which one? Stop.<|end|><|start|>assistant"
        "<|channel|>final<|message|>It is 7."
    )
    build_scripted(tmp_path, script, template=CHANNELS, special=CHANNEL_TOKENS, end="<|return|>")
    found = ask(tmp_path, stop=("Stop",))
    assert (found.text, found.reasoning, found.finish) == ("It is 7.", "Which one? Stop.", "stop")


def test_channels_without_a_thought_are_an_answer(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(
        tmp_path, "<|channel|>final<|message|>It is 7.", template=CHANNELS,
        special=CHANNEL_TOKENS, end="<|return|>",
    )  # fmt: skip
    found = ask(tmp_path)
    assert (found.text, found.reasoning, found.finish) == ("It is 7.", "", "stop")


def test_marks_of_special_tokens_are_read(tmp_path: Path, ask: Callable[..., Response]) -> None:
    build_scripted(
        tmp_path, "[THINK]one, two[/THINK]It is 7.", special=("[THINK]", "[/THINK]", "[SEP]"),
    )  # fmt: skip
    found = ask(tmp_path)
    assert (found.text, found.reasoning) == ("It is 7.", "one, two")


def test_a_closing_mark_that_ends_other_things_too_ends_no_response(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    script = (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>7"
    )
    build_scripted(tmp_path, script, template=CHANNELS, special=CHANNEL_TOKENS, end="<|end|>")
    found = ask(tmp_path)
    assert (found.text, found.reasoning) == ("7", "Hm.")


def test_without_a_thought_a_thinking_model_answers_as_any(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, "It is 7.\n\nQ: more", template=THINKS)
    found = ask(tmp_path, stop=("\n\nQ:",))
    assert (found.text, found.finish, found.reasoning_tokens) == ("It is 7.", "stop", 0)
    assert ask(tmp_path, max_tokens=2).completion_tokens == 2


def test_a_thought_is_told_its_end_by_the_users_marks(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, "((hm Stop))It is 7. Stop")
    asking = Asking(reasoning_tags="((,))")
    found = ask(tmp_path, asking, stop=("Stop",))
    assert (found.text, found.reasoning) == ("It is 7.", "hm Stop")
    none = ask(tmp_path, Asking(reasoning_tags="none"), stop=("Stop",))
    assert (none.text, none.reasoning) == ("((hm ", "")


def test_an_end_inside_the_thought_is_no_answer(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, "<think>I give up", template=THINKS)
    found = ask(tmp_path)
    assert (found.text, found.reasoning, found.finish) == ("", "I give up", "stop")
    assert found.unfinished_thinking


def test_the_windows_room_bounds_the_thought(
    tmp_path: Path, answer: Answer, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, "<think>" + "abcdefgh" * 40, template=THINKS)
    model = HFModel("m", LocalCheckpoint(tmp_path), device="cpu")
    prompt = len(
        model.encode(Request(generation=Generation(max_tokens=1), messages=QUESTION)).token_ids
    )
    found = ask(tmp_path, max_tokens=100)
    assert found.unfinished_thinking
    assert found.completion_tokens == 256 - prompt - 100
    # An answer that may fill the window shares it with the thought.
    assert ask(tmp_path, max_tokens=256).completion_tokens == 256 - prompt - 1
    short = HFModel("m", LocalCheckpoint(tmp_path), device="cpu", max_length=prompt + 10)
    request = Request(generation=Generation(max_tokens=10), messages=QUESTION)
    [failed] = answer(short, [request])
    assert "leaves no room for a thought" in failed.error
    assert "--thinking off" in failed.error


def test_thinking_off_closes_the_thought_by_the_templates_own_variable(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, "It is 7.", template=THINKS, variables={"enable_thinking": False})
    found = ask(tmp_path, Asking(thinking="off"))
    assert (found.text, found.reasoning, found.finish) == ("It is 7.", "", "stop")
    assert found.completion_tokens < 12


def test_thinking_off_writes_an_empty_thought_where_the_template_closes_none(
    tmp_path: Path, ask: Callable[..., Response]
) -> None:
    build_scripted(tmp_path, " 7.", template=BEGINS_INSIDE, behind="\n</think>\n\nAnswer:")
    asking = Asking(thinking="off")
    assert ask(tmp_path, asking, prefill="Answer:").text == " 7."
    model = HFModel("m", LocalCheckpoint(tmp_path), asking=asking)
    request = Request(generation=Generation(max_tokens=1), messages=QUESTION, prefill="Answer:")
    assert model.encode(request).text.endswith("<think>\n\n</think>\n\nAnswer:")
    assert [note for note in model.notes if "empty one is written" in note] == list(model.notes)
    assert not model.thinks
