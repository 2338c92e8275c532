"""Generation of one batch by transformers, each answer reported in the step that ends it.

For models whose attention `olmes.models.hf.prompt_cache` cannot stand in for; the others run in
`olmes.models.hf.continuous`, and share `Endings` with these.

Imports torch and transformers: to be imported where a model runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from olmes.models.base import Work
from olmes.models.checkpoint.folder import quiet
from olmes.models.hf.encoding import Encoder
from olmes.models.hf.generation_rows import GenerationRow, cut_at_stop
from olmes.models.hf.sampling import GumbelSampler, changes_scores
from olmes.models.hf.thoughts import ANSWERING, BEGINNING, CLOSING, THINKING, Following
from olmes.reasoning import ANY, Reader
from olmes.types import Finish, Response

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EXTRA_TOKENS = 4
"""Decoded before the tokens a stop string may fill: the first may be half a character."""


class Endings:
    """Says when a row has ended, by its new tokens alone, and reports it.

    A stop string in the prompt (few-shot exemplars are full of them) ends nothing, and no more
    tokens are decoded than a stop string may fill. What stops an answer stops no thought.

    Args:
        encoder: turns tokens into text.
        ends: the tokens that end every answer.
        work: where new tokens are counted.
        done: called with each row that ends and its response.
        reader: by which marks a thought is known.
    """

    def __init__(
        self,
        encoder: Encoder,
        ends: frozenset[int],
        work: Work,
        done: Callable[[GenerationRow, Response], None],
        reader: Reader = ANY,
    ) -> None:
        self.encoder = encoder
        self.ends = ends
        self.done = done
        self.work = work
        self.following = Following(encoder, reader)
        marks = encoder.stop_tokens(self.following.closings)
        self.always = ends - marks
        """Those that end even a thought."""
        self._by_stops: dict[tuple[str, ...], tuple[frozenset[int], int]] = {}

    def end_tokens(self, stops: tuple[str, ...]) -> tuple[frozenset[int], int]:
        """The tokens that end an answer, and how many tokens a stop string may fill."""
        if stops not in self._by_stops:
            # A token holds at least one byte: a stop string spans no more tokens than its bytes.
            window = max((len(stop.encode()) for stop in stops), default=0) + EXTRA_TOKENS
            self._by_stops[stops] = self.ends | self.encoder.stop_tokens(stops), window
        return self._by_stops[stops]

    def add(self, row: GenerationRow, token: int) -> None:
        """Append a new token to a row, and report the row when it ends with it."""
        row.new_ids.append(token)
        self.work.decode_tokens += 1
        stops = row.generation.stop
        ends, window = self.end_tokens(stops)
        step = self.following.step(row) if row.thought else ANSWERING
        if step in (THINKING, CLOSING):
            # What closes a thought may end other things, as a token.
            ends, stopped = self.ends if step is THINKING else frozenset(), False
        else:
            stopped = step is BEGINNING or self.stop_in_tail(row, window)
        if step is BEGINNING and row.thought and not row.thought.begun:
            # What might have become a mark is an answer, and may be longer than one may be.
            del row.new_ids[row.max_tokens :]
            token = row.new_ids[-1]
        full = row.full
        if token in ends or full or stopped:
            text, stopped = self.text(row, ended=token in ends)
            finish: Finish = "stop" if stopped or token in ends else "length"
            if finish == "stop" or full:
                row.finished = True
                self.done(row, self.response(row, text, finish))

    def text(self, row: GenerationRow, *, ended: bool) -> tuple[str, bool]:
        """A row's text, cut before the first stop string of its answer, and whether there is one."""
        ids = row.new_ids
        if ended and ids[-1] in self.encoder.kept:
            ids = ids[:-1]  # a token that may be a mark, and here is an end
        text = self.encoder.answer(row.prompt_ids, ids)
        begins = self.following.answer_begins(row, text)
        answer, stopped = cut_at_stop(text[begins:], row.generation.stop)
        return text[:begins] + answer, stopped

    def response(self, row: GenerationRow, text: str, finish: Finish) -> Response:
        """What is reported of a row that has ended."""
        return Response(
            text=text,
            finish=finish,
            prompt_tokens=len(row.prompt_ids),
            completion_tokens=len(row.new_ids),
            prompt_truncated=row.truncated,
            reasoning_tokens=self.following.thought_tokens(row),
        )

    def stop_in_tail(self, row: GenerationRow, window: int) -> bool:
        """Whether the last tokens hold a stop string."""
        stops = row.generation.stop
        if not stops or not self.encoder.may_complete(stops, row.new_ids[-1]):
            return False
        if len(row.new_ids) <= window:
            tail = self.encoder.answer(row.prompt_ids, row.new_ids)
        else:
            tail = self.encoder.decode(row.new_ids[-window:])
        return any(stop in tail for stop in stops)


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
    longest = max(len(row.prompt_ids) for row in rows)
    pad = min(endings.ends, default=0)
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        row.restart()
        ids[at, longest - len(row.prompt_ids) :] = torch.tensor(row.prompt_ids)
        mask[at, longest - len(row.prompt_ids) :] = 1
    processors = LogitsProcessorList()
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
