"""IFEval: instructions a program can verify, 0-shot (Tülu 3, Table 24; OLMES `ifeval::tulu`).

The prompt is the user's turn as it is. Each prompt carries one to three of 25 instruction types; a
response is judged on each of them, strictly and loosely. The number Tülu 3 reports is the share of
prompts whose instructions are all met loosely.
"""

from __future__ import annotations

from olmes import DataFile, Doc, HubSplit, Source
from olmes.scoring.constraints.ifeval.base import IFEvalConstraint
from olmes.scoring.constraints.ifeval.compose import compose, offend
from olmes.scoring.constraints.ifeval.instructions import IFEVAL
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.language import language
from olmes.scoring.text import word_tokens


def without_nulls(row: Doc) -> Doc:
    """A row of the hub, which names every argument of every type, as the official file has it."""
    kwargs = [{k: v for k, v in given.items() if v is not None} for given in row["kwargs"]]
    return {**row, "kwargs": kwargs}


class IFEval(InstructionTask[IFEvalConstraint]):
    """Every instruction of the prompt, checked by a program."""

    name = "ifeval"
    title = "IFEval"
    catalog = IFEVAL
    constraint_noun = "instruction"
    source = Source(
        files=(
            DataFile(
                path="ifeval/input_data.jsonl.gz",
                github="ShotaSato0916/google-research-IFEval:"
                "instruction_following_eval/data/input_data.jsonl"
                "@cd938816c8cf746207b9c60c303b0eacf45f506c",
                sha256="67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49",
                rows=541,
            ),
        ),
        hub=(HubSplit(repository="google/IFEval", split="train"),),
        from_hub=without_nulls,
        fields=("key", "prompt", "instruction_id_list", "kwargs"),
        content_hash="4931517e47a04174385cd9872c24f24bc7c8aef83285902b73a2d7471851d8b0",
        licence="Apache-2.0",
    )

    def prepare(self) -> None:
        """Load the language profiles and the sentence model, which takes about a second."""
        language("Warm up.")
        word_tokens("Warm up. Then run.")

    def meeting(self, doc: Doc) -> str | None:
        """A text that meets every instruction strictly, or else loosely.

        Where a request to be repeated holds what another instruction forbids (5 official items, see
        docs/ifeval-agreement.md), it can be met loosely only.
        """
        wanted = self.constraints(doc)
        return compose(wanted) or compose(wanted, loose=True)

    def missing(self, doc: Doc) -> str | None:
        """A text that misses one of the instructions."""
        return next(filter(None, map(offend, self.constraints(doc))), None)

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1 on every metric; on the loose ones alone where the text meets them loosely only."""
        values = super().perfect_values(doc)
        if compose(self.constraints(doc)) is None:
            return {name: value for name, value in values.items() if name.endswith("loose")}
        return values


TASK = IFEval()
