"""What supervised training teaches with a template, in a sentence or two."""

from __future__ import annotations

from typing import Any

from olmes.errors import OlmesError
from olmes.trainers.templates.answers import Answer
from olmes.trainers.templates.encoding import finder_of
from olmes.trainers.templates.marks import PROBES
from olmes.trainers.templates.matching import shared
from olmes.trainers.templates.pairs import ChatTemplate
from olmes.trainers.templates.rendering import RefusedError, Renderer


def lesson(tokenizer: Any, template: ChatTemplate, name: str) -> list[str]:
    """Lines that say what each answer is trained on with.

    Args:
        tokenizer: of the model.
        template: by which chats are rendered.
        name: what a recipe calls the template.

    Raises:
        OlmesError: the training template's marks are wrong, or nothing would end an answer.
    """
    finder = finder_of(tokenizer, template)
    try:
        found = finder.find(PROBES[-1])
    except RefusedError:  # of chats of two questions
        try:
            found = finder.find(PROBES[0])
        except RefusedError:
            return []  # the data may be of another kind, and are looked at
    last = found.answers[-1]
    if not last.ended:
        raise OlmesError(
            f"the template '{name}' puts no special token of the tokenizer behind an answer "
            f"({found.text[last.start :]!r}), so the model would never learn to end one; add its end "
            "to the tokenizer as a special token, or choose another template ('tulu')."
        )
    rims = [rim(found.text, answer) for answer in found.answers]
    lines = [f"each answer is trained on {told(*rims[-1])}"]
    if rims[0] != rims[-1]:
        lines = [
            f"the last answer of a chat is trained on {told(*rims[-1])}; those before it "
            f"{told(*rims[0])}"
        ]
    if opening := left_out(tokenizer, template):
        lines.append(
            f"asked, the model is given {opening!r} before its answer, which the template leaves out "
            "of answers without a thought"
        )
    return lines


def left_out(tokenizer: Any, template: ChatTemplate) -> str:
    """What the prompt for an answer ends with, and the chat with that answer does not have; or ''."""
    renderer = Renderer(tokenizer, template.plain)
    asked = PROBES[0][:1]
    before, prompt = renderer.text(asked), renderer.text(asked, prompt=True)
    together = shared(prompt, renderer.text(PROBES[0]))
    return prompt[together:] if together >= shared(prompt, before) else ""


def rim(text: str, answer: Answer) -> tuple[str, str]:
    """What is trained on before a content and behind it."""
    return text[answer.start : answer.said[0]], text[answer.said[1] : answer.end]


def told(lead: str, tail: str) -> str:
    """What stands round an answer, in words."""
    before = f"{lead!r} before it and " if lead else ""
    return f"with {before}{repr(tail) if tail else 'nothing'} behind it"
