"""Log-probabilities of continuations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request
from tests.known import known

if TYPE_CHECKING:
    from olmes.types import Response

GENERATION = Generation(max_tokens=1)
CHOICES = (" Paris", " Paris is the capital of France", " 12", " apples?\n", " B")
PROMPTS = ["The capital is", "Question: how many apples? " * 4 + "Answer:", "Mary has"]


def ask(prompt: str, continuations: tuple[str, ...] = CHOICES) -> Request:
    return Request(generation=GENERATION, prompt=prompt, continuations=continuations)


def direct(model: HFModel, prompt: str, continuation: str) -> float:
    """Soft-max over everything, one row, no padding, no cut."""
    import torch

    tokens = model.encoder.tokens
    context, whole = tokens(prompt), tokens(prompt + continuation)
    assert whole[: len(context)] == context
    with torch.inference_mode():
        logs = model.weights(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return sum(float(logs[at - 1, whole[at]]) for at in range(len(context), len(whole)))


def test_sums_equal_a_direct_computation(
    tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    responses = answer(tiny, [ask(prompt) for prompt in PROMPTS])
    for prompt, response in zip(PROMPTS, responses, strict=True):
        expected = [direct(tiny, prompt, choice) for choice in CHOICES]
        assert response.logprobs == pytest.approx(expected, abs=1e-4)
        assert max(expected) - min(expected) > 1  # the model tells them apart
        assert response.finish == "stop"
        assert response.prompt_tokens == len(tiny.encoder.tokens(prompt))
        whole = [len(tiny.encoder.tokens(prompt + choice)) for choice in CHOICES]
        assert response.completion_tokens == sum(n - response.prompt_tokens for n in whole)


def test_a_chat_has_the_template_and_the_prefill_before_the_continuation(
    tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    request = Request(
        generation=GENERATION,
        messages=({"role": "user", "content": "Where?"},),
        prefill="In",
        continuations=(" Paris",),
    )
    [response] = answer(tiny, [request])
    text = "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\nIn"
    assert response.logprobs == pytest.approx([direct(tiny, text, " Paris")], abs=1e-4)


def test_only_positions_that_predict_are_projected_and_each_once(
    tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu")
    assert model.shares_prefixes
    shapes = []
    model.weights.lm_head.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape)))
    answer(model, [ask(PROMPTS[1])])
    # Every continuation's first token is predicted by one position, and so is all that two share.
    choices = [model.encoder.tokens(choice) for choice in CHOICES]
    predicting = {choice[:length] for choice in choices for length in range(len(choice))}
    assert shapes == [(1, len(predicting), model.config.vocab_size)]


def test_long_prompts_are_cut_from_the_left(
    tiny_folder: Path, tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", max_length=20)
    [response] = answer(model, [ask(PROMPTS[1], (" Paris",))])
    ids = model.encoder.tokens(PROMPTS[1] + " Paris")
    assert response.prompt_truncated == len(ids) - 21 > 0
    kept = model.encoder.decode(ids[-21:]).removesuffix(" Paris")
    assert response.logprobs[0] == pytest.approx(direct(tiny, kept, " Paris"), abs=1e-4)


def test_a_continuation_longer_than_the_window_fails_its_request_alone(
    tiny_folder: Path, answer: Callable[..., list[Response]]
) -> None:
    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", max_length=8)
    bad, good = answer(model, [ask("a", (" x" * 30,)), ask("a", (" x",))])
    assert bad.finish == "error"
    assert "no room" in bad.error
    assert bad.logprobs == ()
    assert len(good.logprobs) == 1


def test_an_empty_continuation_is_zero(
    tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    [response] = answer(tiny, [ask("Mary", ("", " Paris", ""))])
    assert response.logprobs[0] == response.logprobs[2] == 0.0
    assert response.logprobs[1] < 0


def test_requests_are_reported_as_they_finish(tiny_folder: Path) -> None:
    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", batch_size=2)
    assert model.shares_prefixes
    calls, reported = [], []
    model.weights.register_forward_hook(lambda *_: calls.append(1))
    requests = [ask(prompt, CHOICES[:2]) for prompt in PROMPTS]
    model.loglikelihood(requests, lambda index, _: reported.append((len(calls), index)))
    assert [at for at, _ in reported] == [1, 2, 3]
    assert reported[0][1] == 1  # the longest goes first


def test_out_of_memory_halves_the_batch_or_fails_one_request(
    tiny_folder: Path, tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    import torch

    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu", batch_size=8)
    assert model.shares_prefixes
    forward = model.weights.forward

    @functools.wraps(forward)
    def small(*args: Any, **kwargs: Any) -> Any:
        if (
            known(kwargs.get("cache", kwargs.get("past_key_values"))).rows > 2
            or int(kwargs["position_ids"].max()) > 60
        ):
            raise torch.OutOfMemoryError("Tried to allocate 3.00 GiB")
        return forward(*args, **kwargs)

    model.weights.forward = small
    requests = [*map(ask, PROMPTS), ask("word " * 60)]
    responses = answer(model, requests)
    whole = answer(tiny, requests[:3])
    for ours, theirs in zip(responses[:3], whole, strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
    assert responses[3].finish == "error"
    assert "out of memory" in responses[3].error


def test_a_model_that_cannot_keep_some_logits_gives_the_same(
    tiny_folder: Path, tiny: HFModel, answer: Callable[..., list[Response]]
) -> None:
    """Architectures without `logits_to_keep` return all positions."""
    model = HFModel("tiny", LocalCheckpoint(tiny_folder), device="cpu")
    forward = model.weights.forward

    def plain(input_ids: Any, attention_mask: Any = None, position_ids: Any = None) -> Any:
        return forward(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids
        )

    model.weights.forward = plain
    [ours], [theirs] = answer(model, [ask(PROMPTS[0])]), answer(tiny, [ask(PROMPTS[0])])
    assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
