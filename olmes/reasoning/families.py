"""The marks that models write round a thought, by family.

Sources: the chat templates and tokenizers of the models that are named, and OpenAI's description of
the harmony format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from olmes.errors import OlmesError


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one family."""

    name: str
    opening: str
    """Begins a thought."""
    closing: str
    """Ends it."""
    answers: tuple[tuple[str, str], ...] = ()
    """What may stand round the answer behind a thought: beginning and end, which may be missing."""
    between: tuple[str, ...] = ()
    """What may stand between a thought and what follows it, and is neither."""
    label: str = ""
    """A word that may follow the opening mark and is no part of the thought."""


FAMILIES: tuple[Marks, ...] = (
    # Qwen3, DeepSeek-R1, OLMo 3, GLM, SmolLM3, MiniMax, Nemotron; Hunyuan and ERNIE mark the answer.
    Marks(
        "think", "<think>", "</think>",
        answers=(("<answer>", "</answer>"), ("<response>", "</response>")),
    ),
    Marks("thinking", "<thinking>", "</thinking>", answers=(("<answer>", "</answer>"),)),
    Marks("thought", "<thought>", "</thought>"),  # EXAONE Deep
    Marks("thoughts", "<thoughts>", "</thoughts>"),
    Marks("reasoning", "<reasoning>", "</reasoning>", answers=(("<answer>", "</answer>"),)),
    Marks("reflection", "<reflection>", "</reflection>"),
    Marks("scratchpad", "<scratchpad>", "</scratchpad>", answers=(("<answer>", "</answer>"),)),
    Marks("seed", "<seed:think>", "</seed:think>"),  # Seed-OSS
    Marks("longcat", "<longcat_think>", "</longcat_think>"),
    Marks("kimi", "◁think▷", "◁/think▷"),  # Kimi-VL Thinking
    Marks("mistral", "[THINK]", "[/THINK]"),  # Magistral
    Marks(
        "harmony", "<|channel|>analysis<|message|>", "<|end|>",
        answers=(("<|channel|>final<|message|>", "<|return|>"),),
        between=("<|start|>assistant",),
    ),
    Marks(
        "command", "<|START_THINKING|>", "<|END_THINKING|>",
        answers=(("<|START_RESPONSE|>", "<|END_RESPONSE|>"),),
    ),
    Marks(
        "openthinker", "<|begin_of_thought|>", "<|end_of_thought|>",
        answers=(("<|begin_of_solution|>", "<|end_of_solution|>"),),
    ),
    Marks("gemma", "<|channel>", "<channel|>", label="thought"),  # 4
    Marks("apertus", "<|inner_prefix|>", "<|inner_suffix|>"),
    Marks(
        "solar", "<|think|>", "<|end|>",
        answers=(("<|content|>", "<|end|>"),), between=("<|begin|>assistant",),
    ),  # Solar Open
    Marks("solar-2", "<|think:start|>", "<|think:end|>"),
    Marks("plamo", "<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    Marks("pangu", "[unused16]", "[unused17]"),  # openPangu, whose tokens have no other names
    Marks(
        "apriel", "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]",
        answers=(("", "[END FINAL RESPONSE]"),),
    ),
    Marks(
        "granite", "Here is my thought process:", "Here is my response:",
    ),  # 3.2, which writes words where others have marks
    Marks(
        "harmony-words", "analysis", "assistantfinal",
    ),  # what is left of harmony where an engine drops special tokens
)  # fmt: skip

WORDS = ("granite", "apriel", "harmony-words")
"""Families whose marks are plain words: looked for only where a thought may begin."""
PAIRED = ("harmony-words", "pangu")
"""Families whose opening says nothing unless the closing mark follows."""
SHARED = ("harmony", "solar")
"""Families whose closing mark ends other things too, so that alone it says nothing."""
ANY_TAG = re.compile(
    r"\s*<((?:[a-z]+[:_-])*(?:think|thought|reason|reflect|scratchpad)[a-z]*(?:[:_-][a-z]+)*)>",
    re.IGNORECASE,
)
"""A tag that says by its name that a thought begins, of whatever family."""
HARMONY = (
    r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)"
    r"(?:[^<]|<\|constrain\|>){0,80}<\|message\|>"
)
"""A turn of harmony that is no answer; a recipient or a format may stand in its head."""


def exactly(mark: str) -> str:
    """The regular expression of a mark. Tags of angle brackets are read in any case.

    A title may be <<Think>>, and something to be filled in [think].
    """
    if mark == "<|channel|>analysis<|message|>":
        return HARMONY
    found = re.escape(mark)
    if re.fullmatch(r"</?[a-z:_]+>", mark):
        return rf"(?<!<)(?i:{found})(?!>)"
    return found


MARK = re.compile(
    "|".join(
        exactly(mark)
        for family in FAMILIES
        if family.name not in (*WORDS, *SHARED, "pangu")
        for mark in (family.opening, family.closing)
    )
    + r"|<\|channel\|>(?:analysis|commentary|final)"
)
"""Any mark of a family."""


def marks_in(text: str) -> str:
    """The first well-known mark in a text; '' where there is none."""
    found = MARK.search(text)
    return found[0] if found else ""


def tagged(text: str) -> Marks | None:
    """The marks of a text that opens with a tag named as thoughts are; None where it does not."""
    found = ANY_TAG.match(text)
    return Marks("tagged", f"<{found[1]}>", f"</{found[1]}>") if found else None


def families_of(text: str, tokens: Iterable[str] = ()) -> tuple[Marks, ...]:
    """The families whose closing marks a chat template or a vocabulary's added tokens hold."""
    known = set(tokens)

    def holds(mark: str) -> bool:
        return mark in text or mark in known

    channels = holds("<|channel|>")
    return tuple(
        family
        for family in FAMILIES
        if (holds(family.closing) and holds(family.opening))
        or (family.name.startswith("harmony") and channels)
    )


def parse_marks(written: str) -> tuple[Marks, ...]:
    """The marks of `--reasoning-tags`: `OPENING,CLOSING`, a family's name, or `none`.

    Raises:
        OlmesError: it is none of these.
    """
    if written == "none":
        return ()
    for family in FAMILIES:
        if written in (family.name, f"{family.opening},{family.closing}"):
            return (family,)
    opening, comma, closing = (part.strip() for part in written.partition(","))
    if not (comma and opening and closing) or opening == closing:
        names = ", ".join(family.name for family in FAMILIES)
        raise OlmesError(
            f"--reasoning-tags {written}: write OPENING,CLOSING such as '<think>,</think>', none, or "
            f"one of {names}."
        )
    return (Marks("given", opening, closing),)
