"""Chat templates: a checkpoint's own, those that olmes brings, and those of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from olmes.errors import OlmesError
from olmes.models.options import PLAIN
from olmes.tools.hashing import content_hash

FOLDER = Path(__file__).parent / "templates"


def bundled_templates() -> tuple[str, ...]:
    """Names of the templates that olmes brings."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.jinja")))


def template_file(given: str) -> Path:
    """The file of a template: the one that is named, or a bundled one.

    Raises:
        OlmesError: there is no such template.
    """
    if given in bundled_templates():
        return FOLDER / f"{given}.jinja"
    path = Path(given).expanduser()
    if not path.is_file():
        raise OlmesError(
            f"there is no chat template {given}; give a .jinja file, {PLAIN} (for base models), or "
            f"one of {', '.join(bundled_templates())}."
        )
    return path


def read_template(given: str) -> str:
    """The text of a template that a user names.

    Raises:
        OlmesError: there is no such template, or it is no text.
    """
    path = template_file(given)
    try:
        # A line end at the file's end is the editor's, not the template's.
        return path.read_text("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OlmesError(
            f"the chat template {path} cannot be read ({error}); give a text file."
        ) from None


def described(given: str) -> str:
    """A template by name and content, as records show it: the same file is the same everywhere.

    Raises:
        OlmesError: as `read_template`.
    """
    if given == PLAIN:
        return PLAIN
    return f"{template_file(given).stem} ({content_hash(read_template(given))[:16]})"


def own_template(folder: Path) -> str | None:
    """A checkpoint's own template, from its files; None where it has none.

    The order is that of transformers; the file of a processor comes last, which transformers reads
    for models with images alone.
    """
    for found in (
        text_of(folder / "chat_template.jinja"),
        chosen(json_of(folder / "tokenizer_config.json").get("chat_template")),
        chosen(json_of(folder / "chat_template.json").get("chat_template")),
    ):
        if found:
            return found
    return None


def chosen(template: Any) -> str | None:
    """The template of a tokenizer that may have several, each with a name."""
    if isinstance(template, list):
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def text_of(path: Path) -> str | None:
    """A file's text; None where there is no such file, or it is no text."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def json_of(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none. Who needs the file says what is wrong."""
    try:
        value = json.loads(text_of(path) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
