"""Standard streams that cannot show every character, or that nobody reads any more.

What an encoding lacks (ASCII, Latin-1) is shown by what comes nearest. A terminal that was closed, or a
full disk that standard error goes to, must not end a run that has nothing but words to lose there.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import Any, TextIO, cast

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


def outlive_reader() -> None:
    """Have standard error swallow what cannot be written there."""
    if not isinstance(sys.stderr, Unread):
        sys.stderr = cast(TextIO, Unread(sys.stderr))


class Unread:
    """A stream whose failures to write are nobody's."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, or go on without."""
        try:
            return self.stream.write(text)
        except OSError as error:
            self.lose(error)
            return len(text)

    def flush(self) -> None:
        """Write what was kept back, or go on without."""
        try:
            self.stream.flush()
        except OSError as error:
            self.lose(error)

    def writelines(self, lines: Any) -> None:
        """Write, or go on without."""
        for line in lines:
            self.write(line)

    def lose(self, error: OSError) -> None:
        """Throw away what is written from now on, where nobody reads it."""
        # What the stream still keeps back would fail again at the end of the process.
        if isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
