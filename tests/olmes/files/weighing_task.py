"""Multiple choice by log-likelihood from a file: a passage, a question, four continuations."""

from __future__ import annotations

from collections.abc import Sequence

from olmes import Doc, Formulation, Generation, Metric, Request, Response, Source, Task, Verdict

CITIES = ("Paris", "Rome", "Seine", "two million")
PASSAGE = "Paris is the capital of France, a city of two million people on the river Seine. " * 4


class Weighing(Task):
    """Right when the likeliest continuation is the document's."""

    name = "weighing"
    title = "Weighing"
    source = Source(files=(), fields=("number", "answer"), content_hash="")
    metrics = (Metric(name="acc", help="the likeliest continuation is the right one"),)
    primary = "acc"
    formulation = Formulation(generation=Generation(max_tokens=1))

    def generated(self) -> Sequence[Doc]:
        return [{"number": number, "answer": number % 4} for number in range(20)]

    def request(self, doc: Doc) -> Request:
        return Request(
            prompt=f"{PASSAGE}\nQuestion {doc['number']}: what is it?\nAnswer:",
            continuations=tuple(f" {city} of {city}" for city in CITIES),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> int:
        return int(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        best = max(range(len(CITIES)), key=lambda at: response.logprobs[at])
        return Verdict(values={"acc": float(best == doc["answer"])}, extracted=best)

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        right = (doc["answer"] + corrupt) % len(CITIES)
        return Response(logprobs=tuple(0.0 if at == right else -9.0 for at in range(len(CITIES))))


TASK = Weighing()
