"""Tables as the text of a TOML file: what `tomllib` reads back as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")
INLINE = 1
"""Tables below so many others are written on one line."""


def toml_text(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """A table's text: its values, then its tables, each under its heading.

    Args:
        table: texts, numbers, booleans, lists and tables of them; TOML has no null.
        path: of the table within the file.

    Raises:
        TypeError: a value is none of these.
    """
    inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    lines = [
        f"{key_text(name)} = {value_text(value)}"
        for name, value in table.items()
        if name not in inner
    ]
    below = []
    for name, value in inner.items():
        if len(path) >= INLINE:
            lines.append(f"{key_text(name)} = {value_text(value)}")
        else:
            heading = ".".join(map(key_text, (*path, name)))
            below.append(f"\n[{heading}]\n{toml_text(value, (*path, name))}")
    return "".join(f"{line}\n" for line in lines) + "".join(below)


def key_text(name: str) -> str:
    """A key, quoted where it must be."""
    return name if BARE.fullmatch(name) else value_text(name)


def value_text(value: Any) -> str:
    """A value on one line.

    Raises:
        TypeError: TOML has none like it.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # A JSON text is a TOML text, but for this one control character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key_text(name)} = {value_text(one)}" for name, one in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    raise TypeError(f"TOML has no {type(value).__name__}")
