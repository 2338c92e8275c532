"""Standard output that cannot show every character (ASCII, Latin-1): it shows what comes nearest."""

from __future__ import annotations

import codecs
import sys
from typing import TextIO

NEAREST = {
    **dict.fromkeys("‐‑‒–—−─━", "-"), **dict.fromkeys("‘’′", "'"), **dict.fromkeys("“”″", '"'),
    **dict.fromkeys("│┃", "|"), **dict.fromkeys("•·", "*"), **dict.fromkeys("█▇▆▅▄▃▂▁■", "#"),
    "…": "...", "±": "+/-", "×": "x", "÷": "/", "→": "->", "←": "<-", "↑": "^", "↓": "v",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∞": "inf", "√": "sqrt", "✓": "yes", "✗": "no",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ",
}  # fmt: skip
"""What is written for a character in words for a reader."""
BRAILLE = range(0x2800, 0x2900)
"""Of which spinners are made."""


def escape(character: str) -> str:
    r"""A character as JSON escapes it: `\u00e9`; beyond the first plane by a pair of surrogates."""
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))


def exact(error: UnicodeError) -> tuple[str, int]:
    """Escape what cannot be encoded: JSON stays the same JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(escape, error.object[error.start : error.end])), error.end


def nearest(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded by what comes nearest, and escape the rest."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    found = (NEAREST.get(one) or ("*" if ord(one) in BRAILLE else escape(one)) for one in text)
    return "".join(found), error.end


codecs.register_error("olmes-exact", exact)
codecs.register_error("olmes-nearest", nearest)


def degrade(*, data: bool = False) -> None:
    """Have the standard streams replace what their encoding lacks, instead of raising.

    Args:
        data: whether what is printed is for programs, so that nothing may change its meaning.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a replaced stream may have none
        if reconfigure is not None and lacks_characters(stream):
            reconfigure(errors="olmes-exact" if data else "olmes-nearest")


def lacks_characters(stream: TextIO) -> bool:
    """Whether a stream's encoding cannot encode everything."""
    try:
        return not codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    except LookupError:
        return True
