"""What a reader of Markdown sees: bullets, highlighted passages, text that is no code.

Everything takes time linear in the text.
"""

from __future__ import annotations

import re

from olmes.scoring.constraints.spoken import SPACED_LETTER

FENCE = re.compile(r"[^\S\n]*(`{3,}|~{3,})[^\S\n]*(\w*)")
PLAIN = frozenset(("", "markdown", "md", "text", "txt", "plaintext"))
"""Labels of fences around what is no code: many a response stands in one as a whole."""
INLINE_CODE = re.compile(r"`[^`\n]*`")
BULLET = re.compile(r"^[ \t>\"“]*+(?:[*+-][ \t]|[•◦‣▪●○])(.*)$", re.MULTILINE)
RULE = re.compile(r"[\s*_-]*")
STARS = re.compile(r"(?<!\\)\*+|\n[^\S\n]*+\n")


def without_code(text: str) -> str:
    """`text` without its fenced blocks in a programming language."""
    if "```" not in text and "~~~" not in text:
        return text
    kept, fence = [], ""
    for line in text.split("\n"):
        found = FENCE.match(line)
        if fence:
            fence = "" if found and found[1].startswith(fence) and not found[2] else fence
        elif found and found[2].lower() not in PLAIN:
            fence = found[1]
        else:
            kept.append(line)
    return "\n".join(kept)


def bullets(text: str) -> int:
    """How many lines are bullet points: a bullet, a blank, and something that is no rule."""
    return sum(not RULE.fullmatch(point) for point in BULLET.findall(without_code(text)))


def highlights(text: str) -> int:
    """How many passages stand between asterisks, one, two or more, within a paragraph.

    An asterisk between two letters or digits ("2*3") or beside a blank highlights nothing.
    """
    text = INLINE_CODE.sub("", without_code(text))
    found, opened = 0, set[int]()
    for run in STARS.finditer(text):
        size = run.end() - run.start()
        before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
        if run[0][0] == "\n":
            opened.clear()
        elif size in opened and not before.isspace() and not SPACED_LETTER.match(after):
            found += 1
            opened.remove(size)
        elif after.strip() and not SPACED_LETTER.match(before):
            opened.add(size)
    return found
