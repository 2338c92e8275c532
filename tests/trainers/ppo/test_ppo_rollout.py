"""What is sampled is the policy's own, its log-probabilities are right, and its order is fixed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from olmes.errors import OlmesError
from olmes.trainers.ppo.equations import token_logprobs
from olmes.trainers.ppo.learner import collate
from olmes.trainers.ppo.rollout import (
    Prompts,
    Sampling,
    TransformersGenerator,
    encode_prompt,
    orders_of,
)


@pytest.fixture
def prompts(rows: list[dict[str, Any]], char_tokenizer: Any) -> Prompts:
    return Prompts(rows, char_tokenizer, 100, seed=3)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_the_policys_whatever_its_generation_config(
    policy: Any, prompts: Prompts, char_tokenizer: Any, temperature: float
) -> None:
    policy.generation_config.update(top_p=0.2, top_k=3, temperature=0.1, repetition_penalty=5.0)
    own = policy.generation_config
    sampling = Sampling.of(policy, char_tokenizer, temperature, 6)
    generator = TransformersGenerator(policy, prompts.encoded, sampling, version=7)
    (order,) = orders_of(range(40), prompts, 1, 40, seed=0)
    rollouts = generator.generate(order)
    assert policy.generation_config is own
    assert len({t for r in rollouts for t in r.response}) > 40  # top_p 0.2 would leave a handful
    batch = collate(rollouts, sampling.pad_id)
    logits = policy(input_ids=batch.ids, attention_mask=batch.attention).logits
    expected = token_logprobs(logits, batch.ids, temperature) * batch.mask
    torch.testing.assert_close(batch.behaviour, expected, atol=2e-5, rtol=0)
    assert int(batch.mask.sum()) == sum(len(r.response) for r in rollouts)
    assert {r.version for r in rollouts} == {7}


def test_a_response_ends_with_its_first_end_of_sequence(
    policy: Any, prompts: Prompts, char_tokenizer: Any
) -> None:
    sampling = Sampling.of(policy, char_tokenizer, 1.0, 5)
    generator = TransformersGenerator(policy, prompts.encoded, sampling)
    with torch.no_grad():  # the end becomes likely
        end = policy.lm_head.weight[char_tokenizer.eos_token_id]
        end.copy_(policy.lm_head.weight.abs().mean(0))
    rollouts = [
        r for order in orders_of(range(256), prompts, 1, 64, 0) for r in generator.generate(order)
    ]
    ended = [r for r in rollouts if r.ended]
    assert 0 < len(ended) < len(rollouts)
    for r in rollouts:
        assert r.ended == (r.response[-1] == char_tokenizer.eos_token_id)
        assert char_tokenizer.eos_token_id not in r.response[:-1]
        assert len(r.logprobs) == len(r.response) <= 5
        assert r.ended or len(r.response) == 5
        assert all(x < 0 for x in r.logprobs)


def test_the_same_order_is_sampled_the_same_and_leaves_torchs_seed_alone(
    policy: Any, prompts: Prompts, char_tokenizer: Any
) -> None:
    generator = TransformersGenerator(
        policy, prompts.encoded, Sampling.of(policy, char_tokenizer, 1.0, 4)
    )
    first, second = orders_of(range(8), prompts, 1, 4, seed=0)
    (again,) = orders_of(range(4), prompts, 1, 4, seed=0, attempt=1)
    torch.manual_seed(5)
    undisturbed = torch.rand(3)
    torch.manual_seed(5)
    rollouts = generator.generate(first)
    assert torch.equal(torch.rand(3), undisturbed)
    generator.generate(second)
    assert generator.generate(first) == rollouts
    assert generator.generate(again) != rollouts


def test_every_epoch_has_every_prompt_once_in_a_new_order(prompts: Prompts) -> None:
    epochs = [[prompts.row_of(epoch * 12 + i) for i in range(12)] for epoch in range(3)]
    for epoch in epochs:
        assert Counter(epoch) == Counter(range(12))
    assert epochs[0] != epochs[1] != epochs[2]


def test_neighbours_share_a_prompt(prompts: Prompts) -> None:
    (order,) = orders_of(range(12), prompts, 3, 12, 0)
    assert [len(set(order.rows[i : i + 3])) for i in range(0, 12, 3)] == [1, 1, 1, 1]
    assert len(set(order.rows)) == 4


def test_long_prompts_are_left_out(rows: list[dict[str, Any]], char_tokenizer: Any) -> None:
    lengths = [len(encode_prompt(row, char_tokenizer)) for row in rows]
    some = Prompts(rows, char_tokenizer, min(lengths), seed=0)
    assert [lengths[i] for i in some.kept] == [min(lengths)] * len(some.kept)
    assert some.left_out == len(rows) - len(some.kept) > 0
    with pytest.raises(OlmesError, match="raise max_prompt_length"):
        Prompts(rows, char_tokenizer, 1, seed=0)


def test_a_prompt_is_text_or_a_chat(char_tokenizer: Any) -> None:
    plain = encode_prompt({"prompt": "1+1="}, char_tokenizer)
    assert char_tokenizer.decode(plain) == "1+1="
    chat = encode_prompt({"messages": [{"role": "user", "content": "1+1"}]}, char_tokenizer)
    assert char_tokenizer.decode(chat) == "<|user|>\n1+1\n<|assistant|>\n"
    with pytest.raises(OlmesError, match="no `prompt`"):
        encode_prompt({"question": "1+1"}, char_tokenizer)
