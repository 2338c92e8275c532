"""Two-digit addition, from a file: what a toy model is taught by SFT, then by rewards.

The 8,100 sums of two numbers from 10 to 99 are shuffled once. The first `HELD_OUT` of them are the
task's items, the rest (`training_docs`) are for training, so that no item was ever trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random

from olmes import Formulation, Generation, Metric, Request, Response, Source, Task, Verdict
from olmes.types import Doc

HELD_OUT = 500


@cache
def all_docs() -> tuple[Doc, ...]:
    """Every sum, in one fixed random order."""
    pairs = [(a, b) for a in range(10, 100) for b in range(10, 100)]
    Random(0).shuffle(pairs)
    return tuple({"question": f"{a}+{b}", "answer": str(a + b)} for a, b in pairs)


def training_docs() -> tuple[Doc, ...]:
    """The sums that are not items of the task."""
    return all_docs()[HELD_OUT:]


class Addition(Task):
    """Right when the response is the sum and nothing else."""

    name = "addition"
    title = "Two-digit addition"
    source = Source(files=(), fields=("question", "answer"), content_hash="")
    metrics = (Metric(name="exact_match", help="the sum, exactly"),)
    primary = "exact_match"
    formulation = Formulation(question="{question}", generation=Generation(max_tokens=5))

    def generated(self) -> Sequence[Doc]:
        return all_docs()[:HELD_OUT]

    def request(self, doc: Doc) -> Request:
        return Request(
            messages=({"role": "user", "content": doc["question"]},),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> str:
        return str(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        found = response.text.strip()
        return Verdict(
            values={"exact_match": float(found == doc["answer"])},
            extracted=found or None,
            unparsed=not found.isdigit(),
        )

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text=str(int(doc["answer"]) + 1) if corrupt else str(doc["answer"]))


TASK = Addition()
