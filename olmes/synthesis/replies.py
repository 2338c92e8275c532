"""What a model wrote, taken out of the form that it was asked for."""

from __future__ import annotations

import re

from olmes.types import Response

MARKUP = re.compile(r"[\s*_#>\"'“”`]*")
NOT_IN_FORM = "not in the form that was asked for"
CUT_OFF = "cut off at its limit"
FAILED = "the request failed"
EMPTY = "empty"
UNFINISHED = "ended inside its thought"


def trouble(response: Response) -> str:
    """Why there is no whole answer in a response; '' where there is one."""
    if response.error:
        return FAILED
    if response.unfinished_thinking:
        return UNFINISHED
    if response.finish == "length" or response.filtered:
        return CUT_OFF
    return "" if response.text.strip() else EMPTY


def after(label: str, text: str) -> str:
    """What follows a label, which may stand in bold, behind other words, or be quoted.

    '' where the label is missing or nothing follows.
    """
    words = r"\s+".join(map(re.escape, label.removesuffix(":").split()))
    found = re.search(rf"{words}[*_]*\s*:", text, re.IGNORECASE)
    return unwrapped(text[found.end() :]) if found else ""


def unwrapped(text: str) -> str:
    """A text without the marks and quotes that stand round it as a whole."""
    text = text.strip()
    while len(text) > 1:
        opening = next((mark for mark in ("**", '"', "“", "`", "'") if text.startswith(mark)), "")
        closing = {"“": "”"}.get(opening, opening)
        inside = text[len(opening) : -len(closing) or None]
        if not opening or not text.endswith(closing) or opening in inside or closing in inside:
            break
        text = inside.strip()
    return text.removeprefix("**").strip() if text.count("**") % 2 else text
