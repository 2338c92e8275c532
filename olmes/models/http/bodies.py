"""What is sent to a server: a request, and how the model is asked, as the fields of a JSON body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from olmes.errors import OlmesError
from olmes.models.http.dialect import Asked, Dialect, merged
from olmes.models.http.wire import CHAT, MOST_STOPS, GenerationSettings, RequestBody, Turn
from olmes.models.options import THINKING_BUDGET, Asking
from olmes.tools.hashing import content_hash
from olmes.types import JsonObject, Request

Continuation = Literal["fields", "turn", "prefix"]
"""How a server is told to continue a begun answer: by vLLM's fields, by a last turn that is the
model's, or by that turn's own `prefix`."""
OURS = ("model", "messages", "prompt", "echo", "logprobs", "top_logprobs", "n", "stream")
"""Fields that are no user's to change: another value would be another question, or an answer that
cannot be read."""
EFFORT = ("openai.com", "azure.com", "mistral.ai", "groq.com", "x.ai", "googleapis.com",
          "fireworks.ai", "cerebras.ai")  # fmt: skip
"""Vendors whose models think by `reasoning_effort`."""
TYPED = ("deepseek.com", "anthropic.com", "z.ai", "bigmodel.cn", "volces.com", "moonshot.ai",
         "moonshot.cn")  # fmt: skip
"""Vendors with `{"thinking": {"type": "enabled"}}`."""


@dataclass(frozen=True, slots=True)
class Place:
    """What of a server decides how it is asked."""

    host: str
    """Without the port."""
    program: str = ""
    """Which program serves, where its list of models says it."""
    window: int | None = None

    def of(self, hosts: tuple[str, ...]) -> bool:
        """Whether the host is one of these or below it."""
        return any(self.host == one or self.host.endswith(f".{one}") for one in hosts)


def check_asking(asking: Asking) -> None:
    """Refuse what cannot be asked of a server.

    Raises:
        OlmesError: an option would have no effect, or would change what is asked.
    """
    if asking.chat_template:
        raise OlmesError(
            "--chat-template: a server writes chats out by its own template; start it with another "
            "one (vLLM: --chat-template FILE), or evaluate the model with hf:."
        )
    if asking.adapter:
        raise OlmesError(
            "--adapter: a server has loaded its weights already; start it with the adapter (vLLM: "
            "--lora-modules NAME=FOLDER) and name that one: openai:NAME@URL."
        )
    for name in OURS:
        if name in asking.request_body:
            raise OlmesError(
                f"--request-body {name}: this field is set by what is asked; leave it out."
            )


def switches(asking: Asking, place: Place) -> list[JsonObject]:
    """The ways to tell a server whether to think, and its template's variables; the best first.

    Where the vendor is known there is one. Any other server may have a chat template with a
    variable for it (`enable_thinking` of Qwen3 and others, `thinking` of DeepSeek and Granite: what
    a template does not know, it passes over), or else know the protocol's `reasoning_effort`.
    Sources: the API references of the vendors named here, and of vLLM, SGLang and llama.cpp.
    """
    arguments, on = dict(asking.template_args), asking.thinking == "on"
    told = asking.thinking != "auto"
    if not told and not arguments:
        return []
    effort = arguments.get("reasoning_effort", "medium" if on else "none")
    if place.of(("mistral.ai",)) and on:
        effort = arguments.get("reasoning_effort", "high")  # it knows none and high alone
    by_effort: JsonObject = {"reasoning_effort": effort}
    others = {key: value for key, value in arguments.items() if key != "reasoning_effort"}
    rest: JsonObject = {"chat_template_kwargs": others} if others else {}
    budget = asking.thinking_budget
    if place.of(EFFORT):
        asked = told or "reasoning_effort" in arguments
        return [(by_effort if asked else {}) | rest]
    if place.of(("openrouter.ai",)):
        how: JsonObject = {"enabled": on} if told else {}
        if "reasoning_effort" in arguments:
            how = {"effort": effort}
        elif on and budget:
            how = {"max_tokens": budget}
        return [({"reasoning": how} if how else {}) | rest]
    if place.of(TYPED) and told:
        typed: JsonObject = {"type": "enabled" if on else "disabled"}
        if on and place.of(("anthropic.com",)):
            typed["budget_tokens"] = budget or THINKING_BUDGET
        return [{"thinking": typed} | ({"chat_template_kwargs": arguments} if arguments else {})]
    if place.of(("aliyuncs.com",)) and told:
        given: JsonObject = {"enable_thinking": on}
        if on and budget:
            given["thinking_budget"] = budget
        return [given | rest]
    switch: JsonObject = {"enable_thinking": on, "thinking": on} if told else {}
    ways: list[JsonObject] = [{"chat_template_kwargs": switch | arguments}]
    if not others and (told or "reasoning_effort" in arguments):
        ways.append(by_effort)
    return ways


def budget_of(asking: Asking) -> int:
    """Tokens that a thought gets on top of the answer's own limit; 0 where nobody asked for one."""
    if asking.thinking == "off" or (asking.thinking == "auto" and asking.thinking_budget is None):
        return 0
    return asking.thinking_budget or THINKING_BUDGET


