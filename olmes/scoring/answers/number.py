r"""The number a response gives as its answer.

A number that is only the beginning or the end of something else is not it: of `18\frac{1}{2}`, 18:30,
`18^2`, 18-20, "18 or 19", "5 feet 6 inches", `\sqrt{18}` none is 18. "18 million" is eighteen million.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from olmes.scoring.answers import content
from olmes.scoring.answers.mark import Origin
from olmes.scoring.answers.number_words import NUMBER as IN_WORDS
from olmes.scoring.answers.number_words import in_digits
from olmes.scoring.answers.statement import stated_answer
from olmes.scoring.expressions.expression import UnreadableExpressionError
from olmes.scoring.expressions.notation import tidied

# A sign belongs to a number when nothing that could be subtracted from stands before it.
NUMBER = re.compile(
    r"(?P<sign>(?<![\w)\]}.%])(?<![\w)\]}.%]\s)[-+]\s?)?(?:[€£¥₹]\s?)?(?P<sign_after>(?<=[€£¥₹])[-+])?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?|\.\d+)"
    r"(?P<exponent>[eE][-+]?\d{1,2}(?!\w))?(?:\s?/\s?(?P<denominator>\d+)(?![\d.]))?"
    r"(?P<magnitude>\s?(?:hundred|thousand|million|billion|trillion)\b|[kK]\b)?"
)
DIGIT = re.compile(r"[\d½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")
LONGEST_NUMBER = 1000
"""Python refuses to convert more than 4,300 digits, and nobody is asked for as many."""
MAGNITUDES = {
    "hundred": 10**2,
    "thousand": 10**3,
    "k": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
FRACTION = re.compile(r"\(\s?\(\s?([\d.]+)\s?\)/\(\s?([\d.]+)\s?\)\s?\)|\((\d+/\d+)\)")
"""As `tidied` writes them."""
WRAPPING = re.compile(r"[\\${}*`]")
AFTER_LETTERS = re.compile(r"(?<=[A-Za-z])\.(?=\s?\d)")
BOLD = re.compile(r"\*\*([^*\n]*\d[^*\n]*)\*\*|\\(?:textbf|mathbf)\{([^{}]*\d[^{}]*)\}")
REASON = re.compile(r",?\s(?:because|since|as|where|given|which|so)\b|\s\((?=[^()]*=)")
"""What begins the reason for an answer."""

PREPOSITIONS = (
    "of|in|for|per|every|each|after|at|on|from|with|than|is|are|was|were|because|since|when|if|as|over"
    "|within|during|out|who|which|that|left|more|less|not|so|this|a|an"
)
UNIT = rf"(?!(?:{PREPOSITIONS})\b)[a-z%°]+(?:\s(?!(?:{PREPOSITIONS})\b)[a-z]+)?"
OPERATION = re.compile(
    r"\s?(?:\*\*|[-+*/^:;x]|±|(?:or|to|by|divided by|minus|plus|times)(?=\s))\s?[($]?\s?"
)
JUXTAPOSED = re.compile(rf"\s?{UNIT}\s")
COMPOUND = re.compile(
    r"\s?(?:feet|foot|ft|hours?|dollars?|pounds?|lbs?|meters?|kilograms?|gallons?),?\s(?:and\s)?"
)
"""Between the parts of a quantity in two units."""
LISTED = re.compile(rf"(?:\s?{UNIT})?\s?(?:,|,?\s?and|,?\s?or|&|[-+*/])\s?|\s")
GOES_ON = re.compile(
    r"\s?(?:\*\*|[\^/<>≤≥±]|:\d|[-+*]\s?[(a-z]|!(?=\s\w)|(?:sqrt|root|pi|log)\b|%?\sof\s(?:the\s)?\d)"
)
"""What behind a number makes it another."""
FUNCTION = re.compile(
    r"(?:(?:sqrt|root|log|ln|sin|cos|tan|exp|abs|not)\s?\(*|[<>≤≥±^]=?|\*\*\s?\(?)\s?\Z"
)
"""What before a number makes it another."""
SPAN = re.compile(
    r"\b(?:in|after|for|within|over|during|every|each|per|of)\s(?:the\s)?"
    r"(?:(?:next|first|last|past)\s)?\Z"
)
OF_TIME = re.compile(r"\s?-?(?:second|minute|hour|day|week|weekend|month|year|school year)s?\b")


def stated_number(text: str, *, complete: bool = True) -> Fraction | None:
    """The one number that a response states as its answer, exactly; None where it states none.

    A sign counts, `18.0` is 18, `1,234` and `1{,}234` are 1234, `3/4` and `0.75` are equal.

    Args:
        text: the response.
        complete: whether it ended by itself (`stated_answer`).
    """
    stated = stated_answer(text, complete=complete, wanted=holds_number)
    if stated is None:
        return None
    return number_of(stated.text, in_sentence=stated.origin is Origin.LINE)


def holds_number(text: str) -> bool:
    """Whether a stretch holds a number in digits, or begins with one in words."""
    return bool(DIGIT.search(text)) or bool(IN_WORDS.match(content.plain(text)))


def number_of(text: str, *, in_sentence: bool = False) -> Fraction | None:
    """The number that a statement gives, or that a sentence arrives at.

    Of a statement that begins with a number it is that one; of "that she makes 18 dollars in 7 days"
    the one in bold, else the last that is no span of time. What follows an "=" goes before.
    """
    bold = [found[1] or found[2] for found in BOLD.finditer(text)]
    text = readable(text)
    reason = None if in_sentence else REASON.search(text)
    if reason and NUMBER.search(text, 0, reason.start()):
        text = text[: reason.start()]
    left, equals, right = text.rpartition("=")
    if equals and left.endswith((">", "<")):
        return None
    if equals and NUMBER.search(right):
        text = right
    begins = content.MATHEMATICS.match(content.plain(text))
    if not in_sentence and content.COMPARISON.match(content.plain(text)):
        return None
    if begins and (equals or not in_sentence):
        return alone(text, first=True)
    if len(bold) == 1:
        return number_of(bold[0])
    return alone(text, first=False)


def readable(text: str) -> str:
    """`text` in plain characters: no LaTeX, no Markdown, ASCII digits, numbers not in words."""
    text = "".join(
        str(unicodedata.decimal(each)) if each.isdecimal() else each for each in in_digits(text)
    )
    text = AFTER_LETTERS.sub(" ", text)
    try:
        text = tidied(text)
    except UnreadableExpressionError:
        text = WRAPPING.sub(" ", text)
    return FRACTION.sub(lambda found: found[3] or f"{found[1]}/{found[2]}", text)


def alone(text: str, *, first: bool) -> Fraction | None:
    """The first or the last number of a text; None where it is a part of something else."""
    found = list(NUMBER.finditer(text))
    if not first:
        lasting = [each for each in found if not is_span(text, each)]
        found = found if not lasting else found[: found.index(lasting[-1]) + 1]
    if not found:
        return None
    at = 0 if first else len(found) - 1
    one = found[at]
    if GOES_ON.match(text, one.end()) or FUNCTION.search(text[: one.start()]):
        return None
    before = text[found[at - 1].end() : one.start()] if at else ""
    after = text[one.end() : found[at + 1].start()] if at + 1 < len(found) else ""
    joints = (LISTED, OPERATION, JUXTAPOSED) if first else (OPERATION, COMPOUND)
    if any(joint.fullmatch(after if first else before) for joint in joints):
        return None
    return value_of(one)


def is_span(text: str, number: re.Match[str]) -> bool:
    """Whether a number only says for how long: "in 7 days"."""
    return bool(SPAN.search(text[: number.start()]) and OF_TIME.match(text, number.end()))


def value_of(found: re.Match[str]) -> Fraction | None:
    """The exact value of a match of `NUMBER`; None for one too long to be an answer."""
    if len(found[0]) > LONGEST_NUMBER:
        return None
    value = Fraction(found["number"].replace(",", "") + (found["exponent"] or ""))
    if found["denominator"]:
        if not int(found["denominator"]):
            return None
        value /= int(found["denominator"])
    if found["magnitude"]:
        value *= MAGNITUDES[found["magnitude"].strip().lower()]
    sign = (found["sign"] or found["sign_after"] or "").strip()
    return -value if sign == "-" else value
