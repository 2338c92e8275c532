"""The likeliest first tokens of rows, read from the logits of the step that generates them.

Imports torch: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from olmes.models.token_logprobs import by_text

if TYPE_CHECKING:
    from olmes.models.hf.encoding import Encoder
    from olmes.models.hf.generation_rows import GenerationRow


def note_first_tokens(
    rows: Sequence[GenerationRow], logits: torch.Tensor, encoder: Encoder
) -> None:
    """Note the likeliest tokens of rows that have none yet and were asked for them.

    The probabilities are the model's own: before temperature, nucleus and penalties.

    Args:
        rows: the rows of this step.
        logits: `[rows, vocabulary]`, as the model gave them.
        encoder: writes a token as text.
    """
    for row, scores in zip(rows, logits, strict=True):
        if not row.top_logprobs or row.new_ids:
            continue
        most = min(row.top_logprobs, scores.shape[-1])
        values, ids = torch.log_softmax(scores.float(), dim=-1).topk(most)
        texts = [encoder.written(token) for token in ids.tolist()]
        row.first_tokens = by_text(zip(texts, values.tolist(), strict=True), most)


class FirstTokens:
    """A logits processor of `generate` that changes nothing and notes the first tokens."""

    def __init__(self, rows: Sequence[GenerationRow], encoder: Encoder) -> None:
        self.rows = rows
        self.encoder = encoder

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:  # noqa: ARG002
        """Scores `[rows, vocabulary]` in, the same out."""
        note_first_tokens(self.rows, scores, self.encoder)
        return scores
