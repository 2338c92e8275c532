"""What the tasks of verifiable instructions share: IFEval, IFBench and the fresh exam."""

from __future__ import annotations

from typing import Any, ClassVar

from olmes import Formulation, Generation, Metric, Request, Task
from olmes.benchmark import prompts
from olmes.scoring.constraints.judging import LEVELS, none_met
from olmes.types import Doc


class InstructionTask(Task):
    """The prompt as it is, 0-shot; its constraints are the gold, checked by programs."""

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

    def request(self, doc: Doc) -> Request:
        """The prompt as the one user turn."""
        form = self.formulation
        question = form.question.format(prompt=doc["prompt"])
        return Request(messages=prompts.chat(question), generation=form.generation)

    def gold(self, doc: Doc) -> dict[str, Any]:
        """The constraints' ids and their arguments, as they are in the row."""
        return {field: doc[field] for field in ("instruction_id_list", "kwargs")}

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:
        """Nothing met, one flag a constraint."""
        return none_met(len(doc["instruction_id_list"]))
