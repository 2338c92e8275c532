r"""Answers between marks: `\boxed{18}` and `<answer>18</answer>`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from olmes.scoring.answers.announcement import taken_back
from olmes.scoring.answers.clause import MOST_CHARACTERS, last_sentences
from olmes.scoring.answers.mark import Found, Mark, Origin

BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[^\s{a-zA-Z])|(?<=\s)(?=[a-zA-Z](?![a-zA-Z])))")
r"""The opening of a box. `\boxed in the end` opens none."""
BRACE = re.compile(r"\\[{}]|[{}]")
UNBRACED_END = re.compile(r"\$|\n|\\[)\]]|\Z")
NEGATIVE = re.compile(r"(?:\A|[=$(\[{:]|\bis)\s{0,3}-\s{0,2}\Z")
JOINT = re.compile(
    r"[\s$\\()\[\],;]{0,8}(?P<word>,|;|\band\b|\bor\b|\\text\{\s*(?:and|or)\s*\})[\s$\\()\[\]]{0,8}"
    r"(?:[a-zA-Z]\s?=\s?)?"
)
GOES_ON = re.compile(
    r"\s?\$?\s?(?:hundred|thousand|million|billion|trillion)\b|\^\{?[\w+-]{1,20}\}?"
    r"|\$?\s(?:or|to)\s\$?[\d\\][^.\n]{0,80}",
    re.IGNORECASE,
)
"""What behind a box makes it another number, or one of several."""
TAG = re.compile(r"<(?:final[_ ]?)?answer>|\[ANSWER\]", re.IGNORECASE)
TAG_END = re.compile(r"</(?:final[_ ]?)?answer>|\[/ANSWER\]", re.IGNORECASE)


def boxes(text: str) -> Iterator[Mark]:
    """Every box of a response."""
    for box in BOX.finditer(text):
        yield Mark(box.end(), partial(_box, text, box))


def _box(text: str, box: re.Match[str]) -> Found | None:
    """What a box holds, with the boxes that "and", "or" or a comma joins it to."""
    content, end = boxed(text, box)
    if content is None:
        return Found("", Origin.BOX, len(text), cut=True)
    if not content:
        at_the_end = not text[end:].strip(" .$\\)]}*\n")
        return Found("", Origin.BOX, end, cut=True) if at_the_end else None
    if taken_back(text, end):
        return None
    more = GOES_ON.match(text, end)
    content = _joined(text, box, content) + (more[0].replace("$", " ") if more else "")
    return Found(content, Origin.BOX, end)


def _joined(text: str, box: re.Match[str], content: str) -> str:
    """`content` with the sign in front of its box, and behind what the boxes before it hold."""
    while True:
        opening = box.start()
        if NEGATIVE.search(text[max(0, opening - 8) : opening]):
            content = f"-{content}"
        before = list(BOX.finditer(text, max(0, opening - 200), opening))
        held, end = boxed(text, before[-1]) if before else (None, 0)
        joint = JOINT.fullmatch(text, end, opening) if held and end <= opening else None
        if held is None or joint is None:
            return content
        box, content = before[-1], held + (" or " if "or" in joint["word"] else ", ") + content


def boxed(text: str, box: re.Match[str]) -> tuple[str | None, int]:
    """What a box holds, and where it ends; None for one that is never closed."""
    at = box.end()
    if not box[0].endswith("{"):
        end = UNBRACED_END.search(text, at).start()  # type: ignore[union-attr]
        return text[at : min(end, at + 40)].strip().removesuffix("."), end
    depth = 1
    for brace in BRACE.finditer(text, at, at + MOST_CHARACTERS):
        if len(brace[0]) == 1:
            depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[at : brace.start()].strip(), brace.end()
    return None, len(text)


def tags(text: str) -> Iterator[Mark]:
    """Every opening tag of a response."""
    for tag in TAG.finditer(text):
        yield Mark(tag.end(), partial(_tag, text, tag.end()))


def _tag(text: str, at: int) -> Found | None:
    """What stands between the tags, of several lines the last. The closing one may have been a stop."""
    closing = TAG_END.search(text, at)
    end = closing.start() if closing else len(text)
    content = text[at:end].strip()
    if not content or len(content) > MOST_CHARACTERS:
        return None
    last = content if "\n" not in content else next(last_sentences(content), "")
    return Found(last, Origin.TAG, end) if last else None
