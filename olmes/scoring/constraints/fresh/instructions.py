"""An exam: Tülu 3's 52 constraint types, drawn onto requests with a seed.

Nothing but the seed decides what is drawn: `random.Random` is seeded with a text, which it hashes
with SHA-512, and `randint`, `choice`, `choices` and `sample` gave the same exams on Python 3.11, 3.12
and 3.13. The standard exam's content hash is declared by the task, so that a difference is seen.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from olmes.errors import OlmesError
from olmes.scoring.constraints.catalog import Catalog
from olmes.scoring.constraints.fresh.custom import CUSTOM
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.instructions import KINDS
from olmes.types import Doc

LATER = frozenset((
    "count:keywords_multiple", "count:words_japanese", "format:no_whitespace",
    "format:output_template", "format:title_case", "repeat:repeat_change", "repeat:repeat_simple",
    "repeat:repeat_span", "words:keywords_specific_position", "words:words_position",
))  # fmt: skip
"""IFBench's own types, which Tülu 3 does not have."""

FRESH: Catalog[OodConstraint] = Catalog(
    *(kind for kind in KINDS if kind.id not in LATER and not kind.id.startswith("custom:")), *CUSTOM
)
"""Tülu 3's 52 types (Table 47), judged by what they say; the stand-alone ones take arguments."""

FAMILIES = {
    "prose": (
        "count:conjunctions", "count:pronouns", "count:punctuation", "count:unique_word_count",
        "count:word_count_range", "count:words_french", "format:parentheses",
        "ratio:sentence_balance", "ratio:sentence_type", "ratio:stop_words", "sentence:increment",
        "sentence:keyword", "words:last_first", "words:palindrome", "words:start_verb",
    ),
    "brief": (
        "format:line_indent", "format:newline", "ratio:sentence_words",
        "sentence:alliteration_increment", "words:alphabet", "words:consonants",
        "words:no_consecutive", "words:odd_even_syllables", "words:prime_lengths", "words:repeats",
        "words:vowel",
    ),
    "list": ("format:list", "format:no_bullets_bullets", "format:sub-bullets"),
    "sections": ("format:thesis", "words:paragraph_last_first"),
    "quotes": ("format:quote_unquote", "format:quotes"),
    "people": ("count:person_names",),
    "places": ("count:countries",),
    "numbers": ("count:numbers",),
    "casual": ("format:emoji",),
    "options": ("format:options",),
    "code": ("format:camel_case",),
    "polish": ("count:levenshtein",),
    "retell": ("ratio:overlap",),
}  # fmt: skip
"""The constraint types that are put on a request of each family; `custom` ones are put on none."""

FAMILY = {id_: family for family, ids in FAMILIES.items() for id_ in ids}

READS_WELL: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "count:levenshtein": lambda given: given["N"] >= 10,
    "count:numbers": lambda given: given["N"] >= 2,  # "exactly 1 numbers"
    "count:person_names": lambda given: 3 <= given["N"] <= 12,
    "count:pronouns": lambda given: given["N"] >= 5,
    "ratio:overlap": lambda given: given["percentage"] <= 60,  # more is a copy, and no retelling
    "ratio:stop_words": lambda given: given["percentage"] >= 20,
    "sentence:increment": lambda given: given["small_n"] >= 2,  # "exactly 1 more words"
    "sentence:keyword": lambda given: 4 <= given["N"] <= 12,  # "the 2-th sentence", "the 20-th"
    "words:repeats": lambda given: given["small_n"] >= 2,  # "more than 1 times"
}
"""Which drawn arguments are asked for; others are drawn again."""

JOINTS = (" ", "\n", "\n\n")
"""What stands between a request and its constraint."""

DRAWS = 40
"""Stand-alone prompts that are drawn for each that is wanted, of which the different ones count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A request onto which constraints are put."""

    text: str
    suits: tuple[str, ...]
    """Families of constraints that its answer can be made to meet."""
    keywords: tuple[str, ...] = ()
    """Words a good answer may well use."""
    options: str = ""
    """The answers to choose from."""
    reference: str = ""
    """The text to rework."""


