"""The answers of a pool of models to prompts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from olmes.synthesis.preferences.panel import Answer
from olmes.synthesis.preferences.prompt_set import ON_POLICY, Prompt, Writer
from olmes.synthesis.session import Session, SynthesisModel
from olmes.types import Message, Request, Response


@dataclass
class Answers:
    """What has come back."""

    by_prompt: dict[str, tuple[Answer, ...]] = field(default_factory=dict)
    """Different texts by the prompt's id, of prompts that everybody has answered."""
    unfinished: int = 0
    """Prompts with a request that failed or did not fit into the budget."""
    counts: Counter[str] = field(default_factory=Counter)
    """Answers asked for and come (`answers`), without a word (`empty`), cut at the token limit
    (`cut`), the same as another to the prompt (`same`)."""


def answer_prompts(
    prompts: Sequence[Prompt],
    writers: Mapping[str, Sequence[Writer]],
    models: Mapping[str, SynthesisModel],
    session: Session,
    *,
    seed: int,
    keep_cut: bool,
) -> Answers:
    """Have prompts answered, each model's in one go.

    Raises:
        OlmesError: a model refuses all requests alike.
    """
    asks: dict[str, list[tuple[Prompt, Writer]]] = defaultdict(list)
    for prompt in prompts:
        for writer in writers[prompt.id]:
            asks[writer.model].append((prompt, writer))
    came: dict[tuple[str, Writer], Response] = {}
    for name, wanted in sorted(asks.items()):
        model = models[name]
        responses = session.ask(
            f"answers: {name}",
            model,
            [
                (f"{prompt.id}#{writer.repeat}", answer_request(model, prompt, writer, seed))
                for prompt, writer in wanted
            ],
        )
        for (prompt, writer), response in zip(wanted, responses, strict=True):
            came[prompt.id, writer] = response
    found = Answers()
    for prompt in prompts:
        pairs = [(writer, came[prompt.id, writer]) for writer in writers[prompt.id]]
        if any(response.error for _, response in pairs):
            found.unfinished += 1
            continue
        found.by_prompt[prompt.id] = different(pairs, found.counts, keep_cut=keep_cut)
    return found


def answer_request(model: SynthesisModel, prompt: Prompt, writer: Writer, seed: int) -> Request:
    """A prompt as a model is asked it; the recipe's system turn stands where the prompt has none."""
    turns = prompt.turns
    if model.table.system and turns[0]["role"] != "system":
        turns = (Message(role="system", content=model.table.system), *turns)
    return Request(messages=turns, generation=model.table.generation(seed), repeat=writer.repeat)


def different(
    pairs: Sequence[tuple[Writer, Response]], counts: Counter[str], *, keep_cut: bool
) -> tuple[Answer, ...]:
    """The texts that may be judged; what several models wrote alike is one text of all of them."""
    texts: dict[str, list[str]] = {}
    for writer, response in pairs:
        counts["answers"] += 1
        text = response.text.strip()
        if not text or response.unfinished_thinking:
            counts["empty"] += 1
        elif response.finish == "length" and not keep_cut:
            counts["cut"] += 1
        else:
            counts["same"] += text in texts
            texts.setdefault(text, []).append(writer.model)
    return tuple(
        Answer(text, tuple(dict.fromkeys(names)), on_policy=ON_POLICY in names)
        for text, names in texts.items()
    )
