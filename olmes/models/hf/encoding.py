"""Requests as text and tokens: chat template, prefill, begin-of-sequence token, continuations."""

from __future__ import annotations

import datetime
from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from olmes.errors import OlmesError
from olmes.models.base import EncodedPrompt
from olmes.models.chat.form import ChatForm
from olmes.models.chat.plain import CUES, next_question, plain_text
from olmes.models.chat.templates import bundled_templates
from olmes.models.hf.chat_parts import in_parts, loses_text
from olmes.models.hf.generation_rows import UnanswerableError
from olmes.types import Message, Request

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
    """Turns requests into tokens, and tokens into text, with one model's tokenizer.

    Args:
        name: what the user called the model.
        tokenizer: of transformers.
        cache: prompts encoded before, with the same tokenizer and the same form.
        form: how chats become text.
        template: a chat template that the tokenizer has not read; '' where there is none.
    """

    def __init__(
        self,
        name: str,
        tokenizer: PreTrainedTokenizerBase,
        cache: EncodingCache | None = None,
        form: ChatForm | None = None,
        template: str = "",
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.cache = cache
        self.form = form or ChatForm()
        self.other_template = template
        self.merged_system = False
        """Whether a system turn was put into the user's, because the template writes none."""
        self.closed_thought = False
        """Whether an empty thought was put before given continuations."""
        self._texts: dict[int, str] = {}
        self.refusal = ""
        """Why the template refused a chat, the last time it did."""

    def render(self, request: Request) -> str:
        """The prompt's text: the rendered chat (or the plain prompt) and the prefill.

        Raises:
            OlmesError: the request is a chat and the model has no chat template.
            UnanswerableError: the template refuses this chat.
        """
        if request.prompt is not None:
            return request.prompt + request.prefill
        if self.form.plain:
            return plain_text(request.messages, request.prefill)
        text = self.render_chat(request.messages)
        first = request.messages[0]
        # A template refuses a system turn, or it drops it without a word.
        if first["role"] == "system" and (text is None or first["content"].strip() not in text):
            self.merged_system = True
            text = self.render_chat(merged(request.messages))
        if text is None:
            raise UnanswerableError(f"the chat template refuses this chat: {self.refusal}")
        if request.continuations and self.form.opened:
            self.closed_thought = True
            return text + self.form.closing + request.prefill
        return text + self.form.ending + request.prefill

    def render_chat(self, messages: Sequence[Message], *, asks: bool = True) -> str | None:
        """A chat in the model's template; None where it refuses it (`refusal` says why).

        Args:
            messages: its turns.
            asks: whether an answer is to follow, whose beginning the template writes.

        Raises:
            OlmesError: the model has no chat template.
        """
        from jinja2 import TemplateError

        template, turns = self.template, [dict(message) for message in messages]

        def rendered(chat: list[dict[str, Any]]) -> str:
            return str(
                self.tokenizer.apply_chat_template(
                    chat,
                    chat_template=(FIXED_DATE if "strftime_now" in template else "") + template,
                    tokenize=False,
                    add_generation_prompt=asks,
                    **self.form.variables,
                )
            )

        try:
            text = rendered(turns)
            if loses_text(turns, text):
                other = rendered(in_parts(turns))
                text = text if loses_text(turns, other) else other
        except TemplateError as error:
            self.refusal = str(error)
            return None
        return text

    @cached_property
    def template(self) -> str:
        """The chat template.

        Raises:
            OlmesError: the model has none.
        """
        if self.form.template is not None:
            return self.form.template
        if self.tokenizer.chat_template:
            return str(self.tokenizer.get_chat_template())
        if self.other_template:
            return self.other_template
        raise OlmesError(
            f"'{self.name}' has no chat template, which this task's prompts need; a base model is "
            "asked with --chat-template plain, another one with the template it was trained on: "
            f"--chat-template FILE, or one of {', '.join(bundled_templates())}."
        )

    def stops(self, request: Request) -> tuple[str, ...]:
        """The stop strings of a request; without a chat template, another question ends it too."""
        own = request.generation.stop
        more = next_question(request.messages) if self.form.plain else ""
        return own if not more or any(stop in more for stop in own) else (*own, more)

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

    def continuations(self, request: Request, prompt: EncodedPrompt) -> list[str]:
        """A request's continuations as they stand behind its prompt.

        In a chat's turn an answer begins without a blank; in plain text, one stands behind the cue.
        """
        blank = " " if self.form.plain and request.prompt is None else ""
        if not (blank and prompt.text.endswith(CUES)):
            return list(request.continuations)
        return [
            text if text[:1].isspace() or not text else blank + text
            for text in request.continuations
        ]

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

    @cached_property
    def kept(self) -> frozenset[int]:
        """The special tokens that are part of a thought's marks, which vanish from no text."""
        # What ends an answer may vanish: nothing stands behind it.
        marks = [
            mark
            for family in self.form.marks
            for mark in (family.opening, family.closing, *family.between, *dict(family.answers))
        ]
        return self.ids_of(
            token for token in self.special_tokens if any(token in mark for mark in marks)
        )

    @cached_property
    def dropped(self) -> frozenset[int]:
        """All other special tokens."""
        return self.ids_of(self.special_tokens) - self.kept

    def ids_of(self, tokens: Iterable[str]) -> frozenset[int]:
        """The ids of tokens."""
        return frozenset(int(self.tokenizer.convert_tokens_to_ids(token)) for token in tokens)

    @cached_property
    def special_tokens(self) -> frozenset[str]:
        """All special tokens."""
        return frozenset(self.tokenizer.all_special_tokens) | {
            str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special
        }

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens but those of a thought's marks, spaces left as they are."""
        if not self.kept:
            return str(
                self.tokenizer.decode(
                    ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
                )
            )
        return str(
            self.tokenizer.decode(
                [id_ for id_ in ids if id_ not in self.dropped],
                skip_special_tokens=False,
                clean_up_tokenization_spaces=False,
                spaces_between_special_tokens=False,
            )
        )

    def written(self, token: int) -> str:
        """A token alone as text, special tokens too."""
        return str(
            self.tokenizer.decode(
                [token], skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def may_complete(self, texts: tuple[str, ...], token: int) -> bool:
        """Whether one of some texts can end inside this token: most tokens lack its last character.

        A character of several bytes may be spread over tokens, and a token's own text may lack its
        space: a text that ends in such a character is always looked for.
        """
        last = {text[-1:] for text in texts}
        if any(not c or not c.isascii() or c.isspace() for c in last):
            return True
        if token not in self._texts:
            self._texts[token] = self.decode([token])
        return not last.isdisjoint(self._texts[token])

    def stop_tokens(self, stops: Sequence[str]) -> frozenset[int]:
        """The stop strings that are special tokens: these vanish from the text, so ids are watched."""
        return self.ids_of(self.special_tokens.intersection(stops))


def merged(messages: Sequence[Message]) -> list[Message]:
    """A chat whose system turn stands at the beginning of the first user turn."""
    system, *rest = messages
    at = next((n for n, turn in enumerate(rest) if turn["role"] == "user"), None)
    if at is None:
        return [{"role": "user", "content": system["content"]}, *rest]
    text = f"{system['content']}\n\n{rest[at]['content']}"
    return [*rest[:at], {"role": "user", "content": text}, *rest[at + 1 :]]
