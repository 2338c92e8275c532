r"""The letter a response to a multiple-choice question answers with.

Two ways stand side by side. `first_match` and `last_match` are what the protocol's extractions are
made of (docs/protocol.md, sections 4.0 to 4.3), faults included; a task puts them in its order.
`stated_letter` is ours: it finds the option a response evidently answers with, however that is
written, and finds none where the response names none. A capital letter that merely occurs (the
article "A", an initial) is not an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from olmes.scoring.answers.announcement import attributed
from olmes.scoring.answers.thought import spoken
from olmes.scoring.choices.options import Options, comparable, simplified
from olmes.scoring.choices.statements import announced, called_right

LETTER_LINE = re.compile(
    r"\W*(?:(?:option|choice|letter|final|answer|so|thus|hence|therefore)\W+)*(?P<letter>[A-Z])\W*",
    re.IGNORECASE,
)
LABELLED_LINE = re.compile(r"\W{0,4}(?P<letter>[A-Z]) ?[).:\]] *(?P<text>\S.*)")
MENTION = re.compile(
    r"(?<![A-Za-z0-9_])(?<!than )[(\[]\s?(?P<closed>[A-Z])\s?[)\]]"
    r"|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s(?P<named>[A-Z])(?![\w'’+#=/-])"
)
NEGATION = re.compile(
    r"\b(?:not|no|nor|neither|never|cannot|incorrect\w*|wrong\w*|false|eliminat\w+|exclud\w+"
    r"|rul\w+ out|unlikely|irrelevant|invalid|whether|if|except|suppos(?:e|ing)"
    r"|assum(?:e|ing)|(?:some|many|people)\s(?:would|might|may|could))\b|n['’]t\b",
    re.IGNORECASE,
)
CONSEQUENCE = re.compile(r"[,;]\s(?:and\s)?(?=(?:so|hence|thus|therefore)\b)")
SUPPOSITION = re.compile(
    r"\W*(?:if|whether|unless|suppos(?:e|ing)|assum(?:e|ing))\b", re.IGNORECASE
)
IS_LETTER = re.compile(
    r"(?:\b(?:is|be)|:)\s(?:therefore |thus |option |choice )*[(\[]\s?(?P<letter>[A-Z])\s?[)\]]\W*\Z"
)
SENTENCE = re.compile(r"(?<=[.!?])\s+")
# What a short option text must follow at the end of a sentence to be its conclusion.
CONCLUDING = re.compile(r"(?:\b(?:is|are|was|be|equals|get|gives?)|[:=≈])\s*\Z")
READ = 50_000
"""Characters from the end within which a response is taken to state its answer."""
LONG = 4  # words
LOOP, REPEATED = 3, 40  # times, characters


def first_match(pattern: str, text: str) -> str | None:
    """The first match of `pattern` (its group, when it has one)."""
    found = re.search(pattern, text)
    return found[found.re.groups and 1] if found else None


def last_match(pattern: str, text: str) -> str | None:
    """The last match of `pattern` (its group, when it has one), as `re.findall(...)[-1]`."""
    found = None
    for found in re.finditer(pattern, text):  # noqa: B007 (the last one is wanted)
        pass
    return found[found.re.groups and 1] if found else None


def stated_letter(text: str, options: Sequence[str], *, complete: bool = True) -> str | None:
    """The letter of the option that `text` evidently answers with, or None.

    Looked for in this order; the first that finds anything decides:

    1. the last explicit statement: "the answer is (C)", "Answer: C", a box, "I choose C", "C is the
       correct answer", or the same with the whole text of an option;
    2. a last line, or a first one, that is a letter, a labelled option or an option's whole text;
    3. the one letter that is called right: "(C) is correct";
    4. the one option that the last line, or else the last sentence, names without a negation.

    What names two options ("(A) or (C)") answers with none. Where the response has a part that it
    marks as thought, only what follows it counts; a thought that is never closed states nothing.

    Args:
        text: The response.
        options: The texts of the options in the order of their letters, without the letters.
        complete: Whether the response ended by itself. The last line of one that was cut off concludes
            nothing.
    """
    plain, given = simplified((spoken(text) or "")[-READ:]).strip(), Options(options)
    looks = (
        (announced, on_a_line, called_right, concluded) if complete else (announced, called_right)
    )
    for look in looks:
        found = look(plain, given)
        if found is not None:
            return found or None
    return None


def on_a_line(text: str, options: Options) -> str | None:
    """The one option that the last line, or else the first one, consists of; SEVERAL in a list."""
    lines = [line for line in text.split("\n") if line.strip()]
    for consists_of in (_letter_of, _option_of):
        named = [consists_of(line, options) for line in lines]
        for end in (named[-1:], named[:1]):
            if any(end):
                # More of them are a list that goes through the options.
                return options.one(filter(None, named))
    return None


def _letter_of(line: str, options: Options) -> str | None:
    """The letter that the line is."""
    alone = LETTER_LINE.fullmatch(line)
    return options.one(alone["letter"].upper()) if alone else None


def _option_of(line: str, options: Options) -> str | None:
    """The option whose text the line is, with or without its letter."""
    label = LABELLED_LINE.fullmatch(line)
    text = label["text"] if label else line
    letter = options.whole(text) or options.opening(text, words=1 if label else LONG)
    return None if label and letter != label["letter"] else letter


def concluded(text: str, options: Options) -> str | None:
    """The one option that the last line, or else the last sentence, names by letter or text."""
    line = text.rpartition("\n")[2]
    sentence = SENTENCE.split(line)[-1]
    said = sentence.rstrip(" .")
    if sentence.endswith("?") or attributed(said, len(said)):
        return None
    ends_with = IS_LETTER.search(sentence)
    if ends_with and not SUPPOSITION.match(sentence):
        return options.one(ends_with["letter"])
    for part in (line, sentence, CONSEQUENCE.split(sentence)[-1]):
        named = None if NEGATION.search(part) else options.one(_mentions(part))
        # One that begins with its letter goes through the options, unless it has the only letter.
        if named and (
            not MENTION.match(part.lstrip(" -")) or options.one(_mentions(text)) == named
        ):
            return named
    # What is said over and over is a loop and concludes nothing.
    return _quoted(sentence, options) if text.count(sentence[-REPEATED:]) < LOOP else None


def _mentions(text: str) -> list[str]:
    return [match["closed"] or match["named"] for match in MENTION.finditer(text)]


def _quoted(sentence: str, options: Options) -> str | None:
    """The one option whose text ends the sentence as its conclusion."""
    given = comparable(sentence)
    # Without a full stop the response may have been cut within a number.
    finished = sentence.rstrip()[-1:] in tuple(".!") or "answer" in given
    fitting = []
    for letter, own in options.texts.items():
        before = given.removesuffix(own)
        if own and before != given and not NEGATION.search(before):
            concluding = finished and CONCLUDING.search(before)
            if concluding or (len(own.split()) >= LONG and before.endswith(" ")):
                fitting.append(letter)
    return options.one(fitting)
