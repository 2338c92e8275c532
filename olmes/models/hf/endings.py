"""When a row has ended, and what is reported of it: the same for every way of generating."""

from __future__ import annotations

from collections.abc import Callable

from olmes.models.base import Work
from olmes.models.hf.encoding import Encoder
from olmes.models.hf.generation_rows import GenerationRow, cut_at_stop
from olmes.models.hf.thoughts import ANSWERING, BEGINNING, CLOSING, THINKING, Following
from olmes.models.token_logprobs import THOUGHT_FIRST
from olmes.reasoning import ANY, Reader
from olmes.types import Finish, Response

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
            self.end(row, ended=token in ends, full=full)

    def end(self, row: GenerationRow, *, ended: bool, full: bool) -> None:
        """Report a row, where it was `ended` by its last token, is `full`, or a stop string cuts it."""
        text, stopped = self.text(row, ended=ended)
        finish: Finish = "stop" if stopped or ended else "length"
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
        if row.top_logprobs and row.thought and row.thought.begun:
            return Response(finish="error", error=THOUGHT_FIRST)
        return Response(
            text=text,
            finish=finish,
            prompt_tokens=len(row.prompt_ids),
            completion_tokens=len(row.new_ids),
            prompt_truncated=row.truncated,
            reasoning_tokens=self.following.thought_tokens(row),
            first_token_logprobs=row.first_tokens,
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