def read_bases(path: Path) -> tuple[Base, ...]:
    """The requests of a TOML file."""
    return tuple(
        Base(
            text=row["text"],
            suits=tuple(row["suits"]),
            keywords=tuple(row.get("keywords", ())),
            options=row.get("options", ""),
            reference=row.get("reference", ""),
        )
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["base"]
    )


def draw_exam(name: str, bases: Sequence[Base], *, seed: int, per_type: int) -> list[Doc]:
    """`per_type` items of each of the 52 types, as rows of IFBench's schema.

    The items go round the types, so that the first 52 are one of each.

    Args:
        name: of the exam; another name is another draw.
        bases: the requests that constraints are put on.
        seed: which exam is drawn.
        per_type: prompts of each type.

    Raises:
        OlmesError: `per_type` is below 1, or there are not so many different prompts of a type.
    """
    if per_type < 1:
        raise OlmesError(f"{name}.per_type must be 1 or more, not {per_type}.")
    by_type = []
    for kind in FRESH.kinds:
        rng = Random(f"{name} {seed} {kind}")  # noqa: S311 (an exam, not a secret)
        by_type.append(_draw_type(rng, kind, bases, per_type))
        if (there := len(by_type[-1])) < per_type:
            raise OlmesError(
                f"there are {there} different prompts for {kind}, too few for per_type={per_type}; "
                f"set {name}.per_type to {there} or less."
            )
    rounds = (item for turn in zip(*by_type, strict=True) for item in turn)
    return [
        {
            "key": f"{seed}-{number}",
            "prompt": prompt,
            "instruction_id_list": [constraint.id],
            "kwargs": [constraint.arguments()],
        }
        for number, (prompt, constraint) in enumerate(rounds, start=1)
    ]


def _draw_type(
    rng: Random, id_: str, bases: Sequence[Base], count: int
) -> list[tuple[str, OodConstraint]]:
    """`count` prompts of one type with their constraints, or as many as there are."""
    if id_ not in FAMILY:
        return _draw_custom(id_, rng, count)
    suitable = [base for base in bases if FAMILY[id_] in base.suits]
    items = []
    for base in rng.sample(suitable, min(count, len(suitable))):
        constraint = _fitted(id_, base, rng)
        # An option on a line of its own is not followed by anything on that line.
        joint = "\n\n" if "\n" in base.text else rng.choice(JOINTS)
        items.append((f"{base.text}{joint}{constraint.describe()}", constraint))
    return items


def _draw_custom(id_: str, rng: Random, count: int) -> list[tuple[str, OodConstraint]]:
    drawn = [FRESH.kinds[id_].draw(rng) for _ in range(DRAWS * count)]
    different = {constraint.describe(): constraint for constraint in drawn}
    # What a prompt is about is its first argument; a second one about the same comes later.
    seen: Counter[str] = Counter()
    turns: dict[str, int] = {}
    for prompt, constraint in different.items():
        subject = str(next(iter(constraint.arguments().values())))
        turns[prompt] = seen[subject]
        seen[subject] += 1
    return sorted(different.items(), key=lambda item: turns[item[0]])[:count]


def _fitted(id_: str, base: Base, rng: Random) -> OodConstraint:
    """A constraint whose arguments read well and belong to the request."""
    arguments = FRESH.kinds[id_].draw(rng, base.reference).arguments()
    while id_ in READS_WELL and not READS_WELL[id_](arguments):
        arguments = FRESH.kinds[id_].draw(rng, base.reference).arguments()
    if "reference_text" in arguments:
        arguments["reference_text"] = base.reference
    if "options" in arguments:
        arguments["options"] = base.options
    if "word" in arguments:
        arguments["word"] = rng.choice(base.keywords)
    return FRESH.build(id_, arguments)
