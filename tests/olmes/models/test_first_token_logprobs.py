"""The likeliest first tokens of an answer, by every backend: which they are, and what has none."""

from __future__ import annotations

import json
import math
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.models.http.openai import OpenAIModel
from olmes.models.http.stream import assembled
from olmes.models.token_logprobs import by_text
from olmes.requests.request_hash import RequestHasher
from olmes.requests.response_cache import ResponseCache
from olmes.requests.stored_response import fits
from olmes.tools.hashing import content_hash
from olmes.types import Generation, Request, Response
from tests.olmes.models.files.scripted_model import THINKS, build_scripted

Answer = Callable[[Any, list[Request]], list[Response]]
FILES = Path(__file__).parent / "files"
model_of = runpy.run_path(str(Path(__file__).parent / "test_openai_protocol.py"))["model_of"]
LIKELY = [("m", -0.125), ("M", -2.25), ("The", -9.5)]


def asking(text: str = "Which is better?", top: int = 5, **settings: Any) -> Request:
    return Request(
        generation=Generation(**{"max_tokens": 1, **settings}),
        messages=({"role": "user", "content": text},),
        top_logprobs=top,
    )


def listed(tokens: Sequence[tuple[str, Any]] = LIKELY) -> dict[str, Any]:
    tops = [{"token": token, "logprob": value, "bytes": None} for token, value in tokens]
    return {"content": [{"token": "m", "logprob": -0.125, "top_logprobs": tops}]}


def chat_reply(logprobs: Any, text: str = "m", **message: Any) -> Callable[..., Any]:
    choice = {
        "index": 0,
        "finish_reason": "length",
        "message": {"role": "assistant", "content": text, **message},
        "logprobs": logprobs,
    }
    return lambda path, body: {"choices": [choice], "usage": {}}


def served(server: Any, answer: Answer, request: Request, **options: Any) -> Response:
    model: OpenAIModel = model_of(server, **options)
    [found] = answer(model, [request])
    return found


def test_a_chat_is_asked_for_them_and_they_are_read(server: Any, answer: Answer) -> None:
    server.reply = chat_reply(listed())
    found = served(server, answer, asking())
    assert found.first_token_logprobs == dict(LIKELY)
    assert list(found.first_token_logprobs) == ["m", "M", "The"]
    assert (server.asked[0]["logprobs"], server.asked[0]["top_logprobs"]) == (True, 5)


def test_a_request_that_does_not_ask_sends_nothing_new(server: Any, answer: Answer) -> None:
    server.reply = chat_reply(listed())
    assert served(server, answer, asking(top=0)).first_token_logprobs == {}
    assert not {"logprobs", "top_logprobs"} & server.asked[0].keys()


def test_a_plain_prompt_is_asked_as_completions_are(server: Any, answer: Answer) -> None:
    choice = {"text": "m", "finish_reason": "length", "logprobs": {"top_logprobs": [dict(LIKELY)]}}
    server.reply = lambda path, body: {"choices": [choice]}
    request = Request(generation=Generation(max_tokens=1), prompt="Which?", top_logprobs=3)
    assert served(server, answer, request).first_token_logprobs == dict(LIKELY)
    assert server.asked[0]["logprobs"] == 3
    assert "top_logprobs" not in server.asked[0]


def test_no_more_than_were_asked_for_and_only_numbers(server: Any, answer: Answer) -> None:
    server.reply = chat_reply(listed([*LIKELY, ("odd", None), ("none", float("-inf"))]))
    assert served(server, answer, asking(top=2)).first_token_logprobs == dict(LIKELY[:2])


@pytest.mark.parametrize(
    "logprobs", [None, {}, {"content": []}, {"content": [{"token": "m"}]}, {"content": "m"}, []]
)
def test_a_server_that_leaves_them_out_is_named_with_what_helps(
    server: Any, answer: Answer, logprobs: Any
) -> None:
    server.reply = chat_reply(logprobs)
    found = served(server, answer, asking())
    assert found.finish == "error"
    assert "gives no log-probabilities of its answers' tokens" in found.error
    assert "vLLM" in found.error


def test_a_server_that_refuses_them_is_named_with_what_helps(server: Any, answer: Answer) -> None:
    server.faults = lambda number, body: "refuse" if "logprobs" in body else ""
    handler = server.server.RequestHandlerClass
    words = {"error": {"message": "logprobs is not supported with this model."}}
    handler.fault_refuse = lambda self, argument, reply: self.send(400, words)
    found = served(server, answer, asking())
    assert "logprobs is not supported" in found.error
    assert "hf: or vllm:" in found.error


@pytest.mark.parametrize(
    ("text", "message"), [("m", {"reasoning_content": "Hm."}), ("<think>Hm.</think>m", {})]
)
def test_a_thought_comes_before_the_first_token_of_an_answer(
    server: Any, answer: Answer, text: str, message: dict[str, Any]
) -> None:
    server.reply = chat_reply(listed(), text, **message)
    found = served(server, answer, asking())
    assert (found.text, found.finish) == ("", "error")
    assert "thinks before it answers" in found.error


