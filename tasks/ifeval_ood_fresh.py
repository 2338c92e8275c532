"""IFEval-OOD with prompts of our own: Tülu 3's 52 constraint types (section 7.3.1, Table 47), 0-shot.

Tülu 3's prompts were never published, and IFBench's are, so that any later model may have seen them.
These are drawn with a seed: a constraint of each type on requests written for this project, at least
six a type. The seed is part of the formulation; another one is a new exam, whose numbers are not
comparable with the first one's. docs/ifeval-ood-fresh.md says more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from olmes import Doc, Formulation, Generation, Source
from olmes.scoring.constraints.fresh.instructions import FRESH, Base, draw_exam, read_bases
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.compose import compose, offend
from olmes.scoring.constraints.instruction_task import InstructionTask

WARM_UP = ("words:start_verb", "format:emoji", "words:odd_even_syllables")


@dataclass(frozen=True, kw_only=True)
class FreshFormulation(Formulation):
    """The settings of an exam."""

    seed: int = 2411
    """Which exam is drawn."""
    per_type: int = 6
    """Prompts of each constraint type."""


class IFEvalOODFresh(InstructionTask[OodConstraint]):
    """One constraint a prompt, checked by a program as IFBench's are."""

    name = "ifeval_ood_fresh"
    title = "IFEval-OOD (fresh)"
    extras = ("ifbench",)
    catalog = FRESH
    source = Source(
        files=(),
        fields=("key", "prompt", "instruction_id_list", "kwargs"),
        question=("prompt",),
        content_hash="7f48f145495289c0528a5bca7aeee3cfc02d185233ef23e469e86acdc79b9ef2",
        licence="Apache-2.0",
    )
    formulation: FreshFormulation = FreshFormulation(
        version=1,
        shots=0,
        question="{prompt}",
        generation=Generation(max_tokens=2048),
    )

    def generated(self) -> Sequence[Doc]:
        """The exam of the formulation's seed.

        Raises:
            OlmesError: there are not so many prompts of a type.
        """
        form = self.formulation
        return draw_exam(self.name, bases(), seed=form.seed, per_type=form.per_type)

    def subtask(self, doc: Doc) -> str:
        """The group of the constraint: count, format, ratio, sentence, words or custom."""
        group, _, _ = doc["instruction_id_list"][0].partition(":")
        return str(group)

    def prepare(self) -> None:
        """Load the sentence model, the tagger, the emojis, the syllables and the French words."""
        for id_ in WARM_UP:
            FRESH.build(id_, {}).check("Warm up. Then run.")
        FRESH.build("count:words_french", {"N": 1}).check("maison")

    def meeting(self, doc: Doc) -> str | None:
        """A text that meets the constraint."""
        return compose(self.constraints(doc))

    def missing(self, doc: Doc) -> str | None:
        """A text that misses the constraint."""
        return offend(self.constraints(doc))


@cache
def bases() -> tuple[Base, ...]:
    """The requests that constraints are put on."""
    return read_bases(Path(__file__).with_suffix(".toml"))


TASK = IFEvalOODFresh()
