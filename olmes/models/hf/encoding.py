"""Requests as text and tokens: chat template, prefill, begin-of-sequence token, continuations."""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.base import EncodedPrompt
from olmes.models.hf.chat_parts import in_parts, loses_text
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.types import Request

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TODAY = datetime.date(2024, 7, 26)
"""The date a template gets, where it asks for one: prompts must not change from day to day. It
is the date that Llama 3.1's template falls back to."""
FIXED_DATE = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f" | replace('%{c}', '{TODAY.strftime('%' + c)}')" for c in "aAbBdHIjmMpSyY")
    + " }}{% endmacro %}\n"  # this line's end goes with the block: templates are read that way
)
"""Put before a template that asks for the date, in place of the clock."""
CONTEXT_TOKENS = 4
"""Prompt tokens decoded together with an answer: some tokenizers drop the space of a first word."""


MOST_CACHED = 50_000_000
"""Tokens that are cached for the next checkpoint: 200 MB, and about as much for their text."""


class EncodingCache:
    """Encoded prompts, for models with the same tokenizer and chat template.

    The plan's own requests are stored with them, so that each is known by its identity: hashing an
    eight-shot chat costs as much as rendering it.
    """

    def __init__(self) -> None:
        self.prompts: dict[int, tuple[Request, str, array[int]]] = {}
        self.continuations: dict[tuple[str, str], tuple[array[int], int]] = {}
        self.tokens = 0

    def prompt(self, request: Request) -> EncodedPrompt | None:
        """A request's prompt, if it is cached."""
        if found := self.prompts.get(id(request)):
            return EncodedPrompt(text=found[1], token_ids=tuple(found[2]))
        return None

    def add(self, request: Request, prompt: EncodedPrompt) -> None:
        """Cache a request's prompt while there is room."""
        if self.room(len(prompt.token_ids)):
            ids = array("i", prompt.token_ids)
            self.prompts[id(request)] = request, prompt.text, ids

    def add_continuation(self, prompt: str, text: str, found: tuple[tuple[int, ...], int]) -> None:
        """Cache the tokens of a prompt with its continuation while there is room."""
        if self.room(len(found[0])):
            self.continuations[prompt, text] = array("i", found[0]), found[1]

    def room(self, tokens: int) -> bool:
        """Whether there is room for so many more tokens, which are counted then."""
        if self.tokens + tokens > MOST_CACHED:
            return False
        self.tokens += tokens
        return True


class Encoder:
    """Turns requests into tokens, and tokens into text, with one model's tokenizer."""

    def __init__(
        self, name: str, tokenizer: PreTrainedTokenizerBase, cache: EncodingCache | None = None
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.cache = cache

    def render(self, request: Request) -> str:
        """The prompt's text: the rendered chat (or the plain prompt) and the prefill.

        Raises:
            OlmesError: the request is a chat and the model has no chat template.
            UnanswerableError: the template refuses this chat.
        """
        if request.prompt is not None:
            return request.prompt + request.prefill
        if not self.tokenizer.chat_template:
            raise OlmesError(
                f"'{self.name}' has no chat template, which this task's prompts need; add a "
                "chat_template.jinja to its folder, or evaluate an instruction-tuned checkpoint."
            )
        from jinja2 import TemplateError

        template = self.tokenizer.get_chat_template()
        messages = [dict(message) for message in request.messages]

        def rendered(chat: list[dict[str, Any]]) -> str:
            return str(
                self.tokenizer.apply_chat_template(
                    chat,
                    chat_template=(FIXED_DATE if "strftime_now" in template else "") + template,
                    tokenize=False,
                    add_generation_prompt=True,
                )
            )

        try:
            text = rendered(messages)
            if loses_text(messages, text) and not loses_text(
                messages, other := rendered(in_parts(messages))
            ):
                text = other
        except TemplateError as error:
            raise UnanswerableError(f"the chat template refuses this chat: {error}") from None
        return text + request.prefill

    @cached_property
    def prefix(self) -> tuple[int, ...]:
        """The tokens the tokenizer puts before every text: the begin-of-sequence token, or none.

        What it may put behind a text is left off, for nothing continues after an end of sequence.
        """
        plain = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        full = self.tokenizer("a")["input_ids"]
        starts = (i for i in range(len(full)) if full[i : i + len(plain)] == plain)
        return tuple(full[: next(starts, 0)])

    @cached_property
    def empty_context(self) -> tuple[int, ...]:
        """The tokens of an empty prompt, since a model cannot continue from nothing at all."""
        tokenizer = self.tokenizer
        ids = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        return self.prefix or tuple(token for token in ids if token is not None)[:1]

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, with one begin-of-sequence token where the model wants one.

        A template that writes that token itself and a tokenizer that adds it would give two, which
        costs points and is never reported.
        """
        ids = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        bos = self.tokenizer.bos_token
        written = bool(bos) and text.startswith(bos)
        return ids if written else (*self.prefix, *ids)

    def encode(self, request: Request) -> EncodedPrompt:
        """A request's prompt, before any truncation.

        Raises:
            OlmesError: the request is a chat and the model has no chat template.
            UnanswerableError: the template refuses this chat.
        """
        if self.cache and (found := self.cache.prompt(request)):
            return found
        text = self.render(request)
        prompt = EncodedPrompt(text=text, token_ids=self.tokens(text) or self.empty_context)
        if self.cache:
            self.cache.add(request, prompt)
        return prompt

    def with_continuation(self, prompt: EncodedPrompt, text: str) -> tuple[tuple[int, ...], int]:
        """Tokens of prompt and continuation together, and how many of them the prompt is.

        Both are tokenized as one text, since the model sees one text, and the boundary is where
        their tokens first differ from those of the prompt alone. Where a token spans the boundary
        ("answer: " + "A" is "answer", ":", " A"), it belongs to the continuation.
        """
        if self.cache and (found := self.cache.continuations.get((prompt.text, text))):
            return tuple(found[0]), found[1]
        encoded = self.join(prompt, text)
        if self.cache:
            self.cache.add_continuation(prompt.text, text, encoded)
        return encoded

    def join(self, prompt: EncodedPrompt, text: str) -> tuple[tuple[int, ...], int]:
        """`with_continuation` without the cache."""
        together = self.tokens(prompt.text + text)
        shared = 0
        for left, right in zip(prompt.token_ids, together, strict=False):
            if left != right:
                break
            shared += 1
        if shared == 0:
            return (*self.empty_context, *together), len(self.empty_context)
        return together, shared

    def answer(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """The text of generated tokens as it stands after the prompt, without special tokens."""
        before = list(prompt_ids[-CONTEXT_TOKENS:])
        start, whole = self.decode(before), self.decode([*before, *new_ids])
        # A prompt that ends inside a character decodes otherwise once the character is complete.
        return whole[len(start) :] if whole.startswith(start) else self.decode(list(new_ids))

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens, spaces left as they are."""
        return str(
            self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def stop_tokens(self, stops: Sequence[str]) -> frozenset[int]:
        """The stop strings that are special tokens: these vanish from the text, so ids are watched."""
        special = set(self.tokenizer.all_special_tokens) | {
            str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special
        }
        return frozenset(
            int(self.tokenizer.convert_tokens_to_ids(stop)) for stop in stops if stop in special
        )
