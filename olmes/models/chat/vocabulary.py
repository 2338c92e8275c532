"""The marks of thoughts that a checkpoint's tokens hold, found in its files without loading them."""

from __future__ import annotations

import json
from pathlib import Path

from olmes.reasoning.families import FAMILIES

FILES = ("tokenizer_config.json", "added_tokens.json", "tokenizer.json", "tekken.json")
MODEL = b'"model":'
"""In tokenizer.json the added tokens stand before the model with its whole vocabulary, which is tens
of megabytes long."""
PIECE = 1 << 20


def marks_of_vocabulary(folder: Path) -> frozenset[str]:
    """Marks, and parts of marks, that are tokens of their own."""
    wanted = {mark for family in FAMILIES for mark in (family.opening, family.closing)}
    wanted.add("<|channel|>")  # a mark of harmony is three tokens
    written = {
        mark: {json.dumps(mark).encode(), json.dumps(mark, ensure_ascii=False).encode()}
        for mark in wanted
    }
    text = b"\n".join(head_of(folder / name) for name in FILES)
    return frozenset(mark for mark, forms in written.items() if any(form in text for form in forms))


def head_of(path: Path) -> bytes:
    """A file up to its vocabulary; nothing where there is no file."""
    try:
        with path.open("rb") as stream:
            found = b""
            while piece := stream.read(PIECE):
                # The name may be cut in two by the pieces' border.
                start = max(0, len(found) - len(MODEL))
                found += piece
                if (end := found.find(MODEL, start)) >= 0:
                    return found[:end]
            return found
    except OSError:
        return b""
