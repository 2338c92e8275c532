"""What a server takes: learned from its refusals, once for all requests.

A field is left out, or named otherwise, only where the answer stays the same; what would change the
number is refused in a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from olmes.models.http.errors import TEMPLATE_SAID, RequestRefusedError
from olmes.models.http.token_logprobs import NOT_GIVEN
from olmes.models.http.wire import CHAT, RequestBody, Turn
from olmes.types import Request

ADAPTABLE = ("max_tokens", "stop", "seed")
"""Fields that can be named otherwise, or left out."""
NOT_TAKEN = re.compile(
    r"unsupported|not supported|does not support|not compatible|unexpected|unrecogni[sz]ed|unknown"
    r"|extra|not permitted|not allowed|invalid (?:field|argument|parameter)",
    re.IGNORECASE,
)
NO_SYSTEM = re.compile(
    r"system\W*(?:role|message|prompt|instruction)s?\b[^.]*\b(?:not|un|only)"
    r"|(?:not|un)\s*support\w*[^.]*\bsystem\b"
    r"|\brole'?\s*\W*(?:does )?not support\W*system"
    r"|developer instruction\w* is not enabled"
    r"|roles must alternate",
    re.IGNORECASE,
)
"""How chat templates and vendors say that they take no system turn (the last one: a template that
counts the system turn among those which alternate)."""
STREAM_ONLY = re.compile(
    r"only support\w*\W+(?:the )?stream|stream\w*\W+(?:mode )?(?:is )?(?:required|only)"
    r"|(?:enable|set)\W+(?:the )?[`'\"]?stream|[`'\"]?stream[`'\"]? (?:must|should|has to) be",
    re.IGNORECASE,
)
SAMPLING = {
    "top_k": "--top-k",
    "min_p": "--min-p",
    "repetition_penalty": "--repetition-penalty",
    "repeat_penalty": "--repetition-penalty",
    "top_p": "--top-p",
}


@dataclass(slots=True)
class Asked:
    """A request under way to a server."""

    request: Request
    thought: int = 0
    """Tokens for a thought, on top of the answer's limit."""
    limit: int | None = None
    """What the server has said to be the largest limit it takes for this request."""


@dataclass
class Dialect:
    """What a server has been found to take."""

    lacks: set[tuple[str, str]] = field(default_factory=set)
    """Fields that are not sent, by path and name."""
    merges_system: bool = False
    """Whether system turns are put into the first user turn."""
    streams: bool = False
    """Whether answers must be asked for as streams."""
    switches: int = 0
    """Which of the ways to switch thinking on or off it is told by."""
    lowered: bool = False
    """Whether a thought's budget was lowered to what the server has room for."""

    def adapt(
        self, path: str, error: RequestRefusedError, body: RequestBody, asked: Asked, ways: int
    ) -> bool:
        """Learn from a refusal; whether the next body will differ from the refused one.

        `max_tokens` becomes `max_completion_tokens` where the refusal asks for that. A server that
        takes no `stop` generates on, and the text is cut here; without `seed`, sampled responses
        are not reproducible. A system turn goes into the first user turn where there may be none.

        Args:
            path: what was asked.
            error: the refusal.
            body: what was refused.
            asked: the request it was made of.
            ways: how many ways there are to switch thinking on or off.
        """
        if error.status not in (400, 422) and not TEMPLATE_SAID.search(error.words):
            return False
        if not NOT_TAKEN.search(error.words) and self.lower(error, body, asked):
            return True
        for name in ADAPTABLE:
            if name in body and self.refuses(name, path, error):
                self.lacks.add((path, name))
                return True
        if has_system(body) and NO_SYSTEM.search(error.words):
            self.merges_system = True
            return True
        if "stream" not in body and STREAM_ONLY.search(error.words):
            self.streams = True
            return True
        kwargs = "chat_template_kwargs"
        if ways > 1 and kwargs in body and self.refuses(kwargs, path, error):
            self.switches = 1
            return True
        return False

    def lower(self, error: RequestRefusedError, body: RequestBody, asked: Asked) -> bool:
        """Whether a limit that was refused can be lowered without the answer losing its own."""
        sent = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        if not asked.thought or not re.search(r"token|context", error.words, re.IGNORECASE):
            return False
        limit = room_in(error.words, sent)
        if limit is None or limit <= asked.request.generation.max_tokens:
            return False
        asked.limit, self.lowered = limit, True
        return True

    def refuses(self, name: str, path: str, error: RequestRefusedError) -> bool:
        """Whether a refusal says that the server does not know the field."""
        if name == "max_tokens":
            return path == CHAT and "max_completion_tokens" in error.words
        # A field's name that is a plain word must stand as a name.
        written = rf"\b{name}\b" if "_" in name else rf"['\"`]{name}['\"`]|supplied:? {name}\b"
        named = error.parameter.split(".")[0] == name or re.search(written, error.words)
        return bool(named and NOT_TAKEN.search(error.words))

    def explain(
        self, path: str, error: RequestRefusedError, body: RequestBody, given: Collection[str]
    ) -> str:
        """Why a request failed, with what to do where that is known.

        Args:
            path: what was asked.
            error: the refusal.
            body: what was refused.
            given: the fields that the user's options have put into it.
        """
        words = error.words
        for name, option in SAMPLING.items():
            if name in body and self.refuses(name, path, error):
                return f"{error}; leave out {option}, which this server cannot do"
        if "logprobs" in body and re.search(r"logprobs|log.?probabilit", words, re.IGNORECASE):
            return f"{error}; {NOT_GIVEN}" if asks_for_answers(body) else str(error)
        if "temperature" in body and re.search(r"\btemperature\b", words):
            return f"{error}; set what it takes, such as --temperature 1"
        for name in given:
            if self.refuses(name, path, error):
                return (
                    f"{error}; the server has another field for that, or none: leave out --thinking "
                    "and --template-arg, or give its own with --request-body K=V"
                )
        if "enable_thinking" in words and "prefill" in words:
            return f"{error}; add --thinking off, or leave the prefill out: --set TASK.prefill="
        if "stream" in body and STREAM_ONLY.search(words):
            return f"{error}; serve the model where answers are given whole"
        return str(error)


