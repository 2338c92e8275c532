"""Why responses have no score: equal reasons counted together, and nothing quoted of any item.

A reason may stand where samples may not (in `run.json` of a run under seal, on a page, on a terminal),
but a server's words and an exception's often quote what they were given. So whatever of a reason is
also in the item, in the question about it or in the response is left out. Numbers and ids that differ
between equal reasons become `N`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from olmes.records.schema import BROKEN, Reason, RunRecord, TaskResult
from olmes.tools.visible_text import visible
from olmes.types import Request

LEFT_OUT = "…"
"""Stands for what is not to be shown."""
VARIES = "N"
"""Stands for a number or an id that is another one in each of the equal reasons."""
LONGEST = 300
"""Characters of a reason that are kept."""
MOST_KEPT = 5
"""Reasons by flag that a record names, the commonest; the rest is in its counts."""
MOST_SAID = 3
"""Reasons that a sentence names."""
MOST_KINDS = 500
"""Different reasons that are told apart; a server that never says the same twice fills no memory."""
QUOTE = 4
"""Words in a row that reason and item share, from which on they are a quotation and no coincidence."""

WIDE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{WIDE}]|[^\W_{WIDE}]+")
"""A word; of scripts without blanks, a character."""
ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrtbf\"'/\\])")
"""What JSON and `repr` make of characters, where they quote a text."""
NAMED = re.compile(r"\w+(?:[-.:]\w+)*")
"""A name, a number, an id, a time."""
HOLE = re.compile(rf"\W*(?:{LEFT_OUT}\W*)+")
QUOTED = re.compile(r"(?<!\w)(['\"`‘“])(.+?)(['\"`’”])(?!\w)")
CRASH = re.compile(r"(?s)(\w+: \w+): (.*) \((.*?)([^/\\()]+:\d+)\)")
"""A scorer that raised: which and what, the message, and where (`olmes.scoring.process.worker`)."""
PROTOCOL = (
    "assistant body content developer echo error input logprobs max_completion_tokens max_tokens "
    "messages min_p model n prefix prompt reasoning reasoning_effort repetition_penalty role seed "
    "stop stream system temperature text thinking tool tools top_k top_p type user value"
)
FIELDS = frozenset(PROTOCOL.split())
"""What servers quote of the protocol, which is no quotation of an item that holds the word too."""
COMMON = (
    "a an and are as at be by cannot could does for from has have in is it no not of on or out than "
    "that the there this to was with"
)
THEIRS = re.compile(r"the server (?:refused|aborted)|the last time|refuses this chat|failed")
"""Where a reason holds words of others than this program."""
FUNCTION_WORDS = frozenset(COMMON.split())


def reason_of(said: str, texts: Iterable[str] = ()) -> str:
    """What is told of an error: one line of it, without what `texts` hold as well.

    Args:
        said: the error as it was reported.
        texts: of the item, of what was asked and of what came back.
    """
    found = visible(" ".join(said.split()))[: 4 * LONGEST]
    texts = [text for text in dict.fromkeys(texts) if text]
    if crash := CRASH.fullmatch(found):
        what, message, _, where = crash.groups()
        return f"{what}: {unless_shared(message, texts)} ({where})"
    return without(found, texts)[:LONGEST].rstrip()


def unless_shared(message: str, texts: Sequence[str]) -> str:
    """An exception's message, or that it is left out: it may quote a response in a single word."""
    known = {word.lower() for text in texts for word in WORD.findall(text)}
    words = {word.lower() for word in WORD.findall(ESCAPE.sub(" ", message))} - FUNCTION_WORDS
    return LEFT_OUT if words & known or QUOTED.search(message) else message[:LONGEST]


def without(reason: str, texts: Sequence[str]) -> str:
    """A reason without its quotations of some texts."""
    plain = ESCAPE.sub(lambda found: " " * len(found[0]), reason)
    words = list(WORD.finditer(plain))
    read = [word[0].lower() for word in words]
    hidden = [False] * len(words)
    theirs = THEIRS.search(reason) is not None
    for text in texts:
        own = WORD.findall(text.lower())
        # A short text is quoted where all of it is; of one word, where others speak.
        if len(own) == 1 and (not theirs or len(own[0]) < QUOTE or own[0] in FIELDS):
            continue
        size, spelled = min(QUOTE, len(own)), f" {' '.join(own)} "
        for at in range(len(read) - size + 1 if size else 0):
            if f" {' '.join(read[at : at + size])} " in spelled:
                hidden[at : at + size] = [True] * size
    for quoted in QUOTED.finditer(plain):
        inside = [
            at for at, word in enumerate(words) if quoted.start() <= word.start() < quoted.end()
        ]
        named = quoted[2].lower()
        if len(named) > 1 and named not in FIELDS and any(holds(text, named) for text in texts):
            for at in inside:
                hidden[at] = True
    close_gaps(hidden)
    kept, end = "", 0
    for hide, first, last in stretches(hidden):
        if hide:
            kept += reason[end : words[first].start()] + LEFT_OUT
            end = words[last].end()
    return kept + reason[end:]


