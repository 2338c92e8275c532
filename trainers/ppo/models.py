"""The three models of PPO: the policy, its frozen reference, and the value model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from olmes.errors import OlmesError


class ValueModel(nn.Module):  # type: ignore[misc]
    """A transformer with one number a token: what the score is expected to be from there on."""

    def __init__(self, backbone: Any, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Value of the state before each next token: (B, T + 1) in, (B, T) out, float32."""
        hidden = self.backbone(
            input_ids=ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        # A copy: FSDP hangs a hook on what a module gives, which a view can lose.
        values: Tensor = self.head(hidden[:, :-1])[..., 0].float().clone()
        return values


class PolicyAndValue(nn.Module):  # type: ignore[misc]
    """Both trained models as one module, so that one wrapper and one optimizer hold them."""

    def __init__(self, policy: Any, value: ValueModel) -> None:
        super().__init__()
        self.policy = policy
        self.value = value

    def forward(self, ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T + 1, V) of the policy and values (B, T)."""
        return next_token_logits(self.policy, ids, attention_mask), self.value(ids, attention_mask)


def next_token_logits(model: Any, ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Logits (B, T + 1, V) of a causal language model."""
    logits: Tensor = model(input_ids=ids, attention_mask=attention_mask, use_cache=False).logits
    return logits


def load_policy(policy: Any) -> Any:
    """A causal language model from a folder, a hub id or itself.

    In float32: Adam's small steps would be lost in half precision.

    Raises:
        OlmesError: there is no such model.
    """
    from transformers import AutoModelForCausalLM

    if not isinstance(policy, str | Path):
        return policy
    try:
        return AutoModelForCausalLM.from_pretrained(
            str(policy), dtype=torch.float32, trust_remote_code=False
        )
    except OSError as error:
        raise OlmesError(
            f"the policy {policy} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error


def frozen_reference(policy: Any, reference: Any = None) -> Any:
    """The reference: a copy of the policy as it is now unless another model is named; no gradient."""
    frozen = copy.deepcopy(policy) if reference is None else load_policy(reference)
    return without_dropout(frozen).requires_grad_(False)


def value_model(policy: Any, value: Any = None, seed: int = 0) -> ValueModel:
    """The value model, from the policy or from a reward model.

    Args:
        policy: without `value`, its backbone is copied and gets a new head drawn from
            N(0, 1/sqrt(d + 1)), as the paper's reward model began (Table 36).
        value: a reward model: folder, hub id or `AutoModelForSequenceClassification` with one
            label, whose backbone and head are taken (section 6: the published models began so); or
            a `ValueModel`.
        seed: of the new head.

    Raises:
        OlmesError: `value` has not exactly one output, or no head.
    """
    if isinstance(value, ValueModel):
        kept: ValueModel = without_dropout(value)
        return kept
    if value is None:
        backbone = copy.deepcopy(policy.base_model)
        width = policy.config.get_text_config().hidden_size
        head = nn.Linear(width, 1, bias=False)
        draw_head(head, seed)
    else:
        scorer = load_reward_model(value)
        backbone = scorer.base_model
        head = head_of(scorer)
    head = head.to(next(backbone.parameters()).dtype)
    made: ValueModel = without_dropout(ValueModel(backbone, head))
    return made


def head_of(scorer: Any) -> nn.Linear:
    """The linear layer that a sequence classifier gives its one number by.

    Raises:
        OlmesError: it has none, or several, or one for several labels.
    """
    heads = [part for part in scorer.children() if isinstance(part, nn.Linear)]
    if len(heads) != 1 or heads[0].out_features != 1:
        raise OlmesError(
            "the value model must be a sequence classifier with one label and a linear head; "
            "train the reward model with num_labels=1 ('olmes train reward')."
        )
    return heads[0]


def draw_head(head: nn.Linear, seed: int) -> None:
    """Draw a head's weight (1, d) from N(0, 1/sqrt(d + 1)), d being the hidden size (Table 36)."""
    width = head.in_features
    noise = torch.randn(1, width, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        head.weight.copy_(noise / (width + 1) ** 0.5)
        if head.bias is not None:
            head.bias.zero_()


def load_reward_model(value: Any) -> Any:
    """A sequence classifier from a folder, a hub id or itself."""
    from transformers import AutoModelForSequenceClassification

    if not isinstance(value, str | Path):
        return copy.deepcopy(value)
    return AutoModelForSequenceClassification.from_pretrained(
        str(value), dtype=torch.float32, trust_remote_code=False
    )


def without_dropout(model: Any) -> Any:
    """The model in `eval` mode: PPO's ratio needs the same network in every pass (Table 21)."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        # Attention keeps its rate as a number; gradient checkpointing will want `train` mode.
        if isinstance(getattr(part, "attention_dropout", None), float):
            part.attention_dropout = 0.0
    return model.eval()
