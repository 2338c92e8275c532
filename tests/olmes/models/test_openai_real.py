"""Real servers on the loopback with the embedded model, held against the same model in process.

transformers' own server (`pip install fastapi openai pydantic uvicorn`) and, where its command is on
the path or named by $OLMES_VLLM, vLLM's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from olmes.models.hf.model import HFModel
from olmes.models.http.openai import OpenAIModel
from olmes.models.spec import load_model
from olmes.types import Generation, Request, Response

pytestmark = [pytest.mark.slow, pytest.mark.model]
Answer = Callable[..., list[Response]]
QUESTIONS = (
    "What is the capital of France?",
    "Natalia sold clips to 48 friends in April, and half as many in May. How many in all?",
    "Name three colours of the flag of Zürich's neighbour Германия 🎉.",
)


@pytest.fixture
def api(served: Any, monkeypatch: pytest.MonkeyPatch) -> OpenAIModel:
    for name in ("OLMES_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    model = load_model(f"openai:{served.model}@{served.url}")
    assert isinstance(model, OpenAIModel)
    return model


def test_greedy_answers_are_those_of_the_model_in_process(
    api: OpenAIModel, smollm2: HFModel, answer: Answer, chat: Callable[..., Request]
) -> None:
    requests = [chat(question, max_tokens=24) for question in QUESTIONS]
    requests += [
        chat(QUESTIONS[1], max_tokens=64, stop=("April", "\n\n")),
        Request(generation=Generation(max_tokens=24), prompt="Once upon a time"),
        Request(
            generation=Generation(max_tokens=24, stop=(".",)), prompt="Q: 1+1?\n", prefill="A:"
        ),
    ]
    served, local = answer(api, requests), answer(smollm2, requests)
    assert all(response.text for response in served)
    # The server's word for why it ended, and its count of tokens, are ours too.
    assert served == local


def test_a_prefilled_answer_is_continued_or_refused(
    served: Any, api: OpenAIModel, smollm2: HFModel, answer: Answer, chat: Callable[..., Request]
) -> None:
    request = chat("What is 3+4?", prefill="Answer:", max_tokens=16)
    [response] = answer(api, [request])
    assert api.continues == (served.program == "vllm")
    if api.continues:
        assert response == answer(smollm2, [request])[0]
    else:
        assert "cannot continue a prefilled answer" in response.error


def test_continuations_score_as_in_process_or_are_refused(
    served: Any, api: OpenAIModel, smollm2: HFModel, answer: Answer
) -> None:
    requests = [
        Request(generation=Generation(max_tokens=1), prompt=prompt, continuations=continuations)
        for prompt, continuations in (
            ("The capital of France is", (" Paris", " London", " 🎉é", "", "s")),
            ("Question: 2+2=\nAnswer: ", ("4", "5 is", "A")),
        )
    ]
    remote, local = answer(api, requests), answer(smollm2, requests)
    for ours, theirs in zip(remote, local, strict=True):
        if served.program == "transformers":
            assert "gives no log-probabilities of a prompt" in ours.error
            continue
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=2e-3)
        assert replace(ours, logprobs=()) == replace(theirs, logprobs=())


def test_the_server_says_what_it_is(served: Any, api: OpenAIModel) -> None:
    again = load_model(f"openai:{served.model}@{served.url}/v1/")
    assert again.fingerprint == api.fingerprint
    assert api.engine["url"] == served.url.removeprefix("http://")
    if served.program == "vllm":
        assert api.engine["server"].startswith("vllm ")
        assert api.engine["max_length"] == 2048


def test_sampled_answers_depend_on_the_seed(
    served: Any, api: OpenAIModel, answer: Answer, chat: Callable[..., Request]
) -> None:
    if served.program == "transformers":
        pytest.skip("transformers' server samples only where the checkpoint's own settings say so")
    seeds = ({"seed": 1}, {"seed": 1}, {"seed": 5}, {"seed": 1, "repeat": 1})
    requests = [chat("Tell a story.", temperature=1.0, max_tokens=16, **seed) for seed in seeds]
    first, again, other, repeat = (response.text for response in answer(api, requests))
    assert first == again
    assert len({first, other, repeat}) == 3
