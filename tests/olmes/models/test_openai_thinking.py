"""Models that think, behind servers that tell their thoughts in the ways that servers do."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from olmes.errors import OlmesError
from olmes.models.http.endpoint import parse_endpoint
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.pace import Patience
from olmes.models.options import ASKED, THINKING_BUDGET, Asking
from olmes.reasoning import split
from olmes.requests.response_cache import response_key
from olmes.types import Generation, Message, Request, Response

SERVER = Path(__file__).parent / "files/faulty_server.py"
FaultyServer = runpy.run_path(str(SERVER))["FaultyServer"]


def model_of(server: Any, **asking: Any) -> OpenAIModel:
    return OpenAIModel(
        "openai:m",
        parse_endpoint(f"m@{server.url}"),
        patience=Patience(first_wait=0.002, longest_wait=0.01),
        asking=Asking(**asking),
        batch_size=1,
    )


def chat(text: str = "Why?", *, system: str = "", prefill: str = "", **settings: Any) -> Request:
    turns = [Message(role="system", content=system)] if system else []
    return Request(
        generation=Generation(**{"max_tokens": 8, **settings}),
        messages=(*turns, Message(role="user", content=text)),
        prefill=prefill,
    )


def answers(model: OpenAIModel, *requests: Request) -> list[Response]:
    """What the run scores: the responses, split as it splits them."""
    found: dict[int, Response] = {}
    model.generate(requests, found.__setitem__)
    return [split(found[at], model.reader) for at in range(len(requests))]


def says(server: Any, finish: str = "stop", usage: Any = None, **message: Any) -> None:
    choice = {"message": {"role": "assistant", **message}, "finish_reason": finish}
    server.reply = lambda path, body: {"choices": [choice], "usage": usage or {}}


def refuses(server: Any, field: str, words: str) -> None:
    said = json.dumps({"error": {"message": words}})
    server.faults = lambda number, body: f"status 400 {said}" if field in body else ""


THOUGHTS: dict[str, dict[str, Any]] = {
    "vLLM, SGLang, llama.cpp, DeepSeek": {"content": "Yes.", "reasoning_content": "Hm."},
    "vLLM of today, Groq": {"content": "Yes.", "reasoning": "Hm."},
    "under two names": {"content": "Yes.", "reasoning": "Hm.", "reasoning_content": "Hm."},
    "OpenRouter": {
        "content": "Yes.",
        "reasoning": None,
        "reasoning_details": [
            {"type": "reasoning.text", "text": "H"},
            {"type": "reasoning.encrypted", "data": "xyz"},
            {"type": "reasoning.summary", "summary": "m."},
        ],
    },
    "Ollama": {"content": "Yes.", "thinking": "Hm."},
    "LiteLLM": {"content": "Yes.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]},
    "Mistral": {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
            {"type": "text", "text": "Yes."},
        ]
    },
    "Anthropic": {
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"},
            {"type": "text", "text": "Ye"},
            {"type": "text", "text": "s."},
        ]
    },
    "no parser": {"content": "<think>\nHm.\n</think>\n\nYes."},
    "gpt-oss without one": {
        "content": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
        "<|channel|>final<|message|>Yes."
    },
}


@pytest.mark.parametrize("kind", THOUGHTS)
@pytest.mark.parametrize("thinking", ["auto", "on"])
def test_a_thought_is_told_from_the_answer(server: Any, kind: str, thinking: str) -> None:
    says(server, **THOUGHTS[kind])
    [response] = answers(model_of(server, thinking=thinking), chat())
    assert (response.reasoning, response.text) == ("Hm.", "Yes.")
    assert not response.unfinished_thinking
    assert response.finish == "stop"


@pytest.mark.parametrize(
    ("usage", "completion", "thought"),
    [
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}, 9, 7),
        ({"completion_tokens": 9, "reasoning_tokens": 7}, 9, 7),
        ({"completion_tokens": 9, "completion_tokens_details": None}, 9, 0),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": "x"}}, 9, 0),
        # xAI counts the thought beside the answer, Google shows it in the total alone.
        (
            {
                "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            9,
            7,
        ),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 10}, 9, 7),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, 2, 0),
    ],
)  # fmt: skip
def test_tokens_of_the_thought_are_counted(
    server: Any, usage: Any, completion: int, thought: int
) -> None:
    says(server, usage=usage, content="Yes.", reasoning_content="Hm.")
    [response] = answers(model_of(server), chat())
    assert (response.completion_tokens, response.reasoning_tokens) == (completion, thought)


HIDDEN = {"completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 8}}


@pytest.mark.parametrize(
    ("message", "usage", "thinking"),
    [
        ({"content": None, "reasoning_content": "Hm, so"}, None, "auto"),
        ({"content": "", "reasoning": "Hm, so"}, None, "auto"),
        ({"content": [{"type": "thinking", "thinking": "Hm, so"}]}, None, "auto"),
        ({"content": "<think>Hm, so"}, None, "auto"),
        ({"content": "Hm, so"}, None, "on"),  # the template has opened it
        ({"content": None}, HIDDEN, "auto"),  # it is not shown
        ({"content": ""}, None, "on"),
    ],
)
def test_a_budget_spent_while_thinking_is_no_answer(
    server: Any, message: Any, usage: Any, thinking: str
) -> None:
    says(server, "length", usage, **message)
    [response] = answers(model_of(server, thinking=thinking), chat())
    assert response.unfinished_thinking
    assert response.text == ""
    assert response.finish == "length"
    shown = "Hm, so" in json.dumps(message)
    assert response.reasoning == ("Hm, so" if shown else "")


@pytest.mark.parametrize(
    ("message", "usage", "thinking"),
    [
        ({"content": "Yes, be", "reasoning_content": "Hm."}, None, "on"),
        ({"content": "<think>Hm.</think>Yes, be"}, None, "on"),
        ({"content": "Hm.</think>Yes, be"}, None, "on"),
        ({"content": "Yes, be"}, None, "auto"),
        ({"content": "Yes, be"}, None, "off"),
        ({"content": "Yes, be"}, {"completion_tokens_details": {"reasoning_tokens": 0}}, "on"),
        ({"content": "Yes, be"}, HIDDEN, "on"),
    ],
)
def test_an_answer_that_the_limit_has_cut_is_an_answer(
    server: Any, message: Any, usage: Any, thinking: str
) -> None:
    says(server, "length", usage, **message)
    [response] = answers(model_of(server, thinking=thinking), chat())
    assert (response.text, response.finish) == ("Yes, be", "length")
    assert not response.unfinished_thinking


def test_an_empty_answer_without_a_thought_stays_one(server: Any) -> None:
    for finish in ("stop", "length"):
        says(server, finish, content="")
        [response] = answers(model_of(server), chat())
        assert not response.unfinished_thinking


def test_the_thought_gets_a_budget_on_top_of_the_answer(server: Any) -> None:
    answers(model_of(server), chat())
    answers(model_of(server, thinking="on"), chat())
    answers(model_of(server, thinking="on", thinking_budget=100), chat())
    answers(model_of(server, thinking_budget=100), chat())
    answers(model_of(server, thinking="off", thinking_budget=100), chat())
    assert [body["max_tokens"] for body in server.asked] == [8, 8 + THINKING_BUDGET, 108, 108, 8]
    server.pages["/v1/models"] = (200, {"data": [{"id": "m", "max_model_len": 50}]})
    answers(model_of(server, thinking="on"), chat())
    assert server.asked[-1]["max_tokens"] == 50
    # Long answers are waited for.
    patient = OpenAIModel("m", parse_endpoint("m@http://h"), asking=Asking(thinking="on"))
    assert patient.patience.answer == 600 + THINKING_BUDGET / 20


ROOM = {
    "vLLM": "This model's maximum context length is 2048 tokens. However, you requested 32876 tokens "
    "(100 in the messages, 32776 in the completion). Please reduce the length of the messages.",
    "vLLM of today": "'max_tokens' or 'max_completion_tokens' is too large: 32776. This model's "
    "maximum context length is 2048 tokens and your request has 100 input tokens (32776 > 2048 - 100).",
    "OpenAI": "max_tokens is too large: 32776. This model supports at most 1948 completion tokens, "
    "whereas you provided 32776.",
    "a range": "Range of max_tokens should be [1, 1948]",
}


@pytest.mark.parametrize("kind", ROOM)
def test_a_budget_that_there_is_no_room_for_is_lowered_and_said(server: Any, kind: str) -> None:
    said = json.dumps({"error": {"message": ROOM[kind]}})

    def faults(number: int, body: dict[str, Any]) -> str:
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        return f"status 400 {said}" if limit > 1948 else ""

    server.faults = faults
    model = model_of(server, thinking="on")
    [response] = answers(model, chat())
    assert response.error == ""
    assert server.asked[-1]["max_tokens"] == 1948
    assert any("budget is lowered" in note for note in model.notes)
    # Without a budget the limit is the formulation's, and another one would be another measurement.
    [response] = answers(model_of(server), chat(max_tokens=3000))
    assert "the server refused the request (400" in response.error


def test_stop_strings_hold_for_the_answer_alone(server: Any) -> None:
    says(server, content="<think>One\n\nTwo</think>\n\nYes.\n\nNo.")
    for thinking in ("on", "auto"):
        [response] = answers(model_of(server, thinking=thinking), chat(stop=("\n\n",)))
        assert (response.text, response.reasoning) == ("Yes.", "One\n\nTwo")
        assert response.finish == "stop"
    assert "stop" not in server.asked[0]
    assert server.asked[1]["stop"] == ["\n\n"]
    # A field of its own needs no marks.
    says(server, content="Yes.\n\nNo.", reasoning="One\n\nTwo")
    [response] = answers(model_of(server, thinking="on"), chat(stop=("\n\n",)))
    assert (response.text, response.reasoning) == ("Yes.", "One\n\nTwo")


@pytest.mark.parametrize("parsed", [True, False])
def test_a_thought_that_a_stop_string_has_cut_is_asked_for_again(server: Any, parsed: bool) -> None:
    def reply(path: str, body: dict[str, Any]) -> Any:
        whole = "stop" not in body
        if parsed:
            message = {"content": "Yes." if whole else None, "reasoning_content": "One"}
        else:
            message = {"content": "<think>One" + ("</think>Yes." if whole else "")}
        return {"choices": [{"message": message, "finish_reason": "stop"}]}

    server.reply = reply
    model = model_of(server)
    responses = answers(model, chat("a", stop=("Two",)), chat("b", stop=("Two",)))
    assert [response.text for response in responses] == ["Yes.", "Yes."]
    assert ["stop" in body for body in server.asked] == [True, False, False]
    assert any("--thinking on gives the thought a budget of its own" in n for n in model.notes)


@pytest.mark.parametrize(("thinking", "on"), [("on", True), ("off", False)])
def test_a_server_is_told_whether_to_think(server: Any, thinking: str, on: bool) -> None:
    answers(model_of(server, thinking=thinking), chat())
    assert server.asked[-1]["chat_template_kwargs"] == {"enable_thinking": on, "thinking": on}
    assert "reasoning_effort" not in server.asked[-1]
    arguments = {"enable_thinking": "maybe", "depth": {"most": 3}}
    answers(model_of(server, thinking=thinking, template_args=arguments), chat())
    assert server.asked[-1]["chat_template_kwargs"] == {"thinking": on, **arguments}


def test_template_arguments_alone_switch_nothing(server: Any) -> None:
    answers(model_of(server, template_args={"reasoning_effort": "low"}), chat())
    assert server.asked[-1]["chat_template_kwargs"] == {"reasoning_effort": "low"}
    assert server.asked[-1]["max_tokens"] == 8


@pytest.mark.parametrize(("thinking", "effort"), [("on", "medium"), ("off", "none")])
def test_a_server_without_template_arguments_is_told_by_effort(
    server: Any, thinking: str, effort: str
) -> None:
    refuses(server, "chat_template_kwargs", "Unknown parameter: 'chat_template_kwargs'.")
    model = model_of(server, thinking=thinking)
    responses = answers(model, chat("a"), chat("b"))
    assert {response.error for response in responses} == {""}
    assert [body.get("reasoning_effort") for body in server.asked] == [None, effort, effort]
    assert "chat_template_kwargs" not in server.asked[-1]


def test_a_switch_that_no_server_takes_is_a_sentence(server: Any) -> None:
    said = '{"error": {"message": "Unrecognized request argument supplied: %s"}}'

    def faults(number: int, body: dict[str, Any]) -> str:
        names = [name for name in ("chat_template_kwargs", "reasoning_effort") if name in body]
        return f"status 400 {said % names[0]}" if names else ""

    server.faults = faults
    [response] = answers(model_of(server, thinking="off"), chat())
    assert "leave out --thinking" in response.error
    assert "--request-body K=V" in response.error
    assert len(server.asked) == 2
    [response] = answers(model_of(server, template_args={"depth": 1}), chat())
    assert "--template-arg" in response.error


@pytest.mark.parametrize(
    ("host", "asking", "fields"),
    [
        ("api.openai.com", {"thinking": "off"}, {"reasoning_effort": "none"}),
        ("x.openai.azure.com", {"thinking": "on"}, {"reasoning_effort": "medium"}),
        (
            "api.openai.com",
            {"template_args": {"reasoning_effort": "low"}},
            {"reasoning_effort": "low"},
        ),
        ("api.mistral.ai", {"thinking": "on"}, {"reasoning_effort": "high"}),
        ("openrouter.ai", {"thinking": "off"}, {"reasoning": {"enabled": False}}),
        (
            "openrouter.ai",
            {"thinking": "on", "thinking_budget": 9},
            {"reasoning": {"max_tokens": 9}},
        ),
        ("api.deepseek.com", {"thinking": "off"}, {"thinking": {"type": "disabled"}}),
        (
            "api.anthropic.com",
            {"thinking": "on", "thinking_budget": 9},
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
        ),
        ("dashscope.aliyuncs.com", {"thinking": "off"}, {"enable_thinking": False}),
        ("api.openai.com", {}, {}),
        ("evil-openai.com", {"template_args": {"a": 1}}, {"chat_template_kwargs": {"a": 1}}),
    ],
)
def test_vendors_are_told_in_their_own_words(host: str, asking: Any, fields: Any) -> None:
    # No vendor can be asked here: what would be sent is looked at.
    model = OpenAIModel("m", parse_endpoint(f"m@https://{host}/v1"), asking=Asking(**asking))
    sent = json.loads(model.encode(chat()).text)
    sent.pop("messages")
    assert sent == fields


def test_fields_of_the_users_go_in_last(server: Any) -> None:
    body = {
        "chat_template_kwargs": {"thinking": "deep"},
        "temperature": 1,
        "provider": {"order": ["a"]},
        "max_tokens": None,
    }
    model = model_of(server, thinking="on", request_body=body)
    answers(model, chat(), Request(generation=Generation(max_tokens=3), prompt="Go on."))
    first, second = server.asked
    assert first["chat_template_kwargs"] == {"enable_thinking": True, "thinking": "deep"}
    assert (first["temperature"], first["provider"]) == (1, {"order": ["a"]})
    assert "max_tokens" not in first
    assert second["provider"] == {"order": ["a"]}
    assert model.engine["request_body"] == body
    for name in ("messages", "model", "stream", "n"):
        with pytest.raises(OlmesError, match=f"--request-body {name}: .* leave it out"):
            model_of(server, request_body={name: 1})


@pytest.mark.parametrize("option", [{"chat_template": "plain"}, {"adapter": "folder"}])
def test_what_a_server_cannot_do_is_a_sentence(server: Any, option: Any) -> None:
    with pytest.raises(OlmesError, match="start it with"):
        model_of(server, **option)


def test_how_it_was_asked_is_in_the_key_and_the_record(server: Any) -> None:
    plain = model_of(server)
    asked = [
        model_of(server, **asking)
        for asking in (
            {"thinking": "on"},
            {"thinking": "off"},
            {"thinking": "on", "thinking_budget": 5},
            {"template_args": {"a": 1}},
            {"request_body": {"a": 1}},
        )
    ]
    keys = {response_key(one, one.engine, chat()) for one in (plain, *asked)}
    assert len(keys) == 6
    assert plain.engine.keys() == {"backend", "url", "server", "max_length"}
    assert asked[2].engine["thinking_budget"] == 5
    assert json.loads(plain.encode(chat()).text).keys() == {"messages"}
    assert plain.asking == ASKED


SAMPLING: dict[str, Any] = {"top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1}


def test_every_sampling_setting_is_sent(server: Any) -> None:
    answers(model_of(server), chat(**SAMPLING))
    assert {name: server.asked[-1][name] for name in SAMPLING} == SAMPLING
    server.pages["/v1/models"] = (200, {"data": [{"id": "m", "owned_by": "llamacpp"}]})
    answers(model_of(server), chat(**SAMPLING))
    assert server.asked[-1]["repeat_penalty"] == 1.1
    assert "repetition_penalty" not in server.asked[-1]


@pytest.mark.parametrize("name", SAMPLING)
def test_a_sampling_setting_that_is_refused_is_never_dropped(server: Any, name: str) -> None:
    refuses(server, name, f"Unrecognized request argument supplied: {name}")
    [response] = answers(model_of(server), chat(**SAMPLING))
    assert f"leave out --{name.replace('_', '-')}" in response.error
    assert len(server.asked) == 1


def test_a_refused_temperature_names_the_option(server: Any) -> None:
    words = "Unsupported value: 'temperature' does not support 0 with this model."
    refuses(server, "temperature", words)
    [response] = answers(model_of(server), chat())
    assert "such as --temperature 1" in response.error


NO_SYSTEM = [
    "status 400 System role not supported",
    'status 400 {"error": {"message": "Unsupported value: \'messages[0].role\' does not support '
    "'system' with this model.\"}}",
    'status 400 {"message": "Conversation roles must alternate user/assistant/user/assistant/..."}',
    'status 500 {"error": {"code": 500, "message": "Jinja Exception: System role not supported"}}',
    'status 422 {"detail": "the chat template does not support system messages"}',
    'status 400 {"error": {"message": "Developer instruction is not enabled for gemma"}}',
]


@pytest.mark.parametrize("fault", NO_SYSTEM)
def test_a_system_turn_that_is_refused_goes_into_the_first_user_turn(
    server: Any, fault: str
) -> None:
    server.faults = lambda number, body: fault if body["messages"][0]["role"] == "system" else ""
    model = model_of(server)
    responses = answers(model, chat("a", system="Be brief."), chat("b", system="Be brief."))
    assert {response.error for response in responses} == {""}
    assert len(server.asked) == 3
    turn = {"role": "user", "content": "Be brief.\n\na"}
    assert server.asked[1]["messages"] == [turn]
    assert any("takes no system turn" in note for note in model.notes)


def test_another_refusal_leaves_the_system_turn_alone(server: Any) -> None:
    server.faults = lambda number, body: "status 400 the system is not available to you"
    [response] = answers(model_of(server), chat(system="Be brief."))
    assert "not available to you" in response.error
    [plain] = answers(model_of(server), chat())
    assert plain.error


def test_whether_a_model_thinks_is_asked_once_and_only_where_nobody_says(server: Any) -> None:
    assert not model_of(server, thinking="off").thinks
    assert model_of(server, thinking="on").thinks
    assert model_of(server, thinking_budget=9).thinks
    assert not server.asked
    model = model_of(server)
    assert not model.thinks
    assert not model.thinks
    assert len(server.asked) == 1
    for message in THOUGHTS.values():
        says(server, **message)
        assert model_of(server).thinks
    says(server, "length", HIDDEN, content="")
    assert model_of(server).thinks
    server.faults = lambda number, body: "status 400"
    assert not model_of(server).thinks


def test_a_switch_that_is_passed_over_is_said(server: Any) -> None:
    says(server, content="Yes.", reasoning="Hm.")
    model = model_of(server, thinking="off")
    answers(model, chat())
    assert any("1 of 1 responses hold a thought all the same" in note for note in model.notes)
    says(server, content=None, reasoning="Yes.")
    model = model_of(server, thinking="off")
    answers(model, chat())
    assert any("no --reasoning-parser" in note for note in model.notes)
    says(server, content="Yes.")
    model = model_of(server, thinking="on")
    answers(model, chat())
    assert any("no response holds a thought" in note for note in model.notes)
    for silent in (model_of(server), model_of(server, thinking="off")):
        answers(silent, chat())
        assert not silent.notes


def streamed(*pieces: Any) -> str:
    lines = [": keep-alive", *(f"data: {json.dumps(piece)}\n" for piece in pieces), "data: [DONE]"]
    return "\n".join(lines) + "\n\n"


def piece(finish: str | None = None, **delta: Any) -> Any:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


STREAMS: dict[str, tuple[str, Callable[[Response], bool]]] = {
    "an answer": (
        streamed(
            piece(role="assistant", content=""),
            piece(reasoning_content="H"),
            piece(reasoning_content="m."),
            piece(content="Ye"),
            piece("stop", content="s."),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}},
        ),
        lambda r: (r.text, r.reasoning, r.completion_tokens) == ("Yes.", "Hm.", 5),
    ),
    "a budget's end": (
        streamed(piece(reasoning="H"), piece(reasoning="m"), piece("length")),
        lambda r: r.unfinished_thinking and (r.text, r.reasoning) == ("", "Hm"),
    ),
    "a budget's end in tags": (
        streamed(piece(content="<thi"), piece(content="nk>Hm"), piece("length")),
        lambda r: r.unfinished_thinking and (r.text, r.reasoning) == ("", "Hm"),
    ),
    "parts": (
        streamed(
            piece(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]),
            piece("stop", content="Yes."),
        ),
        lambda r: (r.text, r.reasoning) == ("Yes.", "Hm."),
    ),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_server_that_only_streams_is_read(server: Any, kind: str) -> None:
    stream, right = STREAMS[kind]

    def faults(number: int, body: dict[str, Any]) -> str:
        return f"stream {stream}" if body.get("stream") else f"status 400 {STREAM_ONLY}"

    server.faults = faults
    responses = answers(model_of(server), chat("a"), chat("b"))
    assert all(right(response) for response in responses), responses
    assert [body.get("stream") for body in server.asked] == [None, True, True]
    assert server.asked[-1]["stream_options"] == {"include_usage": True}


STREAM_ONLY = json.dumps(
    {
        "error": {
            "message": "This model only support stream mode, please enable the stream parameter to "
            "access the model."
        }
    }
)


def test_an_error_inside_a_stream_is_an_error(server: Any) -> None:
    stream = streamed(piece(content="Ye"), {"error": {"code": 502, "message": "provider is gone"}})
    server.faults = lambda number, body: f"stream {stream}" if number < 2 else ""
    [response] = answers(model_of(server), chat("Say yes."))
    assert response.text == "yes"
    assert len(server.asked) == 3


def test_the_settings_that_are_not_given_change_nothing(server: Any) -> None:
    request = chat(stop=("x",), temperature=0.5)
    answers(model_of(server), request)
    assert set(server.asked[0]) == {
        "model",
        "messages",
        "max_tokens",
        "temperature",
        "stop",
        "seed",
    }
    same = replace(request, generation=replace(request.generation, top_k=None))
    assert model_of(server).encode(same) == model_of(server).encode(request)
