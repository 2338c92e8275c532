"""Which architectures share prefixes, tried out; those that cannot run as `generate` runs them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes.models.checkpoint.folder import LocalCheckpoint
from olmes.models.hf.model import HFModel
from olmes.types import Generation, Request

if TYPE_CHECKING:
    from olmes.types import Response

SHOTS = "Question: How many apples does Mary have?\nAnswer: Mary has 15 apples.\n\n" * 3
QUESTIONS = ["Mary", "What is the capital?", "12 apples", "Seine", "x" * 30]
SMALL = {
    "vocab_size": 369,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 2,
    "bos_token_id": None,
    "pad_token_id": None,
    "initializer_range": 0.3,
}
SHARING: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "olmo2": {},
    "granite": {},
    "mixtral": {"num_local_experts": 4, "sliding_window": None},
    "gpt_neox": {},
}
PLAIN: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 8},
    "gemma2": {"head_dim": 16, "sliding_window": 8},  # soft caps besides
    "llama": {
        "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0},
    },
    "mamba": {"state_size": 8},
}


def model_of(folder: Path, build: Any, kind: str, extra: dict[str, Any]) -> HFModel:
    """A checkpoint of random weights, with the tokenizer of the others."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    build(folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SMALL, **extra})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return HFModel(kind, LocalCheckpoint(folder), device="cpu", batch_size=3)


def check(model: HFModel, answer: Any) -> None:
    """Generation and log-probabilities against one row at a time, without any cache."""
    import torch

    prompts = [SHOTS + question for question in QUESTIONS]
    found = answer(model, [Request(generation=Generation(max_tokens=7), prompt=p) for p in prompts])
    choice = " Paris is"
    likelihoods = answer(
        model,
        [
            Request(generation=Generation(max_tokens=1), prompt=p, continuations=(choice, " a"))
            for p in prompts
        ],
    )
    for prompt, response, scored in zip(prompts, found, likelihoods, strict=True):
        ids = list(model.encoder.tokens(prompt))
        new: list[int] = []
        while len(new) < 7 and not (new and new[-1] in model.ends):
            with torch.inference_mode():
                logits = model.weights(torch.tensor([ids + new]), use_cache=False).logits
            new.append(int(logits[0, -1].argmax()))
        assert response.text == model.encoder.tokenizer.decode(new, skip_special_tokens=True)
        whole = model.encoder.tokens(prompt + choice)
        with torch.inference_mode():
            logits = model.weights(torch.tensor([whole]), use_cache=False).logits[0]
        logs = logits.double().log_softmax(-1)
        expected = sum(float(logs[at - 1, whole[at]]) for at in range(len(ids), len(whole)))
        assert scored.logprobs[0] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", SHARING)
def test_these_share_prefixes_and_give_the_same(
    tmp_path: Path, build: Callable[..., Path], answer: Callable[..., list[Response]], kind: str
) -> None:
    model = model_of(tmp_path, build, kind, SHARING[kind])
    assert model.shares_prefixes
    check(model, answer)


@pytest.mark.parametrize("kind", PLAIN)
def test_these_do_not_and_give_the_same(
    tmp_path: Path, build: Callable[..., Path], answer: Callable[..., list[Response]], kind: str
) -> None:
    model = model_of(tmp_path, build, kind, PLAIN[kind])
    assert not model.shares_prefixes
    check(model, answer)


def test_half_precision_shares_too(tmp_path: Path, build: Callable[..., Path]) -> None:
    folder = build(tmp_path, config={"dtype": "bfloat16"})
    assert HFModel("b", LocalCheckpoint(folder), device="cpu", dtype="bfloat16").shares_prefixes


def plain_model(folder: Path, **options: Any) -> tuple[HFModel, list[int]]:
    """A model that is said not to share, and the batch sizes of its passes from now on."""
    model = HFModel("tiny", LocalCheckpoint(folder), device="cpu", **options)
    vars(model)["shares_prefixes"] = False
    sizes: list[int] = []
    forward = model.weights.forward

    @functools.wraps(forward)
    def counted(*args: Any, **kwargs: Any) -> Any:
        sizes.append(kwargs["input_ids"].shape[0])
        return forward(*args, **kwargs)

    model.weights.forward = counted
    return model, sizes


def test_without_sharing_rows_with_other_settings_run_in_other_batches(
    tiny_folder: Path, chat: Callable[..., Request], answer: Callable[..., list[Response]]
) -> None:
    model, sizes = plain_model(tiny_folder, batch_size=4)
    settings: list[dict[str, Any]] = [
        {"max_tokens": 3},
        {"max_tokens": 9, "stop": ("ppl",)},
        {"max_tokens": 9, "temperature": 5.0, "top_p": 0.6},
    ]
    alone = [answer(model, [chat("12", **one)])[0] for one in settings]
    assert answer(model, [chat("12", **one) for one in settings]) == alone
    assert set(sizes) == {1}
    answer(model, [chat("12", **one) for one in settings] * 2)
    assert set(sizes) == {1, 2}


def test_without_sharing_the_answers_are_the_same(
    tiny_folder: Path,
    tiny: HFModel,
    chat: Callable[..., Request],
    answer: Callable[..., list[Response]],
) -> None:
    model, sizes = plain_model(tiny_folder, batch_size=2)
    settings: list[dict[str, Any]] = [{}, {"temperature": 1.0}, {"stop": ("a",)}]
    requests = [chat(text, **one) for text in QUESTIONS for one in settings]
    assert answer(model, requests) == answer(tiny, requests)
    assert max(sizes) == 2
    continuations = [
        Request(generation=Generation(max_tokens=1), prompt=text, continuations=(" Paris", "a b"))
        for text in QUESTIONS
    ]
    for ours, theirs in zip(answer(model, continuations), answer(tiny, continuations), strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
        assert ours.prompt_tokens == theirs.prompt_tokens
