"""Whether an answer that is a word, a time, a numeral or a quantity is the gold one.

Every function takes the gold answer, an answer that `written_math` has tidied, and where it is
needed the question.
"""

from __future__ import annotations

import re

from olmes.scoring.expressions.answer_math import number, same_number, side
from olmes.scoring.expressions.expression import UnreadableExpressionError, parse
from olmes.scoring.expressions.value import NoValueError, value

TRUE = ("true", "yes")
VERDICT_WORD = re.compile(r"(?<!not )\b(true|yes|false|no)\b", re.IGNORECASE)
LEADING_VERDICT = re.compile(r"(true|yes|false|no)\b\s*(?:$|[,.;:(-])", re.IGNORECASE)
NEGATION = re.compile(r"\bnot\b|n't\b", re.IGNORECASE)

OPTION = re.compile(r"\((\w)\) +(.*?)(?=  +\(\w\) |$)")
CHOSEN = re.compile(
    r"(?:(?:option|choice|answer|label|letter) )?[(\[]?(?P<letter>[a-z])[)\].:]{0,2}"
    r"(?:(?: ?[=:] ?| )(?P<value>\S.*))?",
    re.IGNORECASE,
)
CHOSEN_AFTER = re.compile(
    r"(?P<value>\S.*?),? \(?(?:option |choice )?\(?(?P<letter>[a-z])\)+",
    re.IGNORECASE,
)

CLOCK = re.compile(
    r"(?P<hour>\d{1,2})[:.](?P<minute>[0-5]\d)(?::00)? ?(?:(?P<half>[ap])\.? ?m\b\.?)?",
    re.IGNORECASE,
)
DAY_AFTER = re.compile(
    r"[(,]? ?(?:(?:on|of) )?(?:the )?(?:next|previous|following|same) day\)?$", re.IGNORECASE
)

BASED = re.compile(r"(?:_? ?\(?(?:in )?base[ -]?|_)[({]?(\d+)[)}]*$", re.IGNORECASE)
ASKED_BASE = re.compile(r"in base (\d+)", re.IGNORECASE)
PREFIXES = {2: "0b", 8: "0o", 16: "0x"}

PREFIX_NAMES = ("", "kilo", "centi", "milli", "micro", "nano")
PREFIX_SIGNS = (
    *(("", ""), ("kilo", "k"), ("centi", "c"), ("milli", "m"), ("nano", "n")),
    *(("micro", "μ"), ("micro", "u"), ("micro", "mc")),
)
NAMES = {
    "metre": "meter",
    "meter": "meter",
    "gram": "gram",
    "gramme": "gram",
    "litre": "liter",
    "liter": "liter",
    "second": "second",
}
SIGNS = {"m": "meter", "g": "gram", "l": "liter", "L": "liter", "s": "second"}
OTHER_UNITS = {
    "tonne": ("t", "tonne"),
    "second": ("sec",),
    "minute": ("min", "minute"),
    "hour": ("h", "hr", "hour"),
    "day": ("d", "day"),
    "week": ("wk", "week"),
    "month": ("month",),
    "year": ("yr", "year"),
    "decade": ("decade",),
    "century": ("century", "centurie"),
    "millennium": ("millennium", "millennia"),
}
SPELLINGS = (
    {prefix + name: prefix + unit for prefix in PREFIX_NAMES for name, unit in NAMES.items()}
    | {sign + of: prefix + unit for prefix, sign in PREFIX_SIGNS for of, unit in SIGNS.items()}
    | {spelling: unit for unit, spellings in OTHER_UNITS.items() for spelling in spellings}
)
"""Units of the benchmark by their spellings, in the singular, and by their signs."""
TARGETS = (
    re.compile(r"Convert .* to (\w+)\.$"),
    re.compile(r"How many (\w+) are there"),
    re.compile(r"What is .* in (\w+)\?$"),
)
WITH_UNIT = re.compile(r"(?P<number>.*[\d)}]) ?\(?(?P<unit>[a-zA-Zμ]+)\)?")
IN_OTHER_WORDS = re.compile(r" ?\([^()]*[a-zA-Z]{2}[^()]*\)$")


