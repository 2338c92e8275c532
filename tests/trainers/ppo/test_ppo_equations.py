"""The equations against numbers worked by hand and against slow loops in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from olmes.trainers.ppo import equations as eq

CASES = settings(max_examples=40, deadline=None)


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@st.composite
def batches(draw: st.DrawFn) -> tuple[torch.Tensor, Callable[..., torch.Tensor]]:
    """Sequences with one run of response tokens each, and numbers for everything."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    mask = torch.zeros(rows, width, dtype=torch.float64)
    for i in range(rows):
        start = draw(st.integers(0, width - 1))
        mask[i, start : draw(st.integers(start + 1, width))] = 1
    noise = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def numbers(scale: float = 1.0) -> torch.Tensor:
        return scale * torch.randn(rows, width, generator=noise, dtype=torch.float64)

    return mask, numbers


def places(mask: torch.Tensor) -> list[list[int]]:
    """Positions with mask 1 of each row."""
    return [[t for t in range(mask.shape[1]) if mask[i, t] > 0] for i in range(len(mask))]


# -- worked by hand


def test_advantages_of_three_tokens_by_hand() -> None:
    rewards, values = tensor([0.0, 0.0, 10.0]), tensor([1.0, 2.0, 4.0])
    mask = torch.ones_like(rewards)
    # deltas: 0 + 2 - 1 = 1, 0 + 4 - 2 = 2, 10 + 0 - 4 = 6; A3 = 6, A2 = 2 + .5*6 = 5, A1 = 1 + .5*5
    advantages, returns = eq.advantages_and_returns(rewards, values, mask, gamma=1.0, lam=0.5)
    assert advantages.tolist() == [[3.5, 5.0, 6.0]]
    assert returns.tolist() == [[4.5, 7.0, 10.0]]


def test_advantages_with_discount_by_hand() -> None:
    rewards, values = tensor([1.0, 2.0]), tensor([0.5, 1.0])
    # delta2 = 2 - 1 = 1; delta1 = 1 + .9*1 - .5 = 1.4; A1 = 1.4 + .9*.8*1 = 2.12
    advantages, _ = eq.advantages_and_returns(rewards, values, torch.ones(1, 2), 0.9, 0.8)
    assert advantages[0].tolist() == pytest.approx([2.12, 1.0])


def test_nothing_of_prompt_or_padding_reaches_the_advantages() -> None:
    rewards = tensor([99.0, 0.0, 10.0, 99.0])
    values = tensor([99.0, 1.0, 4.0, float("nan")])
    mask = tensor([0.0, 1.0, 1.0, 0.0])
    advantages, returns = eq.advantages_and_returns(rewards, values, mask, 1.0, 0.5)
    assert advantages.tolist() == [[0.0, 6.0, 6.0, 0.0]]
    assert returns.tolist() == [[0.0, 7.0, 10.0, 0.0]]


def test_lambda_one_is_the_whole_return_and_lambda_zero_one_step() -> None:
    rewards, values = tensor([1.0, 2.0, 3.0]), tensor([0.3, 0.2, 0.1])
    _, whole = eq.advantages_and_returns(rewards, values, torch.ones(1, 3), 1.0, 1.0)
    assert whole[0].tolist() == pytest.approx([6.0, 5.0, 3.0])
    step, _ = eq.advantages_and_returns(rewards, values, torch.ones(1, 3), 1.0, 0.0)
    assert step[0].tolist() == pytest.approx([0.9, 1.9, 2.9])


def test_kl_by_hand_and_the_score_at_the_last_token() -> None:
    mask = tensor([0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    logprobs = tensor([-9.0, -1.0, -2.0, -9.0], [-0.5, 0.0, 0.0, 0.0])
    reference = tensor([-1.0, -1.5, -1.0, 0.0], [-1.0, 7.0, 7.0, 7.0])
    kl = eq.kl_k1(logprobs, reference, mask)
    assert kl.tolist() == [[0.0, 0.5, -1.0, 0.0], [0.5, 0.0, 0.0, 0.0]]
    rewards = eq.token_rewards(torch.tensor([10.0, -10.0], dtype=torch.float64), kl, mask, 0.1)
    torch.testing.assert_close(rewards, tensor([0, -0.05, 10.1, 0], [-10.05, 0, 0, 0]))


def test_a_sequence_without_a_response_gets_no_reward() -> None:
    mask = torch.zeros(1, 3)
    rewards = eq.token_rewards(torch.tensor([10.0]), torch.zeros(1, 3), mask, 0.1)
    assert rewards.tolist() == [[0.0, 0.0, 0.0]]


def test_the_penalty_replaces_the_score() -> None:
    verified, ended = torch.tensor([1.0, 1.0, 0.0, 0.5]), torch.tensor([True, False, True, True])
    assert eq.sequence_scores(verified, ended, 10, -10).tolist() == [10.0, -10.0, 0.0, 5.0]
    assert eq.sequence_scores(verified, ended, 10, None).tolist() == [10.0, 10.0, 0.0, 5.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.5, 2.0, -2.4, False),  # already likelier by more than the clip: no more of it
        (1.5, -2.0, 3.0, True),  # wrongly likelier: full pull back
        (0.5, 2.0, -1.0, True),  # wrongly less likely: full pull back
        (0.5, -2.0, 1.6, False),  # already less likely by more than the clip
        (1.1, 2.0, -2.2, True),  # within
    ],
)
def test_clipped_surrogate_by_hand(
    ratio: float, advantage: float, loss: float, gradient: bool
) -> None:
    new = tensor([math.log(ratio)]).requires_grad_()
    one = torch.ones(1, 1, dtype=torch.float64)
    result = eq.policy_loss(new, 0 * one, advantage * one, one, 0.2)
    assert result.item() == pytest.approx(loss)
    result.sum().backward()
    assert (new.grad.item() != 0) is gradient
    if gradient:
        assert new.grad.item() == pytest.approx(-ratio * advantage)


