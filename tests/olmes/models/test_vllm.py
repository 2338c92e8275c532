"""vLLM's real engine on the embedded model; `make test-vllm` makes its environment and runs this."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.benchmark.registry import load_task
from olmes.data.resolve import resolve
from olmes.errors import OlmesError
from olmes.models.options import Asking
from olmes.models.spec import load_model
from olmes.models.vllm import VLLMModel
from olmes.models.vllm_options import parse_target
from olmes.reasoning import split
from olmes.types import Generation, Request
from tests.known import known
from tests.olmes.models.files.scripted_model import QUESTION, THINKS, build_scripted

if TYPE_CHECKING:
    from olmes.types import Response

HERE = importlib.util.find_spec("vllm") is not None
SHOTS = "Question: How many apples does Mary have?\nAnswer: Mary has 15 apples.\n\n" * 12
CHOICES = (" Paris is the capital", " London", " 12 apples and pears", "")
QUESTIONS = ["What is the capital of France?", "Mary", "12 + 5 =", "Where is the Seine?"]


def test_options_stand_behind_the_name() -> None:
    assert parse_target("owner/name") == ("owner/name", {})
    assert parse_target("a?tensor_parallel_size=2&gpu_memory_utilization=0.5") == (
        "a",
        {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.5},
    )
    for wrong, message in (("a?speed=2", "no option 'speed'"), ("a?tensor_parallel_size=x", "'x'")):
        with pytest.raises(OlmesError, match=message):
            parse_target(wrong)


@pytest.mark.skipif(HERE, reason="vLLM is installed here")
def test_without_vllm_one_sentence_says_so(tiny_folder: Path) -> None:
    model = load_model(f"vllm:{tiny_folder}")
    with pytest.raises(OlmesError, match="vLLM is not installed"):
        _ = model.engine


@pytest.fixture(scope="module")
def model(smollm2_folder: Any) -> Iterator[VLLMModel]:
    if not HERE:
        pytest.skip("needs vLLM in this environment; make test-vllm makes one")
    found = load_model(f"vllm:{smollm2_folder}", dtype="float32", max_length=1024)
    assert isinstance(found, VLLMModel)
    yield found
    found.close()


@pytest.fixture(scope="module")
def plain(smollm2_folder: Any) -> Any:
    """The same weights in transformers."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(smollm2_folder, dtype="float32").eval()


def chat(text: str, *, repeat: int = 0, **settings: Any) -> Request:
    return Request(
        generation=Generation(**{"max_tokens": 10, **settings}),
        messages=({"role": "user", "content": text},),
        repeat=repeat,
    )


@pytest.mark.vllm
def test_greedy_answers_are_those_of_transformers(
    model: VLLMModel, plain: Any, answer: Callable[..., list[Response]]
) -> None:
    import torch

    responses = answer(model, [chat(text) for text in QUESTIONS])
    for text, response in zip(QUESTIONS, responses, strict=True):
        ids = list(model.encode(chat(text)).token_ids)
        assert response.prompt_tokens == len(ids)
        new: list[int] = []
        while len(new) < 10 and not (new and new[-1] in model.ends):
            with torch.inference_mode():
                new.append(int(plain(torch.tensor([ids + new])).logits[0, -1].argmax()))
        assert response.text == model.encoder.answer(ids, new)
        assert response.completion_tokens == len(new)
        assert response.finish == ("stop" if new[-1] in model.ends else "length")


@pytest.mark.vllm
def test_each_request_has_its_own_stops_limit_and_seed(
    model: VLLMModel, answer: Callable[..., list[Response]]
) -> None:
    [full] = answer(model, [chat(QUESTIONS[0])])
    stop = full.text[4:9]
    mixed = [
        chat(QUESTIONS[0], stop=(stop,)),
        chat(QUESTIONS[0], max_tokens=3),
        *(chat(QUESTIONS[0], temperature=1.0, top_p=0.9, repeat=at) for at in range(3)),
    ]
    stopped, short, *sampled = answer(model, mixed)
    assert stopped.text == full.text[: full.text.index(stop)]
    assert stopped.finish == "stop"
    assert (short.completion_tokens, short.finish) == (3, "length")
    assert len({response.text for response in sampled}) > 1
    assert answer(model, mixed)[2:] == sampled


