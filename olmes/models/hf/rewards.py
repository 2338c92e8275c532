"""Rewards: the one number that a reward model gives an answer, read at the end of the answer's turn.

A reward model is a sequence classifier with one label (Tülu 3, arXiv:2411.15124, Table 36). It reads
the whole chat, rendered by its own template, up to the token that ends the answer's turn: what a
template puts behind that (a line end) is nobody's answer, and `olmes train reward` leaves it out too.
The number has no unit and no zero: only differences between answers to one chat mean something.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from olmes.models.base import EncodedPrompt
from olmes.models.hf.encoding import merged
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.types import Message, Request, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from olmes.models.hf.encoding import Encoder


@dataclass(slots=True, kw_only=True)
class RewardedAnswer:
    """One answer of a request."""

    index: int
    """Position of the request."""
    token_ids: array[int]
    """Of the whole chat, cut from the left where it does not fit."""
    truncated: int
    reward: float | None = None
    error: str = ""

    @property
    def finished(self) -> bool:
        """Whether it has its reward or was given up."""
        return self.reward is not None or bool(self.error)


def whole_chat(encoder: Encoder, request: Request, answer: str) -> EncodedPrompt:
    """A chat with an answer, as a reward model reads it.

    Raises:
        OlmesError: the model has no chat template.
        UnanswerableError: the template refuses the chat, or the request is none.
    """
    if request.prompt is not None or encoder.form.plain:
        raise UnanswerableError("a reward model reads whole chats, for which it has a template")
    turns = [*request.messages, Message(role="assistant", content=answer)]
    text, first = encoder.render_chat(turns, asks=False), turns[0]
    if first["role"] == "system" and (text is None or first["content"].strip() not in text):
        encoder.merged_system = True
        text = encoder.render_chat(merged(turns), asks=False)
    if text is None:
        raise UnanswerableError(f"the chat template refuses this chat: {encoder.refusal}")
    ended = text.rstrip()
    if ended.endswith(tuple(encoder.special_tokens)):
        text = ended
    return EncodedPrompt(text=text, token_ids=encoder.tokens(text))


def rewarded_answers(
    index: int, request: Request, encoder: Encoder, window: int | None
) -> list[RewardedAnswer]:
    """The answers of a request, in its order, fitted to the model's window.

    Raises:
        UnanswerableError: as `whole_chat`, or an answer alone is longer than the window.
    """
    rows = []
    for answer in request.answers:
        ids = whole_chat(encoder, request, answer).token_ids
        truncated = 0 if window is None else max(0, len(ids) - window)
        if truncated and len(encoder.tokens(answer)) >= len(ids) - truncated:
            raise UnanswerableError(
                f"an answer of {len(ids)} tokens with its prompt leaves no room in the window of "
                f"{window}"
            )
        rows.append(
            RewardedAnswer(index=index, token_ids=array("i", ids[truncated:]), truncated=truncated)
        )
    return rows


def reward_batch(model: PreTrainedModel, rows: Sequence[RewardedAnswer]) -> None:
    """Set each row's `reward`, by the model's own reading of its last token.

    Rows are padded on the right by the token that the model takes for none.
    """
    pad = padding(model)
    longest = max(len(row.token_ids) for row in rows)
    ids = torch.full((len(rows), longest), 0 if pad is None else pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row.token_ids)] = torch.tensor(row.token_ids)
        mask[at, : len(row.token_ids)] = 1
    with torch.inference_mode():
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
    for row, value in zip(rows, logits[:, 0].float().tolist(), strict=True):
        if math.isfinite(value):
            row.reward = value
        else:
            row.error = f"the reward is {value}: the weights are damaged; save the model again"


def padding(model: PreTrainedModel) -> int | None:
    """The token that a model takes for none; without one it reads a single row at a time."""
    found = getattr(model.config.get_text_config(), "pad_token_id", None)
    return None if found is None or found < 0 else int(found)


def response(rows: Sequence[RewardedAnswer]) -> Response:
    """The response to a request whose answers are all finished."""
    failed = next((row.error for row in rows if row.error), "")
    return Response(
        finish="error" if failed else "stop",
        error=failed,
        rewards=() if failed else tuple(row.reward or 0.0 for row in rows),
        prompt_tokens=sum(len(row.token_ids) for row in rows),
        prompt_truncated=max((row.truncated for row in rows), default=0),
    )
