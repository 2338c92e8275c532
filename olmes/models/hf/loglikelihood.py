"""Log-probabilities of given continuations.

Imports torch: to be imported where a model runs.
"""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from olmes.models.hf.encoding import Encoder
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.types import Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(slots=True)
class Candidate:
    """One continuation of one request."""

    index: int
    """The request's position."""
    token_ids: array[int]
    """Prompt and continuation, the prompt truncated from the left."""
    length: int
    """Tokens of the continuation, which are the last."""
    truncated: int
    logprob: float | None = None
    error: str = ""

    @property
    def finished(self) -> bool:
        """Whether it has been scored or given up."""
        return self.logprob is not None or bool(self.error)


def candidates(
    index: int, request: Request, encoder: Encoder, window: int | None
) -> list[Candidate]:
    """The continuations of a request, in its order, fitted to the model's window.

    The last token of a continuation is predicted and not read, so prompt and continuation may have
    one token more than the window.

    Raises:
        UnanswerableError: a continuation alone exceeds the window, or there is no token before it.
    """
    prompt = encoder.encode(request)
    rows = []
    for text in encoder.continuations(request, prompt):
        ids, boundary = encoder.with_continuation(prompt, text)
        length = len(ids) - boundary
        truncated = 0 if window is None else max(0, len(ids) - 1 - window)
        if boundary - truncated < 1:
            raise UnanswerableError(
                f"a continuation of {length} tokens leaves no room for a prompt token before it"
            )
        rows.append(
            Candidate(
                index=index,
                token_ids=array("i", ids[truncated:]),
                length=length,
                truncated=truncated,
                logprob=None if length else 0.0,
            )
        )
    return rows


def response(rows: Sequence[Candidate]) -> Response:
    """The response to a request whose continuations are all finished."""
    failed = next((row.error for row in rows if row.error), "")
    return Response(
        finish="error" if failed else "stop",
        error=failed,
        logprobs=() if failed else tuple(row.logprob or 0.0 for row in rows),
        prompt_tokens=max((len(row.token_ids) - row.length for row in rows), default=0),
        completion_tokens=sum(row.length for row in rows),
        prompt_truncated=max((row.truncated for row in rows), default=0),
    )


def forward_parameters(model: PreTrainedModel) -> Container[str]:
    """The names of the arguments of a model's forward pass."""
    return inspect.signature(model.forward).parameters


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows padded on the left, and their mask, `[rows, longest]` each."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, tokens in enumerate(rows):
        ids[at, longest - len(tokens) :] = torch.tensor(tokens)
        mask[at, longest - len(tokens) :] = 1
    return ids, mask


def last_logits(model: PreTrainedModel, rows: Sequence[Sequence[int]], keep: int) -> torch.Tensor:
    """Logits of at least the last `keep` positions, `[rows, positions, vocabulary]`.

    Rows are padded on the left, so that all end at the same position and the vocabulary projection is
    computed for the last positions only.
    """
    ids, mask = padded(rows, 0)
    device = model.device
    known = forward_parameters(model)
    extra: dict[str, torch.Tensor | int] = {}
    if "position_ids" in known:
        extra["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0).to(device)
    if "logits_to_keep" in known:
        extra["logits_to_keep"] = keep
    if "use_cache" in known:
        extra["use_cache"] = False
    logits: torch.Tensor = model(
        input_ids=ids.to(device), attention_mask=mask.to(device), **extra
    ).logits
    return logits


def loglikelihood_batch(model: PreTrainedModel, rows: Sequence[Candidate]) -> None:
    """Set each row's `logprob`: the sum over its continuation of ln p(token | tokens before).

    The soft-max in float32 is taken row by row.
    """
    inputs = [row.token_ids[:-1] for row in rows]  # the last token predicts nothing that is asked
    with torch.inference_mode():
        logits = last_logits(model, inputs, max(row.length for row in rows))
        for row, scores in zip(rows, logits, strict=True):
            asked = torch.tensor(row.token_ids[-row.length :], device=scores.device)
            last = scores[-row.length :].float()
            chosen = last.gather(-1, asked[:, None]).squeeze(-1)
            row.logprob = float((chosen - last.logsumexp(-1)).double().sum())
