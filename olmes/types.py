"""The nouns of a run: what is asked, what came back, what it is worth.

Everything here is frozen and holds JSON values only, so that it can be hashed, stored and sent to a
scoring process as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NotRequired, TypedDict

from olmes.tools.hashing import content_hash

Doc = dict[str, Any]
"""One row of a benchmark's official file, with that file's field names."""

JsonObject = dict[str, Any]
"""A JSON object whose fields are not ours to say: engine settings, a formulation, lineage entries."""

Unit = Literal["share", "number"]
"""What a metric's values are: shares from 0 to 1, shown as percentages, or plain numbers."""

Finish = Literal["stop", "length", "error"]
"""Why a response ended: end of sequence or stop string, token limit, or the request failed."""


class Message(TypedDict):
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How a response is generated; every field is part of the formulation and of the cache key."""

    max_tokens: int
    """The most new tokens."""
    temperature: float = 0.0
    """0 is greedy decoding."""
    top_p: float | None = None
    """Nucleus mass; None leaves it unset."""
    stop: tuple[str, ...] = ()
    """The response is cut before the first of these; end of sequence always stops."""
    n: int = 1
    """Responses an instance."""
    seed: int = 0
    """Seed of the sampled tokens; repeat i of an instance uses `seed + i`."""
    top_k: int | None = None
    """Only so many likeliest tokens are sampled from; None leaves it unset."""
    min_p: float | None = None
    """Only tokens at least this share as likely as the likeliest are; None leaves it unset."""
    repetition_penalty: float | None = None
    """What the logits of tokens that were there before are divided by (multiplied where negative)."""

    def to_json(self) -> JsonObject:
        """A JSON object: a later field where it is set, so that what leaves it out keeps its hash."""
        fields = {f.name: getattr(self, f.name) for f in GENERATION_FIELDS}
        return {k: v for k, v in fields.items() if v is not None or k not in LATER_FIELDS}


GENERATION_FIELDS = fields(Generation)
LATER_FIELDS = ("top_k", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class Instance:
    """One item of a benchmark."""

    task: str
    doc_id: int
    """Zero-based row in the official file."""
    doc: Doc
    subtask: str = ""

    @property
    def id(self) -> str:
        """`task/doc_id` or `task/subtask/doc_id`; never changes."""
        return "/".join(filter(None, (self.task, self.subtask, str(self.doc_id))))

    @property
    def doc_hash(self) -> str:
        """16 hex digits of the item's content, by which two runs are aligned."""
        return content_hash(self.doc)[:16]


