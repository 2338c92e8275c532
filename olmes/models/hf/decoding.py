"""Generation of one batch by transformers, each answer reported in the step that ends it.

For models whose attention `olmes.models.hf.prompt_cache` cannot stand in for; the others run in
`olmes.models.hf.continuous`.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from olmes.models.checkpoint.folder import quiet
from olmes.models.hf.endings import Endings
from olmes.models.hf.first_tokens import FirstTokens
from olmes.models.hf.generation_rows import GenerationRow
from olmes.models.hf.loglikelihood import padded
from olmes.models.hf.sampling import GumbelSampler, changes_scores

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class StopOnEnding:
    """A stopping criterion of `generate` that looks at each row's new token."""

    def __init__(self, rows: Sequence[GenerationRow], endings: Endings) -> None:
        self.rows = rows
        self.endings = endings

    def __call__(self, input_ids: torch.LongTensor, *_: object, **__: object) -> torch.Tensor:
        """Called after each token; True where a row has ended."""
        for row, token in zip(self.rows, input_ids[:, -1].tolist(), strict=True):
            if not row.finished:
                self.endings.add(row, token)
        return torch.tensor([row.finished for row in self.rows], device=input_ids.device)


def generate_batch(model: PreTrainedModel, rows: Sequence[GenerationRow], endings: Endings) -> None:
    """Answer rows that have the same generation settings; `endings` reports each as it ends.

    Decoding is greedy or sampled by the rows' own settings alone (no minimum length).
    """
    device = model.device
    pad = min(endings.ends, default=0)
    for row in rows:
        row.restart()
    ids, mask = padded([row.prompt_ids for row in rows], pad)
    processors = LogitsProcessorList()
    if any(row.top_logprobs for row in rows):
        processors.append(FirstTokens(rows, endings.encoder))
    if changes_scores(rows[0].generation):
        processors.append(GumbelSampler(rows, device))
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max(row.room for row in rows),
        # None would be taken for the checkpoint's own: a number that is no token ends nothing.
        eos_token_id=sorted(endings.always) or model.config.get_text_config().vocab_size,
        pad_token_id=pad,
    )
    criterion = StopOnEnding(rows, endings)
    with torch.inference_mode(), quiet():
        model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            generation_config=config,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([criterion]),
        )
