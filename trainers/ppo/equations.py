"""The equations of PPO with verifiable rewards, as functions of tensors.

B sequences of T positions. Position t holds what is known of token t+1 of a sequence given the
tokens before it: its log-probability, its state's value, its reward. `mask` (B, T) is 1 where that
token is the response's, its end of sequence included, and 0 on the prompt and on padding; what
stands where the mask is 0 never reaches a loss, an advantage or a mean.

Sources: [P] Lambert et al. 2024, Tülu 3 (arXiv 2411.15124), section 6; [PPO] Schulman et al. 2017
(arXiv 1707.06347); [GAE] Schulman et al. 2015 (arXiv 1506.02438); [N+] Huang et al. 2024, "The N+
implementation details of RLHF with PPO" (arXiv 2403.17031); [D] Hilton et al. 2021, "Batch size
invariance for policy optimization" (arXiv 2110.00641); [IS] Espeholt et al. 2018, IMPALA
(arXiv 1802.01561).
"""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of x over the tokens with mask 1; 0 where there is none."""
    return torch.where(mask > 0, x, 0.0).sum() / mask.sum().clamp(min=1)


def token_logprobs(logits: Tensor, ids: Tensor, temperature: float = 1.0) -> Tensor:
    """Log pi(y_t | y_<t) = z[y_t] - log sum exp z with z = logits / temperature.

    Args:
        logits: (B, T + 1, V); the last position's predict nothing that is known.
        ids: (B, T + 1) tokens.
        temperature: the one tokens were sampled at: the policy is what was sampled from.

    Returns:
        (B, T), in float32 or better: half precision would round ratios away.
    """
    scaled = logits[:, :-1].to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    chosen = scaled.gather(-1, ids[:, 1:, None])[..., 0]
    return chosen - scaled.logsumexp(-1)


def entropies(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy of the policy at each position, -sum p log p in nats; shapes as in `token_logprobs`."""
    scaled = logits[:, :-1].to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    return scaled.logsumexp(-1) - (scaled.softmax(-1) * scaled).sum(-1)


def sequence_scores(
    verified: Tensor, ended: Tensor, reward: float, no_end_penalty: float | None
) -> Tensor:
    """v(x, y): `reward` times the verifier's 0..1, or the penalty for a response without an end.

    [P, section 6; the penalty of -10 replaces the score, Table 21]

    Args:
        verified: (B,) verdicts.
        ended: (B,) bool, whether the end of sequence was sampled.
        reward: alpha.
        no_end_penalty: None: a cut response keeps its score.
    """
    scores = reward * verified
    return scores if no_end_penalty is None else torch.where(ended, scores, no_end_penalty)


def kl_k1(logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor) -> Tensor:
    """k1_t = log pi(y_t) - log pi_ref(y_t), 0 off the mask.

    Its mean over responses of pi estimates KL(pi || pi_ref) without bias [Schulman 2020, "Approximating
    KL divergence"].
    """
    return torch.where(mask > 0, logprobs - reference_logprobs, 0.0)


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, beta: float) -> Tensor:
    """r_t = -beta k1_t + [t is the response's last token] v(x, y).

    [P, section 6: max E[v(x, y) - beta KL(pi || pi_ref)], the KL token by token as in N+]
    A sequence without a response token gets no reward.

    Args:
        scores: (B,).
        kl: (B, T), from `kl_k1`.
        mask: (B, T).
        beta: weight of the KL divergence.
    """
    after = mask.flip(-1).cumsum(-1).flip(-1)
    last = (mask > 0) & (after == 1)
    return torch.where(last, scores[:, None], 0.0) - beta * kl


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalized advantage estimates, and the returns the value model learns.

    delta_t = r_t + gamma V_{t+1} - V_t;  A_t = delta_t + gamma lam A_{t+1};  R_t = A_t + V_t,
    with V and A 0 after the last response token: an episode ends there, by itself or cut.
    [GAE, eq. 16; PPO, eq. 11 and 12]

    Args:
        rewards: (B, T).
        values: (B, T), of the state before token t.
        mask: (B, T), its ones in one run a row.
        gamma: discount.
        lam: 0 is one step of bootstrapping, 1 the whole return.

    Returns:
        Advantages and returns, (B, T), 0 off the mask.
    """
    rewards, values = torch.where(mask > 0, rewards, 0.0), torch.where(mask > 0, values, 0.0)
    advantage = next_value = torch.zeros_like(rewards[:, 0])
    columns = []
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = torch.where(mask[:, t] > 0, delta + gamma * lam * advantage, 0.0)
        next_value = values[:, t]
        columns.append(advantage)
    advantages = torch.stack(columns[::-1], dim=1)
    return advantages, advantages + values


def whiten(x: Tensor, mask: Tensor, epsilon: float = 1e-8) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) over the tokens with mask 1; 0 elsewhere [N+].

    The variance divides by n - 1, and by 1 where there is one token.
    """
    mean = masked_mean(x, mask)
    squares = torch.where(mask > 0, (x - mean) ** 2, 0.0).sum()
    variance = squares / (mask.sum() - 1).clamp(min=1)
    return torch.where(mask > 0, (x - mean) * torch.rsqrt(variance + epsilon), 0.0)


def importance_weights(
    old_logprobs: Tensor, behaviour_logprobs: Tensor, mask: Tensor, cap: float
) -> Tensor:
    """min(cap, pi_old(y_t) / mu(y_t)), 1 off the mask: truncated importance sampling [IS, section 4.1].

    mu is the policy that sampled the rollout, pi_old the learner's before the update. Where both
    are the same (synchronous training), the weights are 1 up to rounding.
    """
    ratio = torch.exp(torch.where(mask > 0, old_logprobs - behaviour_logprobs, 0.0))
    return ratio.clamp(max=cap)


def policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, clip: float,
    weights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Each token's clipped surrogate, to be averaged over the mask [PPO, eq. 7].

    L_t = -w_t min(rho_t A_t, clip(rho_t, 1 - clip, 1 + clip) A_t),  rho_t = pi(y_t) / pi_old(y_t).
    With w_t = pi_old / mu this is the decoupled objective [D]: the trust region lies around
    pi_old, whoever made the rollout.

    Returns:
        (B, T), 0 off the mask.
    """
    ratio = torch.exp(torch.where(mask > 0, logprobs - old_logprobs, 0.0))
    surrogate = torch.min(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    loss = -surrogate if weights is None else -weights * surrogate
    return torch.where(mask > 0, loss, 0.0)


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float
) -> Tensor:
    """Each token's 1/2 max((V - R)^2, (clip(V, V_old - clip, V_old + clip) - R)^2) [N+].

    Returns:
        (B, T), 0 off the mask.
    """
    clipped = torch.clamp(values, old_values - clip, old_values + clip)
    loss = 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2)
    return torch.where(mask > 0, loss, 0.0)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """1 - Var(R - V) / Var(R) over the tokens with mask 1; 0 where the returns do not vary."""
    kept = mask > 0
    spread = returns[kept].var(correction=0)
    rest = (returns - values)[kept].var(correction=0)
    return torch.where(spread > 0, 1 - rest / spread, torch.zeros_like(spread))