@pytest.mark.vllm
def test_log_probabilities_are_those_of_transformers_and_read_the_prefix_cache(
    model: VLLMModel,
    plain: Any,
    answer: Callable[..., list[Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from olmes.models import vllm

    cached: list[tuple[int, int]] = []
    set_logprob = vllm.set_logprob

    def watched(row: Any, output: Any) -> bool:
        done = set_logprob(row, output)
        cached.append((output.num_cached_tokens, len(row.token_ids)))
        return done

    monkeypatch.setattr(vllm, "set_logprob", watched)
    requests = [
        Request(generation=Generation(max_tokens=1), prompt=SHOTS + text, continuations=CHOICES)
        for text in QUESTIONS
    ]
    responses = answer(model, requests)
    for request, response in zip(requests, responses, strict=True):
        for choice, found in zip(CHOICES, response.logprobs, strict=True):
            context = model.encoder.tokens(known(request.prompt))
            whole = model.encoder.tokens(known(request.prompt) + choice)
            with torch.inference_mode():
                logs = plain(torch.tensor([whole])).logits[0].double().log_softmax(-1)
            expected = sum(float(logs[at - 1, whole[at]]) for at in range(len(context), len(whole)))
            assert math.isclose(found, expected, abs_tol=2e-3)
    read = sum(tokens for tokens, _ in cached)
    assert read > sum(length for _, length in cached) / 2
    # Asked again, whole continuations may lie in the cache: they are scored anew, with the same result.
    again = answer(model, requests)
    for first, second in zip(responses, again, strict=True):
        assert second.logprobs == pytest.approx(first.logprobs, abs=2e-3)


@pytest.mark.vllm
@pytest.mark.parametrize("name", ["mmlu_mc", "truthfulqa"])
def test_the_bundled_tasks_are_weighed_as_by_transformers(
    name: str,
    model: VLLMModel,
    plain: Any,
    answer: Callable[..., list[Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setenv("OLMES_OFFLINE", "1")
    task = load_task(name)
    items = resolve(task, say=lambda line: None).instances[:2]
    requests = [task.request(item.doc) for item in items]
    for request, response in zip(requests, answer(model, requests), strict=True):
        prompt = model.encode(request)
        for choice, found in zip(request.continuations, response.logprobs, strict=True):
            whole, begin = model.encoder.with_continuation(prompt, choice)
            with torch.inference_mode():
                logs = plain(torch.tensor([whole])).logits[0].double().log_softmax(-1)
            expected = sum(float(logs[at - 1, whole[at]]) for at in range(begin, len(whole)))
            assert math.isclose(found, expected, abs_tol=2e-3)


def test_the_likeliest_first_tokens_are_those_of_transformers(
    model: VLLMModel, plain: Any, answer: Callable[..., list[Response]]
) -> None:
    import torch

    requests = [replace(chat(text, temperature=1.0), top_logprobs=5) for text in QUESTIONS]
    for request, response in zip(requests, answer(model, requests), strict=True):
        ids = list(model.encode(request).token_ids)
        with torch.inference_mode():
            logits = plain(torch.tensor([ids])).logits[0, -1]
        values, tokens = torch.log_softmax(logits, -1).topk(5)
        wanted = [model.encoder.written(token) for token in tokens.tolist()]
        assert list(response.first_token_logprobs) == wanted
        found = list(response.first_token_logprobs.values())
        assert found == pytest.approx(values.tolist(), abs=1e-3)


@pytest.mark.vllm
def test_what_does_not_fit_fails_alone(
    model: VLLMModel, answer: Callable[..., list[Response]]
) -> None:
    long = Request(generation=Generation(max_tokens=4096), prompt="word " * 2000)
    bad, good = answer(model, [long, chat("Mary", max_tokens=2)])
    assert "no room" in bad.error
    assert good.completion_tokens == 2
    assert model.engine["backend"] == "vllm"
    assert model.engine["max_length"] == 1024


@pytest.mark.vllm
def test_a_thought_is_followed_token_by_token(
    tmp_path: Path, answer: Callable[..., list[Response]]
) -> None:
    """Stops and limits hold for the answer; what a thought may take, and what ends it, we say."""
    if not HERE:
        pytest.skip("needs vLLM in this environment; make test-vllm makes one")
    script = "<think>\nStop here?\n</think>\n\nIt is 7. Stop"
    build_scripted(tmp_path, script, template=THINKS)
    found = load_model(f"vllm:{tmp_path}?gpu_memory_utilization=0.2", dtype="float32", device="cpu")
    assert isinstance(found, VLLMModel)
    settings: tuple[dict[str, Any], ...] = (
        {"stop": ("Stop",)},
        {"max_tokens": 3},
        {"max_tokens": 200},
        {"temperature": 0.01},
    )
    requests = [
        Request(generation=Generation(**{"max_tokens": 40, **one}), messages=QUESTION)
        for one in settings
    ]
    try:
        responses = [split(one, found.reader) for one in answer(found, requests)]
        found.asking = Asking(thinking_budget=8)
        del found.thought_limits
        cut = split(answer(found, requests)[0], found.reader)
    finally:
        found.close()
    assert {one.reasoning for one in responses} == {"Stop here?"}
    stopped, short, whole, sampled = responses
    assert (stopped.text, stopped.finish) == ("It is 7.", "stop")
    assert short.completion_tokens == short.reasoning_tokens + 3
    assert (whole.text, whole.finish) == ("It is 7. Stop", "stop") == (sampled.text, sampled.finish)
    assert (cut.unfinished_thinking, cut.completion_tokens, cut.text) == (True, 8, "")