def same_truth(gold: str, answer: str) -> bool:
    """Whether an answer says yes where the gold is True, no where it is False, and not both."""
    if answer in ("T", "F"):
        return answer == gold[0]
    leads = LEADING_VERDICT.match(answer)
    if leads and not VERDICT_WORD.fullmatch(answer[leads.end() :].strip()):
        said = {leads[1].lower() in TRUE}
    elif leads or not NEGATION.search(answer):
        said = {word.lower() in TRUE for word in VERDICT_WORD.findall(answer)}
    else:
        said = set()
    return said == {gold.lower() in TRUE}


def options(question: str) -> dict[str, str]:
    """The options `(a) 1/4  (b) 9/4` of a question, by letter."""
    return dict(OPTION.findall(question))


def same_choice(gold: str, answer: str, question: str) -> bool:
    """Whether an answer names the gold option by its letter, or gives its value alone.

    A value beside the letter must be the option's.
    """
    given = options(question)
    found = CHOSEN.fullmatch(answer) or CHOSEN_AFTER.fullmatch(answer)
    if found and found["letter"].lower() in given:
        return found["letter"].lower() == gold and (
            found["value"] is None or same_value(given[gold], found["value"])
        )
    return [letter for letter, text in given.items() if same_value(text, answer)] == [gold]


def same_value(wanted: str, answer: str) -> bool:
    """Whether an answer is a given number or name."""
    answer = side(answer)
    try:
        return bool(value(parse(wanted), {}) == number(answer))
    except (UnreadableExpressionError, NoValueError, KeyError):
        return wanted.lower() == answer.lower()


def same_name(gold: str, answer: str) -> bool:
    """Whether an answer names the gold variable; `z = 3` names `z`."""
    found = re.fullmatch(r"\(?([a-zA-Z])\)?(?: ?=.*)?", answer)
    return bool(found) and found[1].lower() == gold.lower()  # type: ignore[index]


def same_time(gold: str, answer: str) -> bool:
    """Whether an answer is the gold time of day, on either clock."""
    wanted, found = minutes(gold), minutes(DAY_AFTER.sub("", answer).strip(" ()[]"))
    return found is not None and found == wanted


def minutes(text: str) -> int | None:
    """Minutes since midnight; None for no time, or one that could be in either half of the day."""
    found = CLOCK.fullmatch(text)
    if not found or int(found["hour"]) > 23:
        return None
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if not half and 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return 60 * hour + int(found["minute"])


def same_numeral(gold: str, answer: str, question: str) -> bool:
    """Whether an answer is the gold digits in the base that was asked for."""
    asked = ASKED_BASE.findall(question)
    base = int(asked[-1]) if asked else 10
    said = BASED.search(answer)
    if said:
        if int(said[1]) != base:
            return False
        answer = answer[: said.start()]
    answer = re.sub(r"[\s,_()\[\]{}]", "", side(answer)).lower()
    sign, digits = answer[: len(answer) - len(answer.lstrip("+-"))], answer.lstrip("+-")
    negative = gold.startswith("-")
    return sign in (("-",) if negative else ("", "+")) and gold.lstrip("-").lower() in (
        digits.lstrip("0") or "0",
        digits.removeprefix(PREFIXES.get(base, " ")).lstrip("0") or "0",
    )


def same_quantity(gold: str, answer: str, question: str) -> bool:
    """Whether an answer is the gold number, alone or with the unit the question asks for."""
    answer = side(IN_OTHER_WORDS.sub("", answer))
    if same_number(gold, answer):
        return True
    found = WITH_UNIT.fullmatch(answer)
    target = next((match[1] for each in TARGETS if (match := each.search(question))), "")
    return (
        found is not None
        and unit(found["unit"]) == unit(target) != ""
        and same_number(gold, found["number"])
    )


def unit(word: str) -> str:
    """One name for a unit's spellings and abbreviation; empty when it is none."""
    # A capital would change an abbreviation: Mm is not a millimetre.
    word = word if len(word) < 3 else word.lower()
    return SPELLINGS.get(word) or SPELLINGS.get(word.removesuffix("s"), "")
