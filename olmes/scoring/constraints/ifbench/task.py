"""What the tasks `ifeval_ood` and `ifbench` are: one benchmark under the protocol's name and its own.

Tülu 3 calls its unseen instructions IFEval-OOD and never published the prompts. The authors released
a successor in 2025, IFBench, and OLMES has run `ifeval_ood::tulu` on it since. Scores are therefore
not comparable with the paper's 17 to 35 % for IFEval-OOD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from olmes import (
    DataFile,
    Formulation,
    Generation,
    HubSplit,
    Metric,
    Response,
    Source,
    Verdict,
)
from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifbench.compose import compose, offend
from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.constraints.judging import LEVELS, judge, levels, none_met
from olmes.types import Doc, VerdictPart


@dataclass(frozen=True, kw_only=True)
class IFBenchFormulation(Formulation):
    """The settings of IFBench."""

    compat: Literal["", "reference"] = ""
    """Judge by what the constraints say (empty), or by the checks published with the benchmark, some
    of which are vacuous or broken."""


class IFBenchTask(InstructionTask):
    """Every constraint of the prompt, checked by a program."""

    source = Source(
        files=(
            DataFile(
                path="ifbench/IFBench_test.jsonl.gz",
                github="allenai/IFBench:data/IFBench_test.jsonl"
                "@db69a6f05689830b0068b8f1529ebcfd2f3b164c",
                sha256="a2bf7b8e7ed11d39c65b4ec781da8b99663ed0121f97033d70fcecb61f8a9d85",
                rows=300,
            ),
        ),
        hub=(HubSplit(repository="allenai/IFBench_test", split="train"),),
        fields=("key", "prompt", "instruction_id_list", "kwargs"),
        content_hash="d0312dfa7cc91ac16e4c9bfbeb884bf0211430571e409ffb1eadd0b9a5719be1",
        licence="ODC-BY",
    )
    metrics = (
        *LEVELS,
        Metric(
            name="prompt_level_loose_reference",
            help="prompt_level_loose by the published checks, as published numbers are made",
        ),
    )
    formulation: IFBenchFormulation = IFBenchFormulation(
        version=1,
        shots=0,
        question="{prompt}",
        generation=Generation(max_tokens=2048),
    )

    def score(self, doc: Doc, response: Response) -> Verdict:
        """A strict and a loose verdict on each constraint, and on all of them together.

        A part says where the published check and the statement do not agree.
        """
        stated = judge(constraints(doc), response.text)
        published = judge(constraints(doc, by_reference=True), response.text)
        by_reference = self.formulation.compat == "reference"
        parts, others = (published, stated) if by_reference else (stated, published)
        other = "as stated" if by_reference else "by the published check"
        parts = [_compared(*pair, other) for pair in zip(parts, others, strict=True)]
        return Verdict(
            values={
                **levels(parts),
                "prompt_level_loose_reference": float(all(part["loose"] for part in published)),
            },
            note="" if response.text.strip() else "a blank response meets no constraint",
            parts=parts,
        )

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:
        """Nothing met, one flag a constraint."""
        return none_met(len(doc["instruction_id_list"])) | {"prompt_level_loose_reference": 0.0}

    def prepare(self) -> None:
        """Load the sentence model, the tagger, the emojis and the syllables."""
        for constraint in constraints(WARM_UP):
            constraint.check("Warm up. Then run.")

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A text built to meet every constraint; one that misses a constraint when `corrupt`.

        Blank where none is known; docs/ifbench-agreement.md lists these items.
        """
        wanted, published = constraints(doc), constraints(doc, by_reference=True)
        text = offend(wanted, published) if corrupt else compose(wanted, published)
        return Response(text=text or "")


WARM_UP = {
    "instruction_id_list": ["words:start_verb", "format:emoji", "words:odd_even_syllables"],
    "kwargs": [{}, {}, {}],
}


def constraints(doc: Doc, *, by_reference: bool = False) -> tuple[Constraint, ...]:
    """The constraints of an item."""
    catalog = IFBENCH_BY_REFERENCE if by_reference else IFBENCH
    return catalog.item(doc["instruction_id_list"], doc["kwargs"], key=doc.get("key", "?"))


def _compared(part: VerdictPart, other: VerdictPart, name: str) -> VerdictPart:
    """`part` with a note where `other`, the verdict of the check called `name`, is another."""
    verdicts = {
        "strictly": (part["strict"], other["strict"]),
        "loosely": (part["loose"], other["loose"]),
    }
    differing = {mode: theirs for mode, (ours, theirs) in verdicts.items() if ours != theirs}
    if not differing:
        return part
    said = ", ".join(f"{mode} {'met' if met else 'missed'}" for mode, met in differing.items())
    notes = [*filter(None, [part.get("note", "")]), f"{name}: {said}"]
    return {**part, "note": "; ".join(notes)}
