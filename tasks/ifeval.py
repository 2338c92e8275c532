"""IFEval: instructions a program can verify, 0-shot (Tülu 3, Table 24; OLMES `ifeval::tulu`).

The protocol's four metrics are by the published checks, some of which pass what is not asked for or
fail what is; `prompt_level_strict_stated` judges by what the instructions say.

The prompt is the user's turn as it is. Each prompt carries one to three of 25 instruction types; a
response is judged on each of them, strictly and loosely. The number Tülu 3 reports is the share of
prompts whose instructions are all met loosely.
"""

from __future__ import annotations

import re

from olmes import DataFile, Doc, HubSplit, Metric, Response, Source, Verdict
from olmes.scoring.answers.thought import spoken
from olmes.scoring.constraints.ifeval.base import IFEvalConstraint
from olmes.scoring.constraints.ifeval.combination import meet_as_stated
from olmes.scoring.constraints.ifeval.compose import compose, offend
from olmes.scoring.constraints.ifeval.instructions import IFEVAL, IFEVAL_BY_REFERENCE
from olmes.scoring.constraints.ifeval.layout import MultipleSections
from olmes.scoring.constraints.instruction_task import InstructionTask
from olmes.scoring.constraints.judging import LEVELS, judge, noted
from olmes.scoring.language import language
from olmes.scoring.text import word_tokens

SECTIONS_OR_MORE = re.compile(r"\bat least \w+ sections\b", re.IGNORECASE)
STATED = "prompt_level_strict_stated"


def without_nulls(row: Doc) -> Doc:
    """A row of the hub, which names every argument of every type, as the official file has it."""
    kwargs = [{k: v for k, v in given.items() if v is not None} for given in row["kwargs"]]
    return {**row, "kwargs": kwargs}


class IFEval(InstructionTask[IFEvalConstraint]):
    """Every instruction of the prompt, checked by a program: as published, and as it is stated."""

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
        question=("prompt",),
        content_hash="4931517e47a04174385cd9872c24f24bc7c8aef83285902b73a2d7471851d8b0",
        licence="Apache-2.0",
    )

    metrics = (
        *LEVELS,
        Metric(
            name=STATED,
            help="every instruction is met as it is stated, by what the response says after its "
            "thinking",
            honest=True,
        ),
    )

    def constraints(self, doc: Doc) -> tuple[IFEvalConstraint, ...]:
        """The constraints of an item, as they are stated.

        A number of sections is exact, but for two official items that ask for "at least" so many,
        which their arguments do not tell.
        """
        found = super().constraints(doc)
        if not SECTIONS_OR_MORE.search(doc.get("prompt", "")):
            return found
        return tuple(one.or_more() if isinstance(one, MultipleSections) else one for one in found)

    def published(self, doc: Doc) -> tuple[IFEvalConstraint, ...]:
        """The constraints of an item, judged by the checks published with the benchmark."""
        return self.built(IFEVAL_BY_REFERENCE, doc)

    def score(self, doc: Doc, response: Response) -> Verdict:
        """A strict and a loose verdict on each instruction, and on all of them together.

        A part says whether the instruction is met as it is stated.
        """
        parts = judge(self.published(doc), response.text)
        stated = meet_as_stated(self.constraints(doc), spoken(response.text) or "")
        for place, met in enumerate(stated):
            parts[place] = {**noted(parts[place], {"strict": met}, "as stated"), "stated": met}
        return self.verdict(parts, response, **{STATED: float(all(stated))})

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:
        """Nothing met, one flag an instruction."""
        return super().wrong_values(doc) | {STATED: 0.0}

    def prepare(self) -> None:
        """Load the language profiles and the sentence model, which takes about a second."""
        language("Warm up.")
        word_tokens("Warm up. Then run.")

    def meeting(self, doc: Doc) -> str | None:
        """A text that meets every instruction as it is stated, and by the published checks.

        Where a request to be repeated holds what another instruction forbids (5 official items, see
        docs/ifeval-agreement.md), those can be met loosely only.
        """
        wanted, published = self.constraints(doc), self.published(doc)
        return compose(wanted, published) or compose(wanted, published, loose=True)

    def missing(self, doc: Doc) -> str | None:
        """A text that misses one of the instructions."""
        return next(filter(None, map(offend, self.constraints(doc), self.published(doc))), None)

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1 on every metric; not on the strict ones where those can be met loosely only."""
        values = super().perfect_values(doc)
        if compose(self.constraints(doc), self.published(doc)) is None:
            return {name: value for name, value in values.items() if not name.endswith("strict")}
        return values


TASK = IFEval()
