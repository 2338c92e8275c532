"""Where an answer ends: the token that a template teaches, and those that generation stops at.

A base model stops at its end of text (`<|endoftext|>`), a template teaches another token
(`<|im_end|>`). A checkpoint that does not name that one runs on behind every answer, in evaluation, in
reinforcement learning and in every engine: so checkpoints name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from olmes.trainers.templates.answers import AnswerFinder
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.rendering import RefusedError, Renderer

QUESTION = ({"role": "user", "content": "One?"},)
CHAT = (*QUESTION, {"role": "assistant", "content": "Two."})


def taught_end(tokenizer: Any, template: ChatTemplate) -> int | None:
    """The token that ends the last answer of a chat; None where the template puts none there."""
    finder = AnswerFinder(Renderer(tokenizer, template.plain))
    try:
        found = finder.find(CHAT)
    except RefusedError:
        return None
    answer = found.answers[-1]
    marks = list(finder.special.finditer(found.text, answer.said[1], answer.end))
    return tokenizer.convert_tokens_to_ids(marks[-1].group()) if marks else None


def known_ends(tokenizer: Any, folder: Path) -> list[int]:
    """The tokens that a checkpoint stops at: of its generation settings, and its tokenizer's."""
    from transformers import GenerationConfig

    found: list[int | None] = []
    if (folder / "generation_config.json").is_file():
        more = GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id
        found += more if isinstance(more, list) else [more]
    found.append(tokenizer.eos_token_id)
    return list(dict.fromkeys(end for end in found if end is not None))


def stop_at(tokenizer: Any, template: ChatTemplate, folder: Path) -> tuple[tuple[int, ...], str]:
    """Let a tokenizer end where the template teaches answers to end.

    The tokenizer's own end of sequence changes only where nothing of the checkpoint named the taught
    one (that of a base model), and the template does not write `eos_token`, whose texts would change.

    Returns:
        The tokens that generation stops at, the taught one first, and a line about what is new; ''
        where the checkpoint knew them all.
    """
    known = known_ends(tokenizer, folder)
    end = taught_end(tokenizer, template)
    token = None if end is None else tokenizer.convert_ids_to_tokens(end)
    if tokenizer.pad_token is None:  # nor an end of sequence, which would be it
        tokenizer.pad_token = token
    if end is None or end in known:
        return tuple(known), ""
    before = ", ".join(f"'{name}'" for name in tokenizer.convert_ids_to_tokens(known))
    if "eos_token" not in template.plain:
        tokenizer.eos_token = token
    return (end, *known), (
        f"answers end with '{token}', at which the model does not stop so far "
        f"({before or 'it names no end'}): checkpoints name it, and generation stops there"
    )


def name_ends(model: Any, ends: Sequence[int]) -> None:
    """Let a model's generation settings name the tokens that end an answer, where one is missing."""
    own = model.generation_config.eos_token_id
    named = own if isinstance(own, list) else [own]
    if any(end not in named for end in ends):
        whole = dict.fromkeys([*ends, *(end for end in named if end is not None)])
        model.generation_config.eos_token_id = list(whole) if len(whole) > 1 else ends[0]


def begin_of_sequence(tokenizer: Any, template: ChatTemplate) -> str:
    """A line about a beginning that scoring puts before a prompt and training does not; or ''."""
    bos = tokenizer.bos_token
    alone, whole = tokenizer("a", add_special_tokens=False).input_ids, tokenizer("a").input_ids
    added = len(whole) > len(alone) and whole[: -len(alone)] == [tokenizer.bos_token_id]
    try:
        prompt = Renderer(tokenizer, template.plain).text(QUESTION, prompt=True)
    except RefusedError:
        return ""
    if not bos or not added or prompt.startswith(bos):
        return ""
    return (
        f"training is without '{bos}', which the template does not write; scoring puts it before "
        "every prompt, as the tokenizer does. Tülu 3 was made so; to train with it, let the template "
        "begin with {{ bos_token }}"
    )
