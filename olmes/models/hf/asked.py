"""How a checkpoint is asked: its chat template, its thoughts, its own sampling.

All of it from small files: a run whose responses are in the cache loads no tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from olmes.models.base import SYSTEM_MERGED, Model
from olmes.models.chat.form import ChatForm, form_of, has_system_turn
from olmes.models.chat.templates import described
from olmes.models.checkpoint.decoding_settings import sampling_of
from olmes.models.checkpoint.folder import Checkpoint
from olmes.models.hf.generation_rows import ThoughtLimits
from olmes.models.options import THINKING_BUDGET, Asking
from olmes.reasoning import Reader
from olmes.types import JsonObject

THOUGHT_CLOSED = (
    "given continuations are weighed behind an empty thought, because the chat template opens one."
)


class AskedModel(Model):
    """A model of whose checkpoint it is known how it wants to be asked."""

    checkpoint: Checkpoint
    asking: Asking

    @cached_property
    def form(self) -> ChatForm:
        """How chats become text, and what is known of a thought; from small files alone."""
        return form_of(self.name, self.checkpoint.folder(weights=False), self.asking)

    @cached_property
    def reader(self) -> Reader:
        """How its responses are read: by the marks of its chat template and its tokens."""
        return self.asking.reader(self.form.marks, opened=self.form.opened)

    @property
    def thinks(self) -> bool:
        """Whether its answers begin with a thought."""
        return self.form.thinks

    @cached_property
    def merges_system(self) -> bool:
        """Whether a system turn is put into the first user turn."""
        return not has_system_turn(self.checkpoint.folder(weights=False), self.asking)

    @property
    def sampling(self) -> JsonObject:
        """The checkpoint's own sampling settings, by field of `Generation`."""
        found = sampling_of(self.checkpoint.folder(weights=False))
        return super().sampling if found is None else found

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of its numbers must know of how it was asked."""
        encoder = self.__dict__.get("encoder")
        found = list(self.form.notes)
        if encoder is not None and encoder.merged_system:
            found.append(SYSTEM_MERGED)
        if encoder is not None and encoder.closed_thought:
            found.append(THOUGHT_CLOSED)
        return found

    @property
    def asked(self) -> JsonObject:
        """What of the record's `engine` says how it is asked: what was given, and a thought's limit."""
        found = self.asking.to_json()
        if self.asking.chat_template is not None:
            found["chat_template"] = described(self.asking.chat_template)
        if self.thinks:
            found["thinking_budget"] = self.asking.thinking_budget or THINKING_BUDGET
        return found

    @cached_property
    def thought_limits(self) -> ThoughtLimits | None:
        """What its responses' thoughts may take; None where no marks of a thought are known."""
        if not self.form.marks:
            return None
        return ThoughtLimits(
            budget=self.asking.thinking_budget or THINKING_BUDGET,
            opened=self.form.opened,
            expected=self.form.thinks,
            # A token holds at least one byte; white space may stand before the mark.
            head=max(len(family.opening.encode()) for family in self.form.marks) + 4,
        )
