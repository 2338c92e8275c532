"""vLLM's real engine as PPO's generator, on the embedded model; `make test-vllm` runs this."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from olmes.errors import OlmesError
from olmes.trainers.ppo.rollout import Order, Prompts, Rollout, Sampling, TransformersGenerator
from olmes.trainers.ppo.vllm_generator import checkpoint_names, window_of
from olmes.trainers.ppo.worker import GeneratorRecipe

HERE = importlib.util.find_spec("vllm") is not None
QUESTIONS = ("What is the capital of France?", "12 + 5 =", "Name a colour.", "Who wrote Hamlet?")


def recipe_of(policy: Any, prompts: Prompts, sampling: Sampling) -> GeneratorRecipe:
    """How an engine for a policy is made, on the CPU."""
    longest = max(map(len, prompts.encoded))
    return GeneratorRecipe(
        type(policy), policy.config, policy.dtype, prompts.encoded, sampling, TransformersGenerator,
        "cpu", False, "vllm", 0.4, longest + sampling.max_completion_length,
    )  # fmt: skip


@pytest.mark.skipif(HERE, reason="vLLM is installed here")
def test_without_vllm_one_sentence_says_so(workshop: Any, tmp_path: Any) -> None:
    from olmes.trainers.train import train

    for algorithm in ("ppo", "grpo"):
        recipe = workshop.recipe("rlvr", algorithm=algorithm, vllm="colocate")
        with pytest.raises(OlmesError, match="vLLM is not installed"):
            train(recipe, tmp_path / algorithm, say=lambda _: None)


def test_the_engine_has_room_for_the_longest_prompt_and_no_more_than_the_model(
    policy: Any, rows: list[dict[str, Any]], char_tokenizer: Any
) -> None:
    prompts = Prompts(rows, char_tokenizer, 100, 0)
    sampling = Sampling.of(policy, char_tokenizer, 1.0, 7)
    longest = max(map(len, prompts.encoded))
    assert window_of(recipe_of(policy, prompts, sampling)) == longest + 7
    long = Sampling.of(policy, char_tokenizer, 1.0, 4096)
    assert window_of(recipe_of(policy, prompts, long)) == 512


def test_a_mixture_of_experts_is_handed_over_as_its_checkpoint_has_it() -> None:
    """transformers holds all experts in one tensor; vLLM reads one after the other."""
    from transformers import AutoModelForCausalLM, Qwen3MoeConfig

    config = Qwen3MoeConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, moe_intermediate_size=8,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=8, num_experts=4,
        num_experts_per_tok=2,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    with torch.device("meta"):
        skeleton = type(model)._from_config(config)
    found = checkpoint_names(skeleton, model.state_dict())
    assert {f"model.layers.0.mlp.experts.{n}.up_proj.weight" for n in range(4)} <= found.keys()
    assert all(tensor.device.type == "cpu" for tensor in found.values())


@dataclass
class Engine:
    """A running engine, and what it samples for."""

    workers: Any
    policy: Any
    sampling: Sampling

    def sample(self, order: Order) -> list[Rollout]:
        self.workers.submit(order)
        found: list[Rollout] = self.workers.receive()
        return found

    def error(self, policy: Any, rollouts: list[Rollout]) -> float:
        """How far the log-probabilities are from a policy's own, at most."""
        worst = 0.0
        for r in rollouts:
            with torch.no_grad():
                logits = policy(torch.tensor([r.prompt + r.response])).logits[0].double()
            logs = (logits / self.sampling.temperature).log_softmax(-1)
            start = len(r.prompt) - 1
            own = [float(logs[start + i, token]) for i, token in enumerate(r.response)]
            worst = max([worst, *(abs(a - b) for a, b in zip(own, r.logprobs, strict=True))])
        return worst


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if not HERE:
        pytest.skip("needs vLLM in this environment; make test-vllm makes one")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from olmes.models.checkpoint.smollm2 import embedded_folder
    from olmes.trainers.ppo.processes import ProcessWorkers

    folder = embedded_folder()
    policy = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [{"prompt": [{"role": "user", "content": text}]} for text in QUESTIONS]
    prompts = Prompts(rows, tokenizer, 200, 0)
    sampling = Sampling.of(policy, tokenizer, 0.8, 12)
    workers = ProcessWorkers(recipe_of(policy, prompts, sampling), policy.state_dict(), 5, 1, 0)
    yield Engine(workers, policy, sampling)
    workers.close()


ORDER = Order((0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 0, 1), 77)


@pytest.mark.vllm
def test_rollouts_follow_the_weights_that_are_handed_over(engine: Engine) -> None:
    first = engine.sample(ORDER)
    assert [r.position for r in first] == list(ORDER.positions)
    assert {r.version for r in first} == {5}
    assert engine.error(engine.policy, first) < 2e-3
    # Of the same prompt, but each with a seed of its own.
    assert first[0].prompt == first[4].prompt
    assert first[0].response != first[4].response

    changed = copy.deepcopy(engine.policy)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in changed.model.layers.parameters():
            parameter += 0.1 * parameter.std() * torch.randn_like(parameter)
    engine.workers.publish(changed.state_dict(), 6)
    second = engine.sample(ORDER)
    assert {r.version for r in second} == {6}
    assert engine.error(changed, second) < 2e-3
    assert engine.error(engine.policy, second) > 0.1
    assert [r.response for r in second] != [r.response for r in first]

    engine.workers.publish(engine.policy.state_dict(), 7)
    third = engine.sample(ORDER)
    assert [r.response for r in third] == [r.response for r in first]
    assert {r.version for r in third} == {7}


@pytest.mark.vllm
def test_a_response_ends_with_its_end_of_sequence_or_at_the_limit(engine: Engine) -> None:
    rollouts = engine.sample(Order(tuple(range(32)), (2,) * 32, 3))
    ends = set(engine.sampling.end_ids)
    assert len({r.response for r in rollouts}) > 16
    for r in rollouts:
        assert r.ended == (r.response[-1] in ends)
        assert not ends & set(r.response[:-1])
        assert r.ended or len(r.response) == engine.sampling.max_completion_length
    assert {r.ended for r in rollouts} == {True, False}
