"""IFEval-OOD: instructions no model was tuned on, 0-shot (Tülu 3, Table 24; OLMES `ifeval_ood::tulu`).

Tülu 3 calls its unseen instructions IFEval-OOD and never published the prompts. The authors released
a successor in 2025, IFBench (Pyatkin et al. 2025), and OLMES has run `ifeval_ood::tulu` on it since.
Scores are therefore not comparable with the paper's 17 to 35 % for IFEval-OOD. `ifbench` is the same
task under the benchmark's own name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    HubSplit,
    Metric,
    Response,
    Source,
    Verdict,
)
from olmes.scoring.constraints.ifbench.base import OodConstraint
from olmes.scoring.constraints.ifbench.compose import compose, meets, offend
from olmes.scoring.constraints.ifbench.instructions import IFBENCH, IFBENCH_BY_REFERENCE
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.constraints.judging import LEVELS, judge, noted

WARM_UP = ("words:start_verb", "format:emoji", "words:odd_even_syllables")


@dataclass(frozen=True, kw_only=True)
class IFBenchFormulation(Formulation):
    """The settings of IFBench."""

    compat: Literal["", "reference"] = ""
    """Judge by what the constraints say (empty), or by the checks published with the benchmark, some
    of which are vacuous or broken."""


class IFEvalOOD(InstructionTask[OodConstraint]):
    """Every constraint of the prompt, checked by a program: as it is stated, and as published."""

    name = "ifeval_ood"
    title = "IFEval-OOD (IFBench)"
    aliases = (("ifbench", "IFBench"),)
    extras = ("ifbench",)
    catalog = IFBENCH
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
        question=("prompt",),
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

    def published(self, doc: Doc) -> tuple[OodConstraint, ...]:
        """The constraints of an item, judged by the checks published with the benchmark."""
        return self.built(IFBENCH_BY_REFERENCE, doc)

    def score(self, doc: Doc, response: Response) -> Verdict:
        """A strict and a loose verdict on each constraint, and on all of them together.

        A part says where the published check and the statement do not agree.
        """
        stated = judge(self.constraints(doc), response.text)
        published = judge(self.published(doc), response.text)
        by_reference = self.formulation.compat == "reference"
        parts, others = (published, stated) if by_reference else (stated, published)
        other = "as stated" if by_reference else "by the published check"
        return self.verdict(
            [
                noted(part, {"strict": theirs["strict"], "loose": theirs["loose"]}, other)
                for part, theirs in zip(parts, others, strict=True)
            ],
            response,
            prompt_level_loose_reference=float(all(part["loose"] for part in published)),
        )

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:
        """Nothing met, one flag a constraint."""
        return super().wrong_values(doc) | {"prompt_level_loose_reference": 0.0}

    def prepare(self) -> None:
        """Load the sentence model, the tagger, the emojis and the syllables."""
        for id_ in WARM_UP:
            IFBENCH.build(id_, {}).check("Warm up. Then run.")

    def meeting(self, doc: Doc) -> str | None:
        """A text that meets every constraint; docs/ifbench-agreement.md lists items without one."""
        return compose(self.constraints(doc), self.published(doc))

    def missing(self, doc: Doc) -> str | None:
        """A text that misses one of the constraints."""
        return offend(self.constraints(doc), self.published(doc))

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1 on every metric; nothing is said of the published check where it asks for other things."""
        values = super().perfect_values(doc)
        text = self.meeting(doc)
        if text is None or meets(self.published(doc), text):
            return values
        # The same text cannot meet both.
        by_reference = self.formulation.compat == "reference"
        return {} if by_reference else dict.fromkeys((metric.name for metric in LEVELS), 1.0)


TASK = IFEvalOOD()
