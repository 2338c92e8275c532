"""Begun answers behind servers: who continues them, by what, and who only seems to."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from olmes.models.http.endpoint import parse_endpoint
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.pace import Patience
from olmes.models.options import Asking
from olmes.types import Generation, Request, Response

SERVER = Path(__file__).parent / "files/faulty_server.py"
FaultyServer = runpy.run_path(str(SERVER))["FaultyServer"]
Body = dict[str, Any]


def model_of(server: Any, **asking: Any) -> OpenAIModel:
    patience = Patience(first_wait=0.002, longest_wait=0.01)
    endpoint = parse_endpoint(f"m@{server.url}")
    return OpenAIModel("m", endpoint, patience=patience, asking=Asking(**asking))


def answer(model: OpenAIModel, prefill: str = "Answer:") -> Response:
    turn = {"role": "user", "content": "How many?"}
    request = Request(
        generation=Generation(max_tokens=8),
        messages=(turn,),  # type: ignore[arg-type]
        prefill=prefill,
    )
    found: dict[int, Response] = {}
    model.generate([request], found.__setitem__)
    return found[0]


def rendered(body: Body, continues: bool, ends: list[str], opens: list[str]) -> list[str]:
    """The tokens of a chat: words, with the marks of a template round the turns."""
    tokens: list[str] = []
    for turn in body["messages"]:
        tokens += [*opens, turn["role"], *turn["content"].split(), *ends]
    if continues:
        return tokens[: len(tokens) - len(ends)]
    return [*tokens, *opens, "assistant"]


def serves(
    server: Any,
    continues: Callable[[Body], bool],
    *,
    ends: tuple[str, ...] = ("<end>", "\n"),
    opens: tuple[str, ...] = ("<start>",),
    echo: bool = False,
) -> None:
    def reply(path: str, body: Body) -> Any:
        begun = body["messages"][-1]
        on = begun["role"] == "assistant" and continues(body)
        text = (begun["content"].strip() if echo else "") + " goes on" if on else "Begins anew"
        prompt = rendered(body, on, list(ends), list(opens))
        return {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": len(prompt)},
        }

    server.reply = reply


def by_fields(body: Body) -> bool:
    return bool(body.get("continue_final_message"))


def by_prefix(body: Body) -> bool:
    return bool(body["messages"][-1].get("prefix"))


CONTINUING: dict[str, tuple[Callable[[Body], bool], dict[str, Any]]] = {
    "vLLM": (by_fields, {"messages": None, "continue_final_message": True}),
    "llama.cpp": (lambda body: True, {"messages": None}),
    "Mistral": (by_prefix, {"messages": None, "prefix": True}),
}


@pytest.mark.parametrize("kind", CONTINUING)
@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("prefill", ["Answer:", "Answer: ", "The answer is"])
def test_a_begun_answer_is_continued(server: Any, kind: str, echo: bool, prefill: str) -> None:
    continues, sent = CONTINUING[kind]
    serves(server, continues, echo=echo)
    response = answer(model_of(server), prefill)
    # What is repeated is the whole of what was given, its last space included.
    rest = "goes on" if echo and prefill.endswith(" ") else " goes on"
    assert (response.error, response.text) == ("", rest)
    body = server.asked[-1]
    begun = body["messages"][-1]
    assert begun["role"] == "assistant"
    assert begun["content"] == prefill
    assert begun.get("prefix") == sent.get("prefix")
    assert body.get("continue_final_message") == sent.get("continue_final_message")


@pytest.mark.parametrize("template", [("<end>", "\n"), ("</s>", "[INST]", "x")])
def test_a_server_that_closes_the_begun_answer_is_found_out(
    server: Any, template: tuple[str, ...]
) -> None:
    serves(server, lambda body: False, ends=template)
    response = answer(model_of(server))
    assert "cannot continue a prefilled answer" in response.error
    assert "--set TASK.prefill=" in response.error
    assert len(server.asked) == 5


def test_a_server_that_leaves_the_begun_answer_out_is_found_out(server: Any) -> None:
    def reply(path: str, body: Body) -> Any:
        turns = [turn for turn in body["messages"] if turn["role"] == "user"]
        tokens = rendered({"messages": turns}, False, ["<end>"], ["<start>"])
        choice = {"message": {"content": "Begins anew"}}
        return {"choices": [choice], "usage": {"prompt_tokens": len(tokens)}}

    server.reply = reply
    assert "cannot continue" in answer(model_of(server)).error


def test_a_server_that_does_not_count_is_not_trusted(server: Any) -> None:
    server.reply = lambda path, body: {"choices": [{"message": {"content": "x"}}]}
    assert "cannot continue" in answer(model_of(server)).error


def test_a_server_that_refuses_a_bare_turn_is_asked_with_prefix(server: Any) -> None:
    words = "Expected last role User or Tool (or Assistant with prefix True) but got assistant"
    serves(server, by_prefix)

    def faults(number: int, body: Body) -> str:
        if "continue_final_message" in body:
            return "status 422 extra fields not permitted"
        last = body["messages"][-1]
        bare = last["role"] == "assistant" and not last.get("prefix")
        return f'status 400 {{"message": "{words}"}}' if bare else ""

    server.faults = faults
    assert answer(model_of(server)).text == " goes on"


def test_an_answer_that_begins_like_the_prefill_is_kept_where_that_says_little(server: Any) -> None:
    serves(server, by_fields)
    model = model_of(server)
    assert model.continues
    server.reply = lambda path, body: {"choices": [{"message": {"content": "(A)"}}]}
    assert answer(model, "(").text == "(A)"
    assert answer(model, "A").text == "(A)"


THINKS = json.dumps(
    {"error": {"message": "Assistant response prefill is incompatible with enable_thinking."}}
)


def test_a_server_that_continues_only_where_the_model_does_not_think_says_so(server: Any) -> None:
    serves(server, lambda body: True)

    def faults(number: int, body: Body) -> str:
        off = body.get("chat_template_kwargs", {}).get("enable_thinking") is False
        begun = body["messages"][-1]["role"] == "assistant"
        return f"status 400 {THINKS}" if begun and not off else ""

    server.faults = faults
    assert "add --thinking off, or leave the prefill out" in answer(model_of(server)).error
    assert answer(model_of(server, thinking="off")).text == " goes on"


def test_a_thought_is_never_taken_for_an_echo(server: Any) -> None:
    serves(server, by_fields)
    model = model_of(server)
    assert model.continues
    content = "<think>Answer: what?</think>Answer: 3"
    server.reply = lambda path, body: {"choices": [{"message": {"content": content}}]}
    assert answer(model).text == content
