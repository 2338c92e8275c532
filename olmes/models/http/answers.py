"""What a server answers, as a response: the text, the thought in a field of its own, the counts.

Fields of a thought: `reasoning_content` (DeepSeek, vLLM, SGLang, llama.cpp and others), `reasoning`
(vLLM, OpenRouter, Groq), `reasoning_details` (OpenRouter), `thinking` (Ollama), parts of the content
of the type `thinking` (Mistral, Anthropic). Sources: their API references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from olmes.models.hf.generation_rows import UnanswerableError, cut_at_stop
from olmes.models.http.token_logprobs import first_tokens
from olmes.models.http.wire import CHAT, Choice, first_choice, tokens_of
from olmes.models.token_logprobs import THOUGHT_FIRST
from olmes.reasoning import ANY, Reader, marks_in
from olmes.reasoning.split import take_apart
from olmes.types import Finish, Response

FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Fields of a message that hold its thought; the same one may come under two names."""
OUT_OF_TOKENS = ("length", "max_tokens", "model_length", "max_output_tokens")
"""How servers say that the limit ended an answer."""
SHORTEST_ECHO = 3
"""Characters of a prefill by which an answer that begins with them is known to repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the answers to one request are read."""

    path: str
    stops: Sequence[str] = ()
    prefill: str = ""
    echoes: bool = False
    """Whether the server is known to repeat a begun answer."""
    reader: Reader = ANY
    thinking: bool = False
    """Whether a thought was asked for."""
    top_logprobs: int = 0
    """How many of the likeliest first tokens were asked for."""

    def __call__(self, answer: Any) -> Response:
        """The response in an answer, the marks of a thought still in its text.

        Raises:
            ValueError: it is not of the protocol.
            UnanswerableError: there is no response, and never will be.
        """
        choice = first_choice(answer)
        text, thought = chat_text(choice) if self.path == CHAT else plain_text(choice)
        reason = str(choice.get("finish_reason") or "").lower()
        if not text and not thought and reason == "content_filter":
            raise UnanswerableError("the server's content filter withheld the answer")
        if self.prefill:
            text = without_prefill(text, self.prefill, sure=self.echoes)
        text, stopped = cut_answer(text, self.stops, self.reader)
        finish: Finish = "length" if reason in OUT_OF_TOKENS and not stopped else "stop"
        completion, of_thought = answer_tokens(answer)
        found = Response(
            text=text,
            finish=finish,
            prompt_tokens=tokens_of(answer, "prompt_tokens"),
            completion_tokens=completion,
            reasoning=thought,
            reasoning_tokens=of_thought or 0,
            filtered=reason == "content_filter" and not stopped,
        )
        found = self.unfinished(found, counted=of_thought is not None)
        if not self.top_logprobs:
            return found
        if has_thought(found):
            raise UnanswerableError(THOUGHT_FIRST)
        return replace(found, first_token_logprobs=first_tokens(choice, self.top_logprobs))

    def unfinished(self, found: Response, *, counted: bool) -> Response:
        """The response, with its `unfinished_thinking` where only the server's fields tell.

        A limit that left no text at all was spent on a thought that was shown, counted or asked for.
        Where a thought was asked for and neither told apart nor marked, the template has opened it,
        and what the limit has cut is all thought.
        """
        if found.finish != "length" or self.path != CHAT:
            return found
        if not found.text.strip():
            spent = bool(found.reasoning or found.reasoning_tokens or self.thinking)
            return replace(found, unfinished_thinking=True) if spent else found
        plain = not (found.reasoning or counted or marks_in(found.text))
        if self.thinking and plain and self.reader.marks:
            return replace(found, text="", reasoning=found.text.strip(), unfinished_thinking=True)
        return found

    def cut_short(self, found: Response) -> bool:
        """Whether a response ended inside its thought by something else than the limit."""
        return found.finish == "stop" and (
            (bool(found.reasoning) and not found.text.strip()) or thinks_on(found.text, self.reader)
        )