def asks_for_answers(body: RequestBody) -> bool:
    """Whether the log-probabilities a body asks for are those of answers, not of a prompt."""
    return not body.get("echo")


def room_in(words: str, sent: int) -> int | None:
    """The largest limit that a refusal leaves room for; None where it is not about the limit.

    The ways in which vLLM, SGLang, llama.cpp, OpenAI and others say it; half of what was sent where the
    numbers cannot be read.
    """
    window = re.search(
        r"(?:context|sequence|max_model_len|total tokens)\D{0,40}?(\d{3,})", words, re.IGNORECASE
    )
    prompt = re.search(
        r"(\d+)(?: tokens)? (?:of text |tokens )?(?:in|from|of) (?:the |your )?"
        r"(?:input|prompt|messages)"
        r"|(\d+) (?:input|prompt) tokens"
        r"|(?:input|prompt|messages)\D{0,30}?(\d+)",
        words,
        re.IGNORECASE,
    )
    if window and prompt:
        left = int(window[1]) - int(next(filter(None, prompt.groups())))
        if 0 < left < sent:
            return left
    for most in re.finditer(
        r"(?:at most|maximum|less than or equal to|up to|<=|exceed\w*|\[\d+,)\D{0,40}?(\d{2,})",
        words,
        re.IGNORECASE,
    ):
        if not window and 0 < int(most[1]) < sent:
            return int(most[1])
    about = re.search(rf"\b{sent}\b|max_\w*tokens|context.length|too (?:large|long)", words)
    return sent // 2 if about else None


def has_system(body: RequestBody) -> bool:
    """Whether there is a system turn, and a user turn it could go into."""
    roles = {turn["role"] for turn in body.get("messages", ())}
    return {"system", "user"} <= roles


def merged(messages: list[Turn]) -> list[Turn]:
    """The turns with the system turns' text before that of the first user turn."""
    system = [turn["content"] for turn in messages if turn["role"] == "system"]
    turns = [turn for turn in messages if turn["role"] != "system"]
    first = next((at for at, turn in enumerate(turns) if turn["role"] == "user"), None)
    if not system or first is None:
        return messages
    text = "\n\n".join([*system, turns[first]["content"]])
    return [
        Turn(role="user", content=text) if at == first else turn for at, turn in enumerate(turns)
    ]