def test_importance_weights_are_cut_above_only_and_scale_the_loss() -> None:
    old, behaviour = tensor([0.0, 0.0, 0.0]), tensor([math.log(0.1), math.log(4.0), -50.0])
    mask = tensor([1.0, 1.0, 0.0])
    weights = eq.importance_weights(old, behaviour, mask, 2.0)
    assert weights[0].tolist() == pytest.approx([2.0, 0.25, 1.0])
    loss = eq.policy_loss(old, old, torch.ones_like(old), mask, 0.2, weights)
    assert loss[0].tolist() == pytest.approx([-2.0, -0.25, 0.0])


@pytest.mark.parametrize(
    ("value", "loss", "gradient"),
    [
        (1.1, 0.5 * 0.9**2, -0.9),  # within the clip: the plain square
        (1.5, 0.5 * 0.8**2, 0.0),  # beyond 1.2 towards the return 2: what is beyond is not rewarded
        (0.0, 0.5 * 2.0**2, -2.0),  # away from the return: the plain square is larger
    ],
)
def test_clipped_value_loss_by_hand(value: float, loss: float, gradient: float) -> None:
    values = tensor([value]).requires_grad_()
    one = torch.ones(1, 1, dtype=torch.float64)
    result = eq.value_loss(values, one, 2 * one, one, 0.2)
    assert result.item() == pytest.approx(loss)
    result.sum().backward()
    assert values.grad.item() == pytest.approx(gradient)


def test_whitening_by_hand() -> None:
    white = eq.whiten(tensor([1.0, 3.0, 100.0]), tensor([1.0, 1.0, 0.0]))
    assert white[0].tolist() == pytest.approx([-1 / math.sqrt(2), 1 / math.sqrt(2), 0.0])
    assert eq.whiten(tensor([5.0]), tensor([1.0])).tolist() == [[0.0]]


def test_logprobs_and_entropy_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)], [7.0, 7.0]]])
    ids = torch.tensor([[0, 1]])
    assert eq.token_logprobs(logits, ids).item() == pytest.approx(math.log(0.75))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert eq.entropies(logits).item() == pytest.approx(entropy)
    halved = eq.token_logprobs(logits, ids, temperature=0.5)
    assert halved.item() == pytest.approx(math.log(0.9))


def test_half_precision_logits_are_weighed_in_single() -> None:
    logits = torch.randn(2, 5, 11).bfloat16()
    ids = torch.randint(11, (2, 5))
    assert eq.token_logprobs(logits, ids).dtype == torch.float32
    torch.testing.assert_close(
        eq.token_logprobs(logits, ids), eq.token_logprobs(logits.float(), ids)
    )


def test_explained_variance_by_hand() -> None:
    mask = tensor([1.0, 1.0, 0.0])
    returns = tensor([0.0, 2.0, 9.0])
    assert eq.explained_variance(returns, returns, mask).item() == 1.0
    assert eq.explained_variance(tensor([5.0, 5.0, 0.0]), returns, mask).item() == 0.0
    assert eq.explained_variance(tensor([2.0, 0.0, 0.0]), returns, mask).item() == -3.0
    assert eq.explained_variance(returns, 0 * returns, mask).item() == 0.0


# -- against loops


@CASES
@given(batches(), st.floats(0, 1), st.floats(0, 1))
def test_advantages_agree_with_the_sum_of_deltas(
    made: tuple[torch.Tensor, Callable[..., torch.Tensor]], gamma: float, lam: float
) -> None:
    mask, numbers = made
    rewards, values = numbers(3), numbers()
    advantages, returns = eq.advantages_and_returns(rewards, values, mask, gamma, lam)
    expected = torch.zeros_like(mask)
    for i, row in enumerate(places(mask)):
        r, v = [float(rewards[i, t]) for t in row], [float(values[i, t]) for t in row]
        v.append(0.0)
        deltas = [r[k] + gamma * v[k + 1] - v[k] for k in range(len(row))]
        for k, t in enumerate(row):
            expected[i, t] = sum((gamma * lam) ** (j - k) * deltas[j] for j in range(k, len(row)))
    torch.testing.assert_close(advantages, expected)
    torch.testing.assert_close(returns, torch.where(mask > 0, expected + values, 0.0))