LATER_REQUEST_FIELDS = ("top_logprobs", "answers")
"""Of a request, those that its JSON leaves out where they are not set: what leaves them out keeps its
hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What goes to the model: a chat or plain prompt to continue, or continuations to score."""

    generation: Generation
    messages: tuple[Message, ...] = ()
    """The chat, before any template; empty when `prompt` is given."""
    prompt: str | None = None
    """A plain prompt, for tasks that are asked without a chat template."""
    prefill: str = ""
    """Appended verbatim after the rendered template: the answer's first words are given."""
    continuations: tuple[str, ...] = ()
    """Log-likelihood requests: the continuations to score. Nothing is generated."""
    answers: tuple[str, ...] = ()
    """Reward requests: the answers to the chat that a reward model gives a number each. Nothing is
    generated."""
    repeat: int = 0
    """Which of `generation.n` responses this request is for."""
    top_logprobs: int = 0
    """With how many of the likeliest first tokens, and their log probabilities, the response comes."""
    item: str = field(default="", compare=False)
    """`Instance.id` of what it was made for. No part of its content: equal requests stay equal."""

    def to_json(self) -> JsonObject:
        """A JSON object with every field of its content."""
        # dataclasses.asdict copies deeply, which for thousands of few-shot chats takes seconds.
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "item"}
        for name in LATER_REQUEST_FIELDS:
            if not fields[name]:
                del fields[name]
        return fields | {"generation": self.generation.to_json()}

    def made_for(self, item: str) -> Request:
        """The same request, with the id of the instance it is made for."""
        return replace(self, item=item)

    def with_system(self, system: str) -> Request:
        """The same request with a system turn before its chat; a plain prompt stays as it is."""
        if not system or not self.messages:
            return self
        turn = Message(role="system", content=system)
        return replace(self, messages=(turn, *self.messages))

    def repeated(self, repeat: int) -> Request:
        """The same request for another of the responses, sharing its parts."""
        return Request(
            generation=self.generation,
            messages=self.messages,
            prompt=self.prompt,
            prefill=self.prefill,
            continuations=self.continuations,
            answers=self.answers,
            repeat=repeat,
            top_logprobs=self.top_logprobs,
            item=self.item,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """A question for an encoder: how near each of some texts is to a reference."""

    candidates: tuple[str, ...]
    reference: str
    encoder: str
    """Hub id or folder of the encoder."""

    def to_json(self) -> JsonObject:
        """A JSON object with every field."""
        return {name: getattr(self, name) for name in self.__slots__}


Question = Request | Similarity
"""What a judged task asks about a response: of a language model, or of an encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came back for one question."""

    text: str = ""
    """A language model's answer, as it was written."""
    first_token_logprobs: Mapping[str, float] = field(default_factory=dict)
    """Natural-log probabilities of the likeliest first tokens, where `Request.top_logprobs` asked."""
    similarities: tuple[float, ...] = ()
    """An encoder's answer: one number a candidate."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    """Why there is none (the budget was used up, the server failed); empty when there is."""

    def to_json(self) -> JsonObject:
        """A JSON object with every field; those of tokens where there are any."""
        row = {name: getattr(self, name) for name in self.__slots__}
        if not self.first_token_logprobs:
            del row["first_token_logprobs"]
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Judgement:
        """The inverse of `to_json`."""
        return cls(**{**row, "similarities": tuple(row.get("similarities", ()))})


class ResponseJson(TypedDict):
    """A response as JSON; recordings of other programs may hold its text alone."""

    text: str
    finish: NotRequired[Finish]
    prompt_tokens: NotRequired[int]
    completion_tokens: NotRequired[int]
    prompt_truncated: NotRequired[int]
    logprobs: NotRequired[Sequence[float]]
    rewards: NotRequired[Sequence[float]]
    error: NotRequired[str]
    reasoning: NotRequired[str]
    reasoning_tokens: NotRequired[int]
    unfinished_thinking: NotRequired[bool]
    filtered: NotRequired[bool]
    first_token_logprobs: NotRequired[Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back for one request."""

    text: str = ""
    """The answer: without the thought and the prefill, cut before the stop string. As a backend gives
    it (before `olmes.reasoning.split`), the thought and its marks may still stand in it."""
    finish: Finish = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_truncated: int = 0
    """Tokens cut from the left of a prompt that did not fit the model's window."""
    logprobs: tuple[float, ...] = ()
    """Log-likelihood requests: the summed natural-log probability of each continuation."""
    rewards: tuple[float, ...] = ()
    """Reward requests: the number that a reward model gives each answer, on a scale of its own; of two
    answers to one chat the larger is the better one's. No probability."""
    error: str = ""
    """Why the request failed; empty when it did not."""
    reasoning: str = ""
    """What was thought before the answer, without its marks."""
    reasoning_tokens: int = 0
    """Of `completion_tokens`, those of the thought, as far as it is known."""
    unfinished_thinking: bool = False
    """Whether the response ended inside its thought: there is no answer."""
    filtered: bool = False
    """Whether a server's content filter has cut it."""
    first_token_logprobs: Mapping[str, float] = field(default_factory=dict)
    """Natural-log probabilities of the likeliest first tokens, where `Request.top_logprobs` asked."""

    def to_json(self) -> ResponseJson:
        """A JSON object; rewards, a thought, a filter or tokens stand in it where they are."""
        # Written out, because it is made several times a response.
        row: ResponseJson = {
            "text": self.text,
            "finish": self.finish,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "prompt_truncated": self.prompt_truncated,
            "logprobs": self.logprobs,
            "error": self.error,
        }
        if self.rewards:
            row["rewards"] = self.rewards
        if self.reasoning or self.reasoning_tokens or self.unfinished_thinking:
            row["reasoning"] = self.reasoning
            row["reasoning_tokens"] = self.reasoning_tokens
            row["unfinished_thinking"] = self.unfinished_thinking
        if self.filtered:
            row["filtered"] = True
        if self.first_token_logprobs:
            row["first_token_logprobs"] = self.first_token_logprobs
        return row

    @classmethod
    def from_json(cls, row: ResponseJson) -> Response:
        """The inverse of `to_json`."""
        logprobs, rewards = tuple(row.get("logprobs", ())), tuple(row.get("rewards", ()))
        fields: JsonObject = {**row, "logprobs": logprobs, "rewards": rewards}
        return cls(**fields)


class VerdictPart(TypedDict):
    """One of several things a single response is judged on (an IFEval instruction, say)."""

    id: str
    strict: bool
    loose: bool
    stated: NotRequired[bool]
    """Whether it is met as it is stated, where strict and loose are by a published check that may say
    something else."""
    note: NotRequired[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one response is worth."""

    values: dict[str, float | list[bool]]
    """By metric name. A list holds one flag a part, for metrics taken over parts."""
    extracted: Any = None
    """The answer as it was found in the response; None when none was found."""
    unparsed: bool = False
    """No answer could be found where the formulation expects one."""
    misformatted: bool = False
    """The answer does not stand in the form that was asked for: its closing phrase is missing."""
    note: str = ""
    """Why, in a few words, where the values alone do not say it."""
    parts: list[VerdictPart] = field(default_factory=list)
