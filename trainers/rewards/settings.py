"""What a recipe says of rewards that are no benchmark's: functions of one's own, and a judge."""

from __future__ import annotations

from dataclasses import dataclass

from olmes.errors import OlmesError


@dataclass(frozen=True, kw_only=True)
class RewardFunction:
    """How a function of one's own is called; docs/training.md says with what."""

    weight: float = 1.0
    """What its value is multiplied by before it is added to the others; a row that names the function
    may give its own."""
    seconds: float = 5.0
    """How long it may take on one response; what takes longer is stopped, and counts 0."""
    memory_gb: float = 2.0
    """Memory it may take on one response; what takes more counts 0."""
    every_row: bool = True
    """Whether it rewards the responses of all rows, or of those that name it."""

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_gb"):
            if getattr(self, name) <= 0:
                raise OlmesError(f"{name} is {getattr(self, name):g}; give a number above 0.")


@dataclass(frozen=True, kw_only=True)
class RewardJudge:
    """The language model that judges responses, where a row or this table asks for it."""

    model: str = ""
    """As after --judge: NAME, openai:NAME@URL, ...; without one nothing is judged."""
    rubric: str = ""
    """What makes a response good, for the responses of all rows; empty leaves it to the rows."""
    weight: float = 1.0
    """Of `rubric`."""
    max_tokens: int = 512
    """The most tokens of a judgement."""
    budget: int | None = None
    """Tokens that the judge may read and write, in each process of the training; then responses stay
    without a reward of it."""
    batch_size: int | None = None
    """Questions that are put at once."""