def holds(text: str, words: str) -> bool:
    """Whether a text holds some words, in whatever case, not as a part of others."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text.lower()) is not None


def close_gaps(hidden: list[bool]) -> None:
    """Hide one or two words between hidden ones too, and the last: they are of the same quotation."""
    for hide, first, last in list(stretches(hidden)):
        behind = first > 0 and hidden[first - 1]
        before = last + 1 < len(hidden)
        if not hide and behind and last - first < (2 if before else 1):
            hidden[first : last + 1] = [True] * (last + 1 - first)


def stretches(flags: Sequence[bool]) -> Iterator[tuple[bool, int, int]]:
    """Stretches of equal flags: the flag, the first position and the last."""
    first = 0
    for at in range(1, len(flags) + 1):
        if at == len(flags) or flags[at] != flags[first]:
            yield flags[first], first, at - 1
            first = at


def kind_of(reason: str) -> str:
    """What equal reasons have in common: the text with its numbers and ids left out."""
    kind = NAMED.sub(lambda name: VARIES if has_digit(name[0]) else name[0], reason)
    return HOLE.sub(LEFT_OUT, kind)  # how much is left out differs from item to item


def has_digit(name: str) -> bool:
    """Whether a name holds a digit, so that it may be a number or an id."""
    return any(character.isdigit() for character in name)


@dataclass
class Group:
    """Equal reasons."""

    shown: str
    count: int = 0

    def add(self, reason: str, count: int = 1) -> None:
        """Add one that is equal but for its numbers; those that differ are no longer shown."""
        self.count += count
        if reason == self.shown:
            return
        theirs = iter([name[0] for name in NAMED.finditer(reason)])
        self.shown = NAMED.sub(
            lambda own: own[0] if own[0] == next(theirs, "") else VARIES, self.shown
        )


@dataclass
class Reasons:
    """Reasons as they come in, by what they are reasons of (a flag); only their kinds are kept."""

    groups: dict[str, dict[str, Group]] = field(default_factory=dict)

    def add(self, flag: str, reason: str) -> None:
        """Count a reason that `reason_of` gave."""
        groups = self.groups.setdefault(flag, {})
        kind = kind_of(reason)
        if kind not in groups and len(groups) >= MOST_KINDS:
            kind = reason = "other reasons"
        groups.setdefault(kind, Group(reason)).add(reason)

    def counted(self) -> dict[str, list[Reason]]:
        """The commonest reasons of each flag, with how often each was given."""
        return {
            flag: [Reason(count=one.count, text=one.shown) for one in merged(groups)][:MOST_KEPT]
            for flag in BROKEN
            if (groups := list(self.groups.get(flag, {}).values()))
        }


def merged(groups: Iterable[Group]) -> list[Group]:
    """Groups, the commonest first; those that differ in what is left out of them are one.

    A word of a reason may stand in one of the items by chance, and be left out there alone.
    """
    found = [Group(one.shown, one.count) for one in groups]
    for masked in sorted(found, key=lambda one: len(one.shown)):
        for other in list(found):
            if other is not masked and masked in found and masks(masked.shown, other.shown):
                masked.count += other.count
                found.remove(other)
    return sorted(found, key=lambda one: (-one.count, one.shown))


def masks(masked: str, whole: str) -> bool:
    """Whether a reason is another one with less of it shown, though most of it."""
    parts = masked.split(LEFT_OUT)
    if len(parts) == 1 or sum(map(len, parts)) * 2 < len(whole):
        return False
    return re.fullmatch("(?s:.+?)".join(map(re.escape, parts)), whole) is not None


def why(task: TaskResult, flag: str) -> str:
    """The reasons behind a count, to be put after it: `: 198x "...", 2x "..."`; '' if none is known."""
    reasons = task.reasons.get(flag, [])[:MOST_SAID]
    said = [f'{one.count}x "{one.text}"' for one in reasons]
    rest = task.said(flag) - sum(one.count for one in reasons)
    if said and rest > 0:
        said.append(f"{rest}x for other reasons")
    return f": {', '.join(said)}" if said else ""


def why_incomplete(run: RunRecord) -> list[str]:
    """Which responses of a run have no score, task by task, and why."""
    return [
        f"{name}: {task.said(flag)} {flag}{why(task, flag)}"
        for name, task in run.tasks.items()
        for flag in BROKEN
        if task.said(flag)
    ]


def texts_of(request: Request) -> list[str]:
    """The texts of a request, no part of which is to be told with a reason."""
    turns = [message["content"] for message in request.messages]
    return [*turns, request.prompt or "", *request.continuations, *request.answers]


def strings_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, such as a document or a row."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
