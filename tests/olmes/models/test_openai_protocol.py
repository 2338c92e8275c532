"""What is sent to a server and how its answers are read: bodies, probes, log-probabilities."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmes.errors import OlmesError
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.models.http import wire as wire
from olmes.models.http.endpoint import parse_endpoint
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.pace import Patience
from olmes.models.spec import load_model
from olmes.requests.response_cache import response_key
from olmes.types import Generation, Request, Response

SERVER = Path(__file__).parent / "files/faulty_server.py"
FaultyServer = runpy.run_path(str(SERVER))["FaultyServer"]
SHORT = Generation(max_tokens=4)


def model_of(server: Any, **options: Any) -> OpenAIModel:
    patience = Patience(first_wait=0.002, longest_wait=0.01)
    return OpenAIModel("openai:m", parse_endpoint(f"m@{server.url}"), patience=patience, **options)


def answers(model: OpenAIModel, requests: list[Request]) -> list[Response]:
    found: dict[int, Response] = {}
    (model.loglikelihood if requests[0].continuations else model.generate)(
        requests, found.__setitem__
    )
    return [found[index] for index in range(len(requests))]


def chat(text: str = "Say yes.", *, prefill: str = "", repeat: int = 0, **settings: Any) -> Request:
    return Request(
        generation=Generation(**{"max_tokens": 4, **settings}),
        messages=({"role": "user", "content": text},),
        prefill=prefill,
        repeat=repeat,
    )


def test_the_key_is_found(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model_of(server).generate([chat()], lambda *_: None)
    assert "authorization" not in server.headers[-1]
    monkeypatch.setenv("OPENAI_API_KEY", "second\n")
    model_of(server).generate([chat()], lambda *_: None)
    assert server.headers[-1]["authorization"] == "Bearer second"
    monkeypatch.setenv("OLMES_API_KEY", "first")
    model_of(server).generate([chat()], lambda *_: None)
    assert server.headers[-1]["authorization"] == "Bearer first"
    monkeypatch.setenv("OLMES_API_KEY", "two\nlines")
    with pytest.raises(OlmesError, match="characters that no key has") as caught:
        model_of(server).generate([chat()], lambda *_: None)
    assert "two" not in str(caught.value)


def test_the_official_endpoint_wants_a_key(server: Any) -> None:
    with pytest.raises(OlmesError, match=r"needs a key; set \$OLMES_API_KEY"):
        _ = load_model("openai:gpt-x").fingerprint


def test_a_chat_is_sent_and_read(server: Any) -> None:
    [response] = answers(model_of(server), [chat()])
    assert response == Response(text="yes", finish="stop", prompt_tokens=2, completion_tokens=1)
    assert server.asked == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Say yes."}],
            "max_tokens": 4,
            "temperature": 0.0,
        }
    ]


def test_a_plain_prompt_is_sent_with_its_prefill(server: Any) -> None:
    request = Request(generation=SHORT, prompt="Say ", prefill="no")
    [response] = answers(model_of(server), [request])
    assert response.text == "no"
    assert server.asked[0]["prompt"] == "Say no"
    assert model_of(server).encode(request).text == "Say no"


def test_sampling_settings_are_sent(server: Any) -> None:
    requests = [
        chat(text, repeat=repeat, temperature=0.7, top_p=0.9, seed=3)
        for text in ("Say a.", "Say b.")
        for repeat in (0, 1)
    ]
    answers(model_of(server, batch_size=1), requests)
    answers(model_of(server, batch_size=1), requests)
    first, again = server.asked[:4], server.asked[4:]
    assert first == again
    assert {(body["temperature"], body["top_p"]) for body in first} == {(0.7, 0.9)}
    seeds = [body["seed"] for body in first]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("settings", [{"max_tokens": 0}, {"temperature": -1}, {"top_p": 0.0}])
def test_settings_that_mean_nothing_are_refused(server: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(OlmesError, match="set it"):
        answers(model_of(server), [chat(**settings)])


def test_four_stops_are_sent_and_all_are_cut_at(server: Any) -> None:
    def reply(path: str, body: dict[str, Any]) -> Any:
        return {"choices": [{"message": {"content": "1 two 3"}, "finish_reason": "length"}]}

    server.reply = reply
    stops = ("a", "b", "c", "d", "two")
    cut, whole = answers(model_of(server, batch_size=1), [chat(stop=stops), chat(stop=("x",))])
    assert server.asked[0]["stop"] == ["a", "b", "c", "d"]
    assert (cut.text, cut.finish) == ("1 ", "stop")
    assert (whole.text, whole.finish) == ("1 two 3", "length")


@pytest.mark.parametrize(
    ("choice", "text", "finish"),
    [
        ({"message": {"content": ""}, "finish_reason": "length"}, "", "length"),
        ({"message": {"content": None}, "finish_reason": "stop"}, "", "stop"),
        ({"message": {"content": None, "refusal": "I won't."}}, "I won't.", "stop"),
        ({"message": {"content": "Half"}, "finish_reason": "content_filter"}, "Half", "stop"),
        ({"message": {"content": "a", "reasoning_content": "b"}}, "a", "stop"),
        (
            {"message": {"content": [{"type": "thinking"}, {"type": "text", "text": "a"}]}},
            "a",
            "stop",
        ),
        ({"message": {"content": "\ud800 \x00"}, "finish_reason": "stop"}, "\ud800 \x00", "stop"),
    ],
)
def test_every_way_to_finish_is_read(
    server: Any, choice: dict[str, Any], text: str, finish: str
) -> None:
    server.reply = lambda path, body: {"choices": [choice], "usage": {"prompt_tokens": "many"}}
    [response] = answers(model_of(server), [chat()])
    assert (response.text, response.finish, response.error) == (text, finish, "")
    assert response.prompt_tokens == 0


def test_a_withheld_answer_is_an_error_and_not_an_empty_one(server: Any) -> None:
    choice = {"message": {"content": ""}, "finish_reason": "content_filter"}
    server.reply = lambda path, body: {"choices": [choice]}
    [response] = answers(model_of(server), [chat()])
    assert response.error == "the server's content filter withheld the answer"


REFUSALS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead.",
    "stop": "Unsupported parameter: 'stop' is not supported with this model.",
    "seed": "Unexpected fields in the request: {'seed'}",
}


def test_what_a_server_does_not_take_is_learned_once(server: Any) -> None:
    def faults(number: int, body: dict[str, Any]) -> str:
        words = next((REFUSALS[name] for name in REFUSALS if name in body), "")
        return f'status 400 {{"error": {{"message": "{words}"}}}}' if words else ""

    server.faults = faults
    server.reply = lambda path, body: {"choices": [{"message": {"content": "a and b"}}]}
    model = model_of(server, batch_size=1)
    request = chat(stop=(" and",), temperature=1.0)
    responses = answers(model, [request] * 5)
    assert [response.text for response in responses] == ["a"] * 5
    assert len(server.asked) == 3 + 5
    assert set(server.asked[-1]) == {"model", "messages", "temperature", "max_completion_tokens"}


def test_a_temperature_that_is_refused_is_an_error(server: Any) -> None:
    words = "Unsupported value: 'temperature' does not support 0 with this model."
    server.faults = lambda number, body: f'status 400 {{"error": {{"message": "{words}"}}}}'
    [response] = answers(model_of(server), [chat()])
    assert "'temperature' does not support 0" in response.error
    assert len(server.asked) == 1


@pytest.mark.parametrize("words", ["max_completion_tokens is too large", "'stop' is unsupported"])
def test_a_refusal_that_stays_is_not_asked_for_ever(server: Any, words: str) -> None:
    server.faults = lambda number, body: f'status 400 {{"error": {{"message": "{words}"}}}}'
    [response] = answers(model_of(server), [chat(stop=("x",))])
    assert words in response.error
    assert len(server.asked) == 2


def continuing_reply(path: str, body: dict[str, Any]) -> Any:
    """As a server that knows the field: a prefilled answer takes fewer tokens than a finished one."""
    prefilled = body.get("continue_final_message", False)
    tokens = sum(4 + len(turn["content"].split()) for turn in body["messages"])
    return {
        "choices": [{"message": {"content": " went on" if prefilled else "began"}}],
        "usage": {"prompt_tokens": tokens - 1 if prefilled else tokens + 3},
    }


def test_a_prefilled_answer_is_continued_where_the_server_can(server: Any) -> None:
    server.reply = continuing_reply
    model = model_of(server)
    for _ in range(2):
        [response] = answers(model, [chat(prefill="Answer:")])
        assert response.text == " went on"
    assert len(server.asked) == 2 + 2  # probed once
    assert server.asked[-1]["messages"][-1] == {"role": "assistant", "content": "Answer:"}
    assert server.asked[-1]["continue_final_message"] is True
    assert server.asked[-1]["add_generation_prompt"] is False


@pytest.mark.parametrize(
    "fault", ["", "status 422 Unexpected fields: {'continue_final_message'}", "body {}"]
)
def test_a_prefill_is_never_dropped(server: Any, fault: str) -> None:
    def faults(number: int, body: dict[str, Any]) -> str:
        return fault if "continue_final_message" in body else ""

    server.faults = faults  # without a fault: a server that passes over what it does not know
    prefilled, plain = answers(model_of(server), [chat(prefill="Answer:"), chat()])
    assert prefilled.finish == "error"
    assert "cannot continue a prefilled answer; serve the model with vLLM" in prefilled.error
    assert plain.text == "yes"


def test_the_server_is_known_by_what_stays_the_same(server: Any) -> None:
    card = {"id": "m", "owned_by": "vllm", "root": "/weights", "max_model_len": 50}

    def model(**changes: Any) -> OpenAIModel:
        rows = [{"id": "other", "root": "x"}, card | changes]
        server.pages["/v1/models"] = (200, {"data": rows})
        server.pages["/version"] = (200, {"version": "9.9"})
        return model_of(server)

    first = model(created=1)
    assert first.engine == {
        "backend": "openai",
        "url": f"127.0.0.1:{server.port}",
        "server": "vllm 9.9",
        "max_length": 50,
    }
    assert model(created=2).fingerprint == first.fingerprint
    assert len(first.fingerprint) == 64
    assert model(root="/others").fingerprint != first.fingerprint
    # A limit above the window means what there is room for.
    answers(first, [chat(max_tokens=60)])
    assert server.asked[-1]["max_tokens"] == 50


@pytest.mark.parametrize(
    "page",
    [
        (404, {}),
        (403, {"error": "may not list"}),
        (500, {}),
        (200, b"<html>"),
        (200, []),
        (200, {"data": None}),
        (200, {"data": [7, {"id": "m", "root": {}}]}),
    ],
)
def test_a_server_without_a_list_of_models_will_do(server: Any, page: Any) -> None:
    server.pages["/v1/models"] = page
    model = model_of(server)
    assert model.engine["server"] == ""
    assert model.engine["max_length"] is None
    assert len(model.fingerprint) == 64
    assert answers(model, [chat()])[0].text == "yes"


def test_a_list_of_models_that_wants_a_key_ends_the_run(server: Any) -> None:
    server.pages["/v1/models"] = (401, {"error": {"message": "no key"}})
    with pytest.raises(OlmesError, match=r"refuses the key \(401: no key\)"):
        _ = model_of(server).fingerprint


def test_prompts_have_keys_of_their_own_in_the_cache(server: Any) -> None:
    model = model_of(server)
    requests = [
        chat("a"),
        chat("b"),
        chat("a", prefill="x"),
        chat("a", repeat=1),
        Request(generation=SHORT, prompt="a"),
    ]
    keys = {response_key(model, model.engine, request) for request in requests}
    assert len(keys) == len(requests)
    assert model.encode(requests[0]).token_ids == ()
    assert not server.asked


def echoing(tokens: list[str], values: list[Any], **more: Any) -> Any:
    offsets = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    logprobs = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets}
    return {"choices": [{"text": "", "logprobs": logprobs | more.pop("logprobs", {})}], **more}


ECHOES = {
    "by spelling": echoing(["The", " sky", " is", " blue"], [None, -1.0, -2.0, -4.0]),
    "one token more": echoing(["The", " sky", " is", " blue", "!"], [None, -1.0, -2.0, -4.0, -8.0]),
    "begin of sequence": echoing(
        ["<s>", "The", " sky", " is", " blue", "!"],
        [None, -0.5, -1.0, -2.0, -4.0, -8.0],
        usage={"prompt_tokens": 5},
    ),
    "no offsets": echoing(
        ["The", " sky", " is", " blue"], [None, -1, -2, -4], logprobs={"text_offset": [-1] * 4}
    ),
    "no offsets at all": echoing(
        ["The", " sky", " is", " blue"], [None, -1, -2, -4], logprobs={"text_offset": None}
    ),
    "across the boundary": echoing(["The", " sk", "y is", " blue"], [None, -1.0, -2.0, -4.0]),
}


@pytest.mark.parametrize("kind", ECHOES)
def test_only_the_continuation_is_scored(kind: str) -> None:
    scored = wire.continuation_reader("The sky", " is blue")(ECHOES[kind])
    assert scored.logprob == -6.0
    assert scored.tokens == 2
    assert scored.tokens_before == (3 if kind == "begin of sequence" else 2)


def test_characters_spread_over_tokens_are_placed_by_the_offsets() -> None:
    answer = echoing(["A", "\ufffd", "\ufffd", " é"], [None, -1.0, -2.0, -4.0])
    answer["choices"][0]["logprobs"]["text_offset"] = [0, 1, 1, 2]
    assert wire.continuation_reader("A", "ß é")(answer).logprob == -7.0
    assert wire.continuation_reader("Aß", " é")(answer).logprob == -4.0
    # As vLLM spells them: the first tokens of a character are empty.
    answer = echoing(["A", "", "ß", " é"], [None, -1.0, -2.0, -4.0])
    assert wire.continuation_reader("A", "ß é")(answer).logprob == -7.0


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"choices": [{"text": "x"}]}, UnanswerableError, "gives no log-probabilities of a prompt"),
        ({"choices": [{"logprobs": None}]}, UnanswerableError, "gives no log-probabilities"),
        (
            echoing(["xx", "yy"], [None, -1.0], logprobs={"text_offset": [5, 1]}),
            UnanswerableError,
            "do not spell the prompt",
        ),
        (echoing(["a", "b"], [None, None]), ValueError, "not numbers"),
        (echoing(["a", "b"], [None, "-1"]), ValueError, "not numbers"),
        (echoing(["a", "b"], [None, math.nan]), ValueError, "not numbers"),
        (echoing(["a", "b"], [None]), ValueError, "do not match"),
        (echoing([], []), UnanswerableError, "do not spell"),
        ({"choices": [{"logprobs": {"tokens": 1}}]}, ValueError, "not lists"),
    ],
)
def test_an_echo_that_cannot_be_used_says_why(
    answer: dict[str, Any], error: type[BaseException], message: str
) -> None:
    with pytest.raises(error, match=message):
        wire.continuation_reader("a", "b")(answer)


def test_nothing_before_the_continuation_is_an_error() -> None:
    for context, continuation in (("", "bc"), ("b", "c")):
        with pytest.raises(UnanswerableError, match="the continuation has no token before it"):
            wire.continuation_reader(context, continuation)(echoing(["bc"], [None]))


@given(
    st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=6),
    st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=6),
)
def test_tokens_that_spell_the_text_are_told_apart(before: list[str], after: list[str]) -> None:
    values = [None, *range(-1, -len(before) - len(after), -1)]
    answer = echoing([*before, *after], values)
    scored = wire.continuation_reader("".join(before), "".join(after))(answer)
    assert scored.logprob == sum(values[len(before) :])
    assert (scored.tokens_before, scored.tokens) == (len(before), len(after))


def echo_reply(path: str, body: dict[str, Any]) -> Any:
    """A token a character, each as likely as its place says; and one generated token."""
    text = body["prompt"]
    return echoing([*text, "!"], [None, *(-float(i) for i in range(1, len(text))), -99.0])


def test_continuations_are_scored_in_their_order(server: Any) -> None:
    server.reply = echo_reply
    first = Request(generation=SHORT, prompt="ab", continuations=("c", "cd", ""))
    second = Request(generation=SHORT, prompt="a", prefill="b", continuations=("x",))
    responses = answers(model_of(server), [first, second])
    assert responses[0].logprobs == (-2.0, -5.0, 0.0)
    assert responses[1].logprobs == (-2.0,)
    assert (responses[0].prompt_tokens, responses[0].completion_tokens) == (2, 3)
    assert (server.asked[-1]["echo"], server.asked[-1]["logprobs"]) == (True, 1)


def test_a_continuation_that_fails_fails_its_request(server: Any) -> None:
    server.reply = echo_reply
    server.faults = lambda number, body: "status 400" if body["prompt"] == "abd" else ""
    requests = [
        Request(generation=SHORT, prompt=prompt, continuations=("c", "d")) for prompt in ("ab", "x")
    ]
    failed, good = answers(model_of(server), requests)
    assert "on purpose" in failed.error
    assert good.logprobs == (-1.0, -1.0)


def test_what_cannot_be_scored_is_not_asked(server: Any) -> None:
    plain = Request(generation=SHORT, prompt="a", continuations=("b",))
    turns = Request(generation=SHORT, messages=chat().messages, continuations=("b",))
    refused = answers(model_of(server), [plain] * 50 + [turns])
    assert {response.finish for response in refused} == {"error"}
    assert "serve the model with vLLM, or evaluate it with hf:" in refused[0].error
    assert "a server gives no log-probabilities of answers to a chat" in refused[-1].error
    assert len(server.asked) == 1