def settings(path: str, asked: Asked, dialect: Dialect, place: Place) -> GenerationSettings:
    """The generation settings of a body.

    A limit above the server's window is lowered to it: servers refuse such a limit, and there it
    means "what there is room for". The seed is mixed with the prompt, or all items would be sampled
    with the same noise; it is left out of greedy requests, where it means nothing. Stop strings hold
    for the answer alone, so that none is sent where a thought may go before it.
    """
    request, generation = asked.request, asked.request.generation
    limits = [generation.max_tokens + asked.thought, place.window, asked.limit]
    renamed = (path, "max_tokens") in dialect.lacks
    found: GenerationSettings = {}
    limit = min(one for one in limits if one is not None)
    found["max_completion_tokens" if renamed else "max_tokens"] = limit
    found["temperature"] = generation.temperature
    if generation.top_p is not None:
        found["top_p"] = generation.top_p
    if generation.top_k is not None:
        found["top_k"] = generation.top_k
    if generation.min_p is not None:
        found["min_p"] = generation.min_p
    if generation.repetition_penalty is not None:
        llama = place.program == "llamacpp"
        found["repeat_penalty" if llama else "repetition_penalty"] = generation.repetition_penalty
    if generation.stop and not asked.thought and (path, "stop") not in dialect.lacks:
        found["stop"] = list(generation.stop[:MOST_STOPS])
    if generation.temperature > 0 and (path, "seed") not in dialect.lacks:
        prompt = [request.messages, request.prompt, request.prefill]
        mixed = content_hash([generation.seed + request.repeat, prompt])
        found["seed"] = int(mixed[:8], 16) >> 1  # 31 bits: some servers hold no more
    return found


def chat_messages(request: Request, how: Continuation = "fields") -> RequestBody:
    """The turns of a chat; with a prefill the last one is the model's own, to be continued."""
    turns = [cast("Turn", turn) for turn in request.messages]
    if not request.prefill:
        return {"messages": turns}
    begun = Turn(role="assistant", content=request.prefill)
    if how == "prefix":
        begun["prefix"] = True
    if how != "fields":
        return {"messages": [*turns, begun]}
    return {
        "messages": [*turns, begun],
        "continue_final_message": True,
        "add_generation_prompt": False,
    }


def complete(
    prompt: RequestBody, path: str, asked: Asked, dialect: Dialect, place: Place, asking: Asking
) -> RequestBody:
    """A whole body but for the model's name; what the user gives for it goes in last."""
    body: dict[str, Any] = {**prompt, **settings(path, asked, dialect, place)}
    if path == CHAT:
        if dialect.merges_system:
            body["messages"] = merged(body["messages"])
        if ways := switches(asking, place):
            body |= ways[min(dialect.switches, len(ways) - 1)]
    if wanted := asked.request.top_logprobs:
        chat = {"logprobs": True, "top_logprobs": wanted}
        body |= chat if path == CHAT else {"logprobs": wanted}
    if dialect.streams:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return cast("RequestBody", laid_over(body, asking.request_body))


def laid_over(body: Mapping[str, Any], given: Mapping[str, Any]) -> JsonObject:
    """A body with further fields, objects merged; a field that is given as null is left out."""
    found = dict(body)
    for key, value in given.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            inside = found.get(key)
            found[key] = laid_over(inside if isinstance(inside, Mapping) else {}, value)
        else:
            found[key] = value
    return found
