"""IFEval: instructions a program can verify, 0-shot (Tülu 3, Table 24; OLMES `ifeval::tulu`).

The prompt is the user's turn as it is. Each prompt carries one to three of 25 instruction types; a
response is judged on each of them, strictly and loosely. The number Tülu 3 reports is the share of
prompts whose instructions are all met loosely.
"""

from __future__ import annotations

from olmes import (
    DataFile,
    HubSplit,
    Response,
    Source,
    Verdict,
)
from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.ifeval.compose import compose
from olmes.scoring.constraints.ifeval.instructions import IFEVAL
from olmes.scoring.constraints.ifeval.offend import offend
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.constraints.judging import judge, levels
from olmes.scoring.language import language
from olmes.scoring.text import word_tokens
from olmes.types import Doc


def without_nulls(row: Doc) -> Doc:
    """A row of the hub, which names every argument of every type, as the official file has it."""
    kwargs = [{k: v for k, v in given.items() if v is not None} for given in row["kwargs"]]
    return {**row, "kwargs": kwargs}


class IFEval(InstructionTask):
    """Every instruction of the prompt, checked by a program."""

    name = "ifeval"
    title = "IFEval"
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

    def score(self, doc: Doc, response: Response) -> Verdict:
        """A strict and a loose verdict on each instruction, and on all of them together."""
        parts = judge(constraints(doc), response.text)
        return Verdict(
            values=levels(parts),
            note="" if response.text.strip() else "a blank response meets no instruction",
            parts=parts,
        )

    def prepare(self) -> None:
        """Load the language profiles and the sentence model, which takes about a second."""
        language("Warm up.")
        word_tokens("Warm up. Then run.")

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A text built to meet every instruction; one that misses an instruction when `corrupt`.

        Where a request to be repeated holds what another instruction forbids (5 official items, see
        docs/ifeval-agreement.md), the text meets the instructions loosely only.
        """
        wanted = constraints(doc)
        if corrupt:
            return Response(text=next(filter(None, map(offend, wanted)), ""))
        return Response(text=compose(wanted) or compose(wanted, loose=True) or "")


def constraints(doc: Doc) -> tuple[Constraint, ...]:
    """The constraints of an item."""
    return IFEVAL.item(doc["instruction_id_list"], doc["kwargs"], key=doc.get("key", "?"))


TASK = IFEval()
