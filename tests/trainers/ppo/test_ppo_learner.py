"""One update: independent of how it is cut, blind to padding, and right about its own numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from olmes.errors import OlmesError
from olmes.trainers.ppo import equations as eq
from olmes.trainers.ppo.learner import Learner, collate, distinct_ngrams
from olmes.trainers.ppo.models import frozen_reference, load_policy, value_model
from olmes.trainers.ppo.rollout import Prompts, Sampling, TransformersGenerator, orders_of

if TYPE_CHECKING:
    from olmes.trainers.ppo.config import PPOConfig
    from olmes.trainers.ppo.rollout import Rollout


@pytest.fixture
def rollouts(policy: Any, rows: list[dict[str, Any]], char_tokenizer: Any) -> list[Rollout]:
    prompts = Prompts(rows, char_tokenizer, 100, seed=0)
    sampling = Sampling.of(policy, char_tokenizer, 1.0, 4)
    (order,) = orders_of(range(8), prompts, 1, 8, seed=0)
    generator = TransformersGenerator(policy, prompts.encoded, sampling)
    found: list[Rollout] = generator.generate(order)
    return found


def learner_of(
    config: PPOConfig, policy: Any, pad: int = 0, value: Any = None, reference: Any = None
) -> Learner:
    from accelerate import Accelerator

    start = copy.deepcopy(policy)
    critic = value_model(start, value, seed=1)
    return Learner(config, start, frozen_reference(policy, reference), critic, pad, Accelerator())


def parameters(learner: Learner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()])


VERIFIED = [0.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.0, 0.25]


def test_the_gradient_does_not_depend_on_the_size_of_micro_batches(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout]
) -> None:
    results = []
    for size in (1, 3, 8):
        config = settings(micro_batch_size=size, minibatches=2, updates_per_batch=1)
        learner = learner_of(config, policy)
        numbers = learner.update(0, rollouts, VERIFIED)
        results.append((parameters(learner), numbers))
    start = parameters(learner_of(settings(), policy))
    assert float((results[0][0] - start).abs().max()) > 1e-4
    for after, numbers in results[1:]:
        torch.testing.assert_close(after, results[0][0], atol=2e-6, rtol=1e-4)
        assert numbers == pytest.approx(results[0][1], rel=1e-3, abs=1e-5)


def test_the_token_that_pads_changes_nothing(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout]
) -> None:
    after = []
    for pad in (0, 55):
        learner = learner_of(settings(), policy, pad)
        learner.update(0, rollouts, VERIFIED)
        after.append(parameters(learner))
    assert torch.equal(after[0], after[1])


def test_nothing_is_learned_of_a_response_that_could_not_be_scored(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout]
) -> None:
    """Not from its tokens, its length or its missing end: as if it were not there."""
    config = settings(batch_size=7, minibatches=1, updates_per_batch=2, whiten=True)
    without = learner_of(config, policy)
    expected = without.update(0, rollouts[:7], VERIFIED[:7])
    # The same seven, with one that failed: the order within a minibatch sums alike.
    learner = learner_of(settings(minibatches=1, updates_per_batch=2, whiten=True), policy)
    start = parameters(learner)
    numbers = learner.update(0, rollouts, [*VERIFIED[:7], None])
    assert numbers["unscored"] == 1
    torch.testing.assert_close(parameters(learner), parameters(without), atol=2e-6, rtol=1e-4)
    for name in ("reward", "score", "verified", "kl", "entropy", "policy_loss", "response_tokens"):
        assert numbers[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-5)
    assert float((parameters(learner) - start).abs().max()) > 1e-4


@pytest.mark.parametrize("unscored", [8, 6])
def test_where_nothing_or_no_token_of_a_minibatch_could_be_scored_no_step_is_taken(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout], unscored: int
) -> None:
    config = settings(minibatches=8, updates_per_batch=1, weight_decay=0.1)
    learner = learner_of(config, policy)
    start = parameters(learner)
    numbers = learner.update(0, rollouts, [*[None] * unscored, *VERIFIED[unscored:]])
    assert numbers["unscored"] == unscored
    steps = {int(state["step"]) for state in learner.optimizer.state.values()}
    assert steps == ({8 - unscored} if unscored < 8 else set())
    assert torch.equal(parameters(learner), start) == (unscored == 8)


def test_checkpointed_gradients_are_the_same(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout]
) -> None:
    after = []
    for flag in (False, True):
        learner = learner_of(settings(gradient_checkpointing=flag), policy)
        learner.update(0, rollouts, VERIFIED)
        assert not learner.model.training
        after.append(parameters(learner))
    torch.testing.assert_close(after[0], after[1], atol=1e-6, rtol=0)


def test_dropout_is_off_in_every_pass(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout]
) -> None:
    policy.config.attention_dropout = 0.5
    for layer in policy.model.layers:
        layer.self_attn.attention_dropout = 0.5
    after = []
    for _ in range(2):
        learner = learner_of(settings(gradient_checkpointing=True), policy)
        numbers = learner.update(0, rollouts, VERIFIED)
        after.append(parameters(learner))
    assert torch.equal(after[0], after[1])
    assert numbers["importance_ratio_max"] == pytest.approx(1, abs=1e-4)


def test_numbers_of_the_first_update(
    settings: Callable[..., Any], policy: Any, rollouts: Any
) -> None:
    learner = learner_of(settings(updates_per_batch=1, beta=0.1), policy)
    numbers = learner.update(0, rollouts, VERIFIED)
    scores = [10 * v if r.ended else -10 for r, v in zip(rollouts, VERIFIED, strict=True)]
    assert numbers["score"] == pytest.approx(sum(scores) / 8)
    assert numbers["verified"] == pytest.approx(sum(VERIFIED) / 8)
    assert numbers["no_end"] == pytest.approx(sum(not r.ended for r in rollouts) / 8)
    assert numbers["kl"] == pytest.approx(0, abs=1e-4)  # the policy is its reference still
    assert numbers["reward"] == pytest.approx(numbers["score"], abs=1e-4)
    assert numbers["importance_ratio_mean"] == pytest.approx(1, abs=1e-4)
    assert numbers["clip_fraction"] == 0
    assert numbers["policy_loss"] == pytest.approx(0, abs=1e-5)  # mean of whitened advantages
    tokens = sum(len(r.response) for r in rollouts)
    assert numbers["response_tokens"] == pytest.approx(tokens / 8)
    assert numbers["learning_rate"] == 1e-3
    assert all(p.grad is None for p in learner.reference.parameters())


def test_a_rewarded_response_becomes_likelier_and_a_punished_one_less(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout]
) -> None:
    learner = learner_of(settings(updates_per_batch=1, missing_end_reward=None, beta=0.0), policy)
    batch = collate(rollouts, 0)

    def likelihoods() -> torch.Tensor:
        logits = learner.policy(input_ids=batch.ids, attention_mask=batch.attention).logits
        return (eq.token_logprobs(logits, batch.ids) * batch.mask).sum(-1).detach()

    before = likelihoods()
    good = torch.tensor([1.0, 0.0] * 4)
    learner.update(0, rollouts, good.tolist())
    change = likelihoods() - before
    assert float(change[good == 1].mean()) > 0 > float(change[good == 0].mean())


def test_value_model_from_a_reward_model(
    settings: Callable[..., Any], policy: Any, rollouts: list[Rollout], tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(policy.config)
    config.num_labels = 1
    torch.manual_seed(9)
    scorer = AutoModelForSequenceClassification.from_config(config).eval()
    scorer.save_pretrained(tmp_path)
    batch = collate(rollouts, 0)
    critic = value_model(policy, str(tmp_path))
    values = critic(batch.ids, batch.attention)
    for i, r in enumerate(rollouts):
        known = [*r.prompt, *r.response][:-1]
        expected = scorer(input_ids=torch.tensor([known])).logits[0, 0]
        assert float(values[i, len(known) - 1]) == pytest.approx(float(expected), abs=1e-4)
    learner_of(settings(), policy, value=str(tmp_path)).update(0, rollouts, VERIFIED)
    config.num_labels = 2
    two = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(OlmesError, match="num_labels=1"):
        value_model(policy, two)


def test_the_new_value_head_is_drawn_as_the_papers_reward_model(policy: Any) -> None:
    wide = copy.deepcopy(policy)
    head = value_model(wide, seed=4).head.weight
    assert torch.equal(head, value_model(wide, seed=4).head.weight)
    assert not torch.equal(head, value_model(wide, seed=5).head.weight)
    spreads = torch.cat([value_model(policy, seed=s).head.weight for s in range(64)]).std()
    assert float(spreads) == pytest.approx((32 + 1) ** -0.5, rel=0.05)


def test_distinct_ngrams() -> None:
    assert distinct_ngrams([[1, 2, 3, 4]], 3) == 1.0
    assert distinct_ngrams([[1, 1, 1, 1, 1, 1], [1, 2]], 3) == pytest.approx((0.25 + 1) / 2)


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OlmesError, match="cannot be loaded"):
        load_policy(tmp_path / "nothing")


def test_settings_that_do_not_fit(settings: Callable[..., Any]) -> None:
    with pytest.raises(OlmesError, match="not a multiple of minibatches"):
        settings(minibatches=3)
    with pytest.raises(OlmesError, match="temperature is 0"):
        settings(temperature=0)
    with pytest.raises(OlmesError, match="lam is 1.5"):
        settings(lam=1.5)


def test_the_rate_rises_then_falls_to_zero(settings: Callable[..., Any]) -> None:
    config = settings(updates=10, warmup_ratio=0.2, learning_rate=1.0)
    rates = [config.rate(update) for update in range(11)]
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.0, 7 / 8])
    assert rates[9:] == pytest.approx([1 / 8, 0.0])
    assert settings(updates=4, learning_rate=1.0).rate(0) == 1.0
