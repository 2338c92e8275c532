"""What the tasks of verifiable instructions share.

A kind of task, not a benchmark: which instructions there are is the catalog's, where the items come
from is the task's. It lies in the scoring room, because it is the constraints that it is made of.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from olmes import (
    Doc,
    Formulation,
    Generation,
    Metric,
    Request,
    Response,
    Task,
    Verdict,
    VerdictPart,
    prompts,
)
from olmes.scoring.constraints.base import Constraint
from olmes.scoring.constraints.catalog import Catalog
from olmes.scoring.constraints.judging import LEVELS, judge, levels, none_met

C = TypeVar("C", bound=Constraint)


class InstructionTask(Task, Generic[C]):
    """The prompt as it is, 0-shot; its constraints are the gold, checked by programs."""

    catalog: Catalog[C]
    """The constraints there are, by the ids of `instruction_id_list`."""
    constraint_noun: ClassVar[str] = "constraint"
    """What the benchmark calls one."""
    metrics: ClassVar[tuple[Metric, ...]] = LEVELS
    primary = "prompt_level_loose"
    fixed = (
        "version",
        "shots",
        "exemplars",
        "description",
        "answer",
        "final",
        "prefill",
        "multiturn",
        "extract",
    )
    formulation: Formulation = Formulation(
        version=1,
        shots=0,
        question="{prompt}",
        generation=Generation(max_tokens=2048),
    )

    @abstractmethod
    def meeting(self, doc: Doc) -> str | None:
        """A text that meets every constraint of the item; None where none is known."""

    @abstractmethod
    def missing(self, doc: Doc) -> str | None:
        """A text that misses a constraint of the item, strictly and loosely; None as above."""

    def constraints(self, doc: Doc) -> tuple[C, ...]:
        """The constraints of an item."""
        return self.built(self.catalog, doc)

    def built(self, catalog: Catalog[C], doc: Doc) -> tuple[C, ...]:
        """The constraints of an item as a catalog has them."""
        return catalog.item(doc["instruction_id_list"], doc["kwargs"], key=doc.get("key", "?"))

    def request(self, doc: Doc) -> Request:
        """The prompt as the one user turn."""
        form = self.formulation
        question = form.question.format(prompt=doc["prompt"])
        return Request(messages=prompts.chat(question), generation=form.generation)

    def gold(self, doc: Doc) -> dict[str, Any]:
        """The constraints' ids and their arguments, as they are in the row."""
        return {field: doc[field] for field in ("instruction_id_list", "kwargs")}

    def score(self, doc: Doc, response: Response) -> Verdict:
        """A strict and a loose verdict on each constraint, and on all of them together."""
        return self.verdict(judge(self.constraints(doc), response.text), response)

    def verdict(
        self, parts: Sequence[VerdictPart], response: Response, **further: float
    ) -> Verdict:
        """The verdict that the parts add up to, with the values of `further` metrics."""
        blank = not response.text.strip()
        return Verdict(
            values={**levels(parts), **further},
            note=f"a blank response meets no {self.constraint_noun}" if blank else "",
            parts=list(parts),
        )

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A text built to meet every constraint; one that misses a constraint when `corrupt`.

        Blank where none is known.
        """
        return Response(text=(self.missing(doc) if corrupt else self.meeting(doc)) or "")

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1 on every metric; nothing where no text is known that meets every constraint."""
        return {} if self.meeting(doc) is None else super().perfect_values(doc)

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:
        """Nothing met, one flag a constraint."""
        return none_met(len(doc["instruction_id_list"]))
