"""Text from models and data sets made safe to show: control characters become visible.

For terminals and for files that other programs read; the pages do the same in the browser
(`reports/assets/text.js`).
"""

from __future__ import annotations

BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that turn the direction of text."""
BREAKS = dict.fromkeys((0x09, 0x0A, 0x2028, 0x2029), " ")
"""Further characters that end a line or a cell, and a space for them."""

CONTROLS = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    **{code: f"\\x{code:02x}" for code in range(0x7F, 0xA0)},
    # Half of a surrogate pair: no terminal and no file in UTF-8 can have it.
    **{code: f"\\u{code:04x}" for code in (*BIDI, *range(0xD800, 0xE000))},
}
"""Characters that steer a terminal or turn the direction of text, and what is shown for them."""


def visible(text: str) -> str:
    """Text with its control characters made visible; lines and tabs stay."""
    return text.translate(CONTROLS)


def one_line(text: str) -> str:
    """The same in one line, for a cell or a comment."""
    return visible(text).translate(BREAKS)


def encodable(text: str) -> str:
    """Text with lone surrogates (of a byte that is not UTF-8, say) escaped, so that UTF-8 has it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def unfit_name(text: str, most: int = 500) -> str:
    """Why a text cannot be a name that databases and links hold; '' where it can."""
    if len(text) > most:
        return f"is longer than {most} characters"
    if "\x00" in text or encodable(text) != text:
        return "holds a character that no name has (NUL or a lone surrogate)"
    return ""