def has_thought(found: Response) -> bool:
    """Whether a response shows that the model thinks."""
    inside = take_apart(found.text, ANY)
    marked = inside is not None and (bool(inside.reasoning) or not inside.closed)
    return bool(found.reasoning or found.reasoning_tokens or found.unfinished_thinking) or marked


def thinks_on(text: str, reader: Reader) -> bool:
    """Whether a text ends inside a thought that its marks show."""
    found = take_apart(text, reader) if reader.marks else None
    return found is not None and not found.closed


def chat_text(choice: Choice) -> tuple[str, str]:
    """The text of a chat's choice (the content, or the refusal), and its thought.

    Raises:
        ValueError: there is no message.
    """
    message = choice.get("message")
    if not isinstance(message, dict):
        raise ValueError("its choice has no message")
    content = message.get("content") or message.get("refusal") or ""
    thoughts = ""
    if isinstance(content, list):  # of parts, some of which are texts
        parts = [part for part in content if isinstance(part, dict)]
        thoughts = "".join(words_of(part) for part in parts if is_thought(part))
        texts = [part.get("text") for part in parts if not is_thought(part)]
        content = "".join(text for text in texts if isinstance(text, str))
    if not isinstance(content, str):
        raise ValueError("its message has no text")
    return content, thoughts or thought_of(message) or thought_of(choice)


def plain_text(choice: Choice) -> tuple[str, str]:
    """The text of a completion's choice, and its thought.

    Raises:
        ValueError: there is none.
    """
    text = choice.get("text")
    if not isinstance(text, str):
        raise ValueError("its choice has no text")
    return text, thought_of(choice)


def thought_of(message: Mapping[str, Any]) -> str:
    """The thought in a field of a message; empty where there is none."""
    for name in FIELDS:
        if words := words_of(message.get(name)):
            return words
    return words_of(message.get("reasoning_details")) or words_of(message.get("thinking_blocks"))


def is_thought(part: Mapping[str, Any]) -> bool:
    """Whether a part of a message's content is a thought."""
    kind = str(part.get("type", ""))
    return kind.startswith(("thinking", "reasoning", "redacted_thinking")) or bool(
        part.get("thought") is True
    )


def words_of(value: Any) -> str:
    """The text in a field, whether it is a text, a part, or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(words_of(one) for one in value)
    if isinstance(value, dict):
        for name in ("text", "thinking", "reasoning", "summary", "content", "reasoning_content"):
            if words := words_of(value.get(name)):
                return words
    return ""


def answer_tokens(answer: Mapping[str, Any]) -> tuple[int, int | None]:
    """Tokens of a response, those of its thought among them; None where these are not counted.

    Not every server counts a thought among the tokens of the answer; the total tells.
    """
    completion = tokens_of(answer, "completion_tokens")
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return completion, None
    details = usage.get("completion_tokens_details")
    count = details.get("reasoning_tokens") if isinstance(details, dict) else None
    count = usage.get("reasoning_tokens") if count is None else count
    counted = count if type(count) is int and count >= 0 else None
    hidden = tokens_of(answer, "total_tokens") - tokens_of(answer, "prompt_tokens") - completion
    if hidden > 0 and counted in (None, hidden):
        return completion + hidden, hidden
    return completion, counted


def without_prefill(text: str, prefill: str, *, sure: bool) -> str:
    """An answer without the begun one that a server repeats before it."""
    if text.startswith(prefill):
        begun = prefill
    else:  # some strip the white space round it
        begun = prefill.strip()
        if not begun or not text.lstrip().startswith(begun):
            return text
        text = text.lstrip()
    return text[len(begun) :] if sure or len(begun.strip()) >= SHORTEST_ECHO else text


def cut_answer(text: str, stops: Sequence[str], reader: Reader) -> tuple[str, bool]:
    """The text with its answer cut before the first stop string, and whether there is one.

    A stop string inside the thought is none.
    """
    found = take_apart(text, reader) if stops and reader.marks else None
    if found is None:
        return cut_at_stop(text, stops)
    if not found.closed or not found.answer:
        return text, False
    cut, stopped = cut_at_stop(found.answer, stops)
    begins = text.rfind(found.answer)
    if not stopped or begins < 0:
        return text, False
    return text[: begins + len(cut)], True