def test_a_stream_has_those_of_its_first_piece() -> None:
    pieces = [
        {"choices": [{"delta": {"content": text}, "logprobs": weighed}]}
        for text, weighed in (("m", listed()), ("", None), ("e", listed([("e", -1.0)])))
    ]
    lines = [f"data: {json.dumps(piece)}\n\n" for piece in pieces]
    answer = assembled("".join([*lines, "data: [DONE]\n\n"]).encode())
    assert answer["choices"][0]["logprobs"]["content"][0] == listed()["content"][0]
    assert len(answer["choices"][0]["logprobs"]["content"]) == 2


def direct(model: HFModel, request: Request) -> Any:
    """`[vocabulary]`: natural-log probabilities of the first token, one prompt at a time."""
    import torch

    ids = list(model.encode(request).token_ids)
    with torch.inference_mode():
        logits = model.weights(torch.tensor([ids])).logits[0, -1]
    return torch.log_softmax(logits.double(), -1)


@pytest.mark.parametrize("shared", [True, False], ids=["continuous", "generate"])
@pytest.mark.parametrize("temperature", [0.0, 1.7])
def test_those_of_transformers_are_the_models_own(
    tiny_folder: Path,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    shared: bool,
    temperature: float,
) -> None:
    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", batch_size=3)
    model.__dict__["shares_prefixes"] = shared and model.shares_prefixes
    assert model.shares_prefixes is shared
    texts = ["What is the capital of France?", "Mary", "How many? " * 9, "12"]
    requests = [
        asking(text, top=0 if text == "Mary" else 4, temperature=temperature, max_tokens=3)
        for text in texts
    ]
    for request, response in zip(requests, answer(model, requests), strict=True):
        found = response.first_token_logprobs
        if not request.top_logprobs:
            assert found == {}
            continue
        values, ids = direct(model, request).topk(4)
        expected = by_text(
            [(model.encoder.written(one), value) for one, value in
             zip(ids.tolist(), values.tolist(), strict=True)], 4,
        )  # fmt: skip
        assert list(found) == list(expected)
        assert list(found.values()) == pytest.approx(list(expected.values()), abs=1e-4)
        assert math.fsum(map(math.exp, found.values())) <= 1 + 1e-6


def test_those_of_vllm_are_read_by_their_tokens(tiny: HFModel) -> None:
    """Against a stand-in for the engine's output; `test_vllm.py` has the real one."""
    from olmes.models.hf.generation_rows import fit
    from olmes.models.vllm import VLLMModel, shape_of

    row = fit(0, asking(top=2), tiny.encode(asking()), 256)
    assert shape_of(row)["logprobs"] == 2
    weighed = {7: SimpleNamespace(logprob=-0.5, rank=1), 9: SimpleNamespace(logprob=-1.5, rank=2),
               11: SimpleNamespace(logprob=-4.0, rank=30)}  # fmt: skip
    output = SimpleNamespace(token_ids=[11], logprobs=[weighed], finish_reason="length")
    model: Any = SimpleNamespace(encoder=tiny.encoder)
    VLLMModel._note_first_tokens(model, row, output)
    found = VLLMModel._response(model, row, output)
    assert found.first_token_logprobs == {
        tiny.encoder.written(7): -0.5,
        tiny.encoder.written(9): -1.5,
    }


def test_tokens_that_are_written_alike_add_up() -> None:
    found = by_text([("m", math.log(0.2)), ("M", math.log(0.3)), ("m", math.log(0.4))], 3)
    assert list(found) == ["m", "M"]
    assert found["m"] == pytest.approx(math.log(0.6))


def test_what_was_stored_without_them_is_asked_again(tmp_path: Path) -> None:
    plain, weighed = Response(text="m"), Response(text="m", first_token_logprobs=dict(LIKELY))
    assert fits(asking(), weighed)
    assert not fits(asking(), plain)
    assert fits(asking(top=0), plain)
    for packed in (True, False):
        cache = ResponseCache(tmp_path / f"cache-{packed}", packed=packed)
        cache.put("k" * 64, weighed)
        assert cache.get("k" * 64) == weighed


@pytest.mark.parametrize("top", [0, 1, 5, 20])
def test_repeats_are_hashed_as_whole_requests_are(top: int) -> None:
    hasher, request = RequestHasher(), asking(top=top)
    for repeat in (0, 1, 12):
        repeated = request.repeated(repeat)
        assert hasher.digest(repeated) == content_hash(repeated.to_json())
    other = asking(top=top + 1)
    assert hasher.digest(other) == content_hash(other.to_json()) != hasher.digest(request)


def test_a_checkpoint_that_thinks_first_has_none(tmp_path: Path, answer: Answer) -> None:
    build_scripted(tmp_path, "<think>Hm.</think>m", template=THINKS)
    model = HFModel("m", LocalCheckpoint(tmp_path), device="cpu")
    [found] = answer(model, [asking(max_tokens=20)])
    assert "thinks before it answers" in found.error
    assert "--thinking off" in found.error