@CASES
@given(batches(), st.floats(0, 1))
def test_rewards_agree_with_a_loop(
    made: tuple[torch.Tensor, Callable[..., torch.Tensor]], beta: float
) -> None:
    mask, numbers = made
    new, reference, scores = numbers(), numbers(), numbers()[:, 0]
    rewards = eq.token_rewards(scores, eq.kl_k1(new, reference, mask), mask, beta)
    expected = torch.zeros_like(mask)
    for i, row in enumerate(places(mask)):
        for t in row:
            expected[i, t] = -beta * (new[i, t] - reference[i, t])
        expected[i, row[-1]] += scores[i]
    torch.testing.assert_close(rewards, expected)


@CASES
@given(batches(), st.floats(0.01, 0.9))
def test_losses_agree_with_loops(
    made: tuple[torch.Tensor, Callable[..., torch.Tensor]], clip: float
) -> None:
    mask, numbers = made
    new, old, mu, advantages = numbers(0.3), numbers(0.3), numbers(0.3), numbers()
    values, old_values, returns = numbers(), numbers(), numbers()
    weights = eq.importance_weights(old, mu, mask, 1.3)
    policy = eq.policy_loss(new, old, advantages, mask, clip, weights)
    value = eq.value_loss(values, old_values, returns, mask, clip)
    for i, row in enumerate(places(mask)):
        for t in row:
            ratio = math.exp(new[i, t] - old[i, t])
            cut = min(max(ratio, 1 - clip), 1 + clip)
            a, w = float(advantages[i, t]), min(1.3, math.exp(old[i, t] - mu[i, t]))
            assert float(policy[i, t]) == pytest.approx(-w * min(ratio * a, cut * a))
            v, o, r = (float(x[i, t]) for x in (values, old_values, returns))
            near = min(max(v, o - clip), o + clip)
            assert float(value[i, t]) == pytest.approx(0.5 * max((v - r) ** 2, (near - r) ** 2))
    assert float(policy[mask == 0].abs().sum() + value[mask == 0].abs().sum()) == 0


@CASES
@given(batches())
def test_whitened_numbers_have_mean_0_and_variance_1(
    made: tuple[torch.Tensor, Callable[..., torch.Tensor]],
) -> None:
    mask, numbers = made
    white = eq.whiten(numbers(5), mask)
    kept = white[mask > 0]
    assert float(white[mask == 0].abs().sum()) == 0
    if len(kept) > 1:
        assert float(kept.mean()) == pytest.approx(0, abs=1e-9)
        assert float(kept.var()) == pytest.approx(1, abs=1e-3)


# -- what reaches a gradient


@CASES
@given(batches())
def test_masked_tokens_have_no_gradient_and_change_no_loss(
    made: tuple[torch.Tensor, Callable[..., torch.Tensor]],
) -> None:
    mask, numbers = made
    old, reference, old_values, rewards = (numbers() for _ in range(4))
    # Near enough to what they were that no clip takes a gradient away.
    new, values = old + numbers(0.01), old_values + numbers(0.01)
    made_of = (new, old, reference, values, old_values, rewards)
    inputs = [x.clone().requires_grad_() for x in made_of]

    def loss(
        new: torch.Tensor,
        old: torch.Tensor,
        reference: torch.Tensor,
        values: torch.Tensor,
        old_values: torch.Tensor,
        rewards: torch.Tensor,
    ) -> torch.Tensor:
        shaped = eq.token_rewards(
            rewards[:, 0].detach() * 0 + 1, eq.kl_k1(new, reference, mask), mask, 0.1
        )
        advantages, returns = eq.advantages_and_returns(shaped, old_values, mask, 1.0, 0.95)
        advantages = eq.whiten(advantages, mask)
        parts = eq.policy_loss(new, old, advantages, mask, 0.2) + eq.value_loss(
            values, old_values, returns, mask, 0.2
        )
        return eq.masked_mean(parts, mask)

    before = loss(*inputs)
    before.backward()
    for x in inputs[:5]:
        assert float(x.grad[mask == 0].abs().sum()) == 0
    assert float(inputs[3].grad[mask > 0].abs().sum()) > 0
    disturbed = [torch.where(mask > 0, x.detach(), 1e6) for x in inputs]
    assert float(loss(*disturbed)) == float(before)
    if int(mask.sum()) > 2:
        assert float(inputs[0].grad[mask > 0].abs().sum()) > 0
