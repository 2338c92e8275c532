"""Chat templates in pairs: the one a model is prompted with, and its training template.

A training template renders the same text and marks what the assistant says (`{% generation %}`), from
which the labels of supervised training are made; most models have none, and need none (`answers.py`).
A checkpoint keeps the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.chat.templates import FOLDER, bundled_templates

TRAINING = Path(__file__).parent
"""Training templates of the templates that olmes brings."""
PROBES: tuple[list[dict[str, str]], ...] = (
    [{"role": "user", "content": "One?"}],
    [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Three? "},
        {"role": "assistant", "content": "Four.\n"},
        {"role": "user", "content": "Five?"},
        {"role": "assistant", "content": "Six."},
    ],
)
"""Chats on which two templates that mean the same render the same."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template and its training template."""

    plain: str
    training: str
    """Empty where there is none: then the answers are found in what `plain` renders."""


def read_pair(plain: Path) -> ChatTemplate:
    """The template of a file and its training template: `NAME.training.jinja`, or itself if marked.

    Raises:
        OlmesError: there is no such file.
    """
    if not plain.is_file():
        raise OlmesError(
            f"there is no template {plain}; give a .jinja file, 'model', or one of "
            f"{', '.join(bundled_templates())}."
        )
    text = plain.read_text("utf-8").rstrip("\n")
    beside = TRAINING if plain.parent == FOLDER else plain.parent
    training = beside / f"{plain.name.removesuffix('.jinja')}.training.jinja"
    if training.is_file():
        return ChatTemplate(text, training.read_text("utf-8").rstrip("\n"))
    return ChatTemplate(text, text if marked(text) else "")


def marked(template: str) -> bool:
    """Whether a template says what the assistant's tokens are."""
    return "generation %}" in template or "generation -%}" in template


def find_template(name: str, tokenizer: Any) -> ChatTemplate:
    """The pair a recipe names.

    Args:
        name: "model" for the tokenizer's own, a bundled name, or a .jinja file.
        tokenizer: of transformers; its own template's training template is itself where it has
            marks, or a bundled one that renders the same.

    Raises:
        OlmesError: there is no such template, or the tokenizer has none; or the pair does not
            render the same.
    """
    if name != "model":
        path = Path(name) if name.endswith(".jinja") else FOLDER / f"{name}.jinja"
        return checked(read_pair(path), tokenizer, name)
    own = tokenizer.chat_template
    if isinstance(own, dict):  # several by name, one of them for calls of tools
        own = own.get("default")
    if not isinstance(own, str):
        raise OlmesError(
            "the model has no chat template of its own; set template to one of "
            f"{', '.join(bundled_templates())} or to a .jinja file."
        )
    if marked(own):
        return ChatTemplate(own, own)
    for bundled in bundled_templates():
        pair = read_pair(FOLDER / f"{bundled}.jinja")
        if same(own, pair.training, tokenizer):
            return ChatTemplate(own, pair.training)
    return ChatTemplate(own, "")


def checked(pair: ChatTemplate, tokenizer: Any, name: str) -> ChatTemplate:
    """The pair, when it renders the same.

    Raises:
        OlmesError: it does not.
    """
    if pair.training and not same(pair.plain, pair.training, tokenizer):
        raise OlmesError(
            f"the template {name} and its training template render different texts; fix the "
            "training template."
        )
    return pair


def same(first: str, second: str, tokenizer: Any) -> bool:
    """Whether two templates render the probes alike, with and without a generation prompt."""
    return all(
        outcome(tokenizer, probe, first, prompt) == outcome(tokenizer, probe, second, prompt)
        for probe in PROBES
        for prompt in (False, True)
    )


def outcome(tokenizer: Any, chat: Sequence[Any], template: str, prompt: bool) -> str | None:
    """A chat as text; None where the template refuses it."""
    import jinja2

    try:
        return render(tokenizer, chat, template, prompt)
    except (jinja2.TemplateError, TypeError):
        return None


def render(tokenizer: Any, chat: Sequence[Any], template: str, prompt: bool = False) -> str:
    """A chat as text."""
    text: str = tokenizer.apply_chat_template(
        list(chat), chat_template=template, add_generation_prompt=prompt, tokenize=False
    )
    return text
