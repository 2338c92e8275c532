"""Generation of one batch by transformers, each answer reported in the step that ends it.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from olmes.models.checkpoint import quiet
from olmes.models.encoding import Encoder
from olmes.models.rows import Row, cut_at_stop
from olmes.models.sampling import GumbelSampler
from olmes.types import Finish, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EXTRA_TOKENS = 4
"""Decoded before the tokens a stop string may fill: the first may be half a character."""


class RowWatcher:
    """A stopping criterion that looks at each row's new tokens and reports the row that ended.

    It sees new tokens only, so that a stop string in the prompt (few-shot exemplars are full of
    them) ends nothing, and decodes no more of them than a stop string may fill.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        encoder: Encoder,
        ends: frozenset[int],
        done: Callable[[Row, Response], None],
    ) -> None:
        self.rows = rows
        self.encoder = encoder
        self.done = done
        stops = rows[0].generation.stop
        self.stops = stops
        self.ends = ends | encoder.stop_tokens(stops)
        # A token holds at least one byte, so a stop string spans no more tokens than it has bytes.
        self.window = max((len(stop.encode()) for stop in stops), default=0) + EXTRA_TOKENS

    def __call__(self, input_ids: torch.LongTensor, *_: object, **__: object) -> torch.Tensor:
        """Called by `generate` after each token; True where a row has ended."""
        for row, token in zip(self.rows, input_ids[:, -1].tolist(), strict=True):
            if not row.finished:
                row.new_ids.append(token)
                self.look(row, token)
        return torch.tensor([row.finished for row in self.rows], device=input_ids.device)

    def look(self, row: Row, token: int) -> None:
        """Report a row when its newest token ends it."""
        if token in self.ends or len(row.new_ids) >= row.max_tokens or self.stop_in_tail(row):
            text = self.encoder.answer(row.prompt_ids, row.new_ids)
            text, stopped = cut_at_stop(text, self.stops)
            finish: Finish = "stop" if stopped or token in self.ends else "length"
            if finish == "stop" or len(row.new_ids) >= row.max_tokens:
                row.finished = True
                self.done(
                    row,
                    Response(
                        text=text,
                        finish=finish,
                        prompt_tokens=len(row.prompt_ids),
                        completion_tokens=len(row.new_ids),
                        prompt_truncated=row.truncated,
                    ),
                )

    def stop_in_tail(self, row: Row) -> bool:
        """Whether the last tokens hold a stop string."""
        if not self.stops:
            return False
        if len(row.new_ids) <= self.window:
            tail = self.encoder.answer(row.prompt_ids, row.new_ids)
        else:
            tail = self.encoder.decode(row.new_ids[-self.window :])
        return any(stop in tail for stop in self.stops)


def generate_batch(
    model: PreTrainedModel,
    encoder: Encoder,
    rows: Sequence[Row],
    ends: frozenset[int],
    done: Callable[[Row, Response], None],
) -> None:
    """Answer rows that have the same generation settings, calling `done` as each ends.

    Decoding is greedy or sampled by the rows' own settings alone (no penalty, no minimum length).
    """
    device = model.device
    longest = max(len(row.prompt_ids) for row in rows)
    pad = min(ends, default=0)
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        row.new_ids.clear()
        ids[place, longest - len(row.prompt_ids) :] = torch.tensor(row.prompt_ids)
        mask[place, longest - len(row.prompt_ids) :] = 1
    processors = LogitsProcessorList()
    if rows[0].generation.temperature > 0:
        processors.append(GumbelSampler(rows, device))
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max(row.max_tokens for row in rows),
        eos_token_id=sorted(ends) or None,
        pad_token_id=pad,
    )
    watcher = RowWatcher(rows, encoder, ends, done)
    with torch.inference_mode(), quiet():
        model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            generation_config=config,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([watcher]),
        )
