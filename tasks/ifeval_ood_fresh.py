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

from olmes import (
    Formulation,
    Generation,
    Response,
    Source,
    Verdict,
)
from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.fresh.instructions import FRESH, Base, draw_exam, read_bases
from olmes.scoring.constraints.ifbench.compose import compose, offend
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.constraints.judging import judge, levels
from olmes.types import Doc

WARM_UP = ("words:start_verb", "format:emoji", "words:odd_even_syllables")


@dataclass(frozen=True, kw_only=True)
class FreshFormulation(Formulation):
    """The settings of an exam."""

    seed: int = 2411
    """Which exam is drawn."""
    per_type: int = 6
    """Prompts of each constraint type."""


class IFEvalOODFresh(InstructionTask):
    """One constraint a prompt, checked by a program as IFBench's are."""

    name = "ifeval_ood_fresh"
    title = "IFEval-OOD (fresh)"
    source = Source(
        files=(),
        fields=("key", "prompt", "instruction_id_list", "kwargs"),
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
        return draw_exam(bases(), seed=form.seed, per_type=form.per_type)

    def subtask(self, doc: Doc) -> str:
        """The group of the constraint: count, format, ratio, sentence, words or custom."""
        group, _, _ = doc["instruction_id_list"][0].partition(":")
        return str(group)

    def score(self, doc: Doc, response: Response) -> Verdict:
        """A strict and a loose verdict on the constraint."""
        parts = judge(constraints(doc), response.text)
        note = "" if response.text.strip() else "a blank response meets no constraint"
        return Verdict(values=levels(parts), note=note, parts=parts)

    def prepare(self) -> None:
        """Load the sentence model, the tagger, the emojis, the syllables and the French words."""
        for id_ in WARM_UP:
            FRESH.build(id_, {}).check("Warm up. Then run.")
        FRESH.build("count:words_french", {"N": 1}).check("maison")

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A text built to meet the constraint; one that misses it when `corrupt`."""
        wanted = constraints(doc)
        text = offend(wanted, wanted) if corrupt else compose(wanted, wanted)
        return Response(text=text or "")


@cache
def bases() -> tuple[Base, ...]:
    """The requests that constraints are put on."""
    return read_bases(Path(__file__).with_suffix(".toml"))


def constraints(doc: Doc) -> tuple[Constraint, ...]:
    """The constraints of an item."""
    return FRESH.item(doc["instruction_id_list"], doc["kwargs"], key=doc.get("key", "?"))


TASK = IFEvalOODFresh()
