"""The prompts of a synthesis: text files with placeholders in braces, which a user may replace.

The bundled ones are Tülu 3's (arXiv 2411.15124, appendices C and D).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from olmes.errors import OlmesError
from olmes.tools.hashing import sha256
from olmes.tools.jsonl import read_text

BUNDLED = Path(__file__).parent / "prompts"


class Prompts:
    """Prompts by name: a user's own where the folder has one, else the bundled.

    Args:
        folder: the user's; '' has the bundled ones alone.

    Raises:
        OlmesError: there is no such folder, or a file in it is named like no prompt.
    """

    def __init__(self, folder: str = "") -> None:
        self.files = {path.stem: path for path in sorted(BUNDLED.glob("*.txt"))}
        self.texts: dict[str, str] = {}
        if not folder:
            return
        own = Path(folder)
        if not own.is_dir():
            raise OlmesError(f"there is no folder {own} with prompts; correct 'prompts'.")
        for path in sorted(own.glob("*.txt")):
            if path.stem not in self.files:
                raise OlmesError(
                    f"{path} is no prompt's name; the prompts are {', '.join(self.files)} "
                    f"(copy what you change from {BUNDLED})."
                )
            self.files[path.stem] = path

    def text(self, name: str) -> str:
        """A prompt as its file has it, without the line end at its end."""
        if name not in self.texts:
            self.texts[name] = read_text(self.files[name]).rstrip("\n")
        return self.texts[name]

    def filled(self, name: str, **values: str) -> str:
        """A prompt with its placeholders filled; other braces stay as they are.

        Raises:
            OlmesError: the file lacks a placeholder, so that what it asks would not depend on it.
        """
        text = self.text(name)
        for key in values:
            if f"{{{key}}}" not in text:
                raise OlmesError(f"{self.files[name]} has no {{{key}}}; say where it belongs.")
        # In one pass: what is filled in may hold braces of its own.
        return re.sub(
            rf"\{{({'|'.join(values)})\}}" if values else r"(?!)",
            lambda found: values[found[1]],
            text,
        )

    def hashes(self, names: Sequence[str]) -> dict[str, str]:
        """SHA-256 of each prompt's text, for the data card."""
        return {name: sha256(self.text(name).encode("utf-8")) for name in names}
