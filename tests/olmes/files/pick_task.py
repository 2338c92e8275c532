"""Multiple choice by likelihood: sub-tasks, passages, a metric over parts, a macro mean."""

from __future__ import annotations

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
)


class Pick(Task):
    """Right when the likeliest continuation is the one the item names."""

    name = "pick"
    title = "Pick"
    source = Source(
        files=(DataFile(path="pick/test.jsonl", github="", sha256="", rows=0),),
        fields=("word", "options", "right", "kind", "passage"),
        content_hash="",
    )
    metrics = (
        Metric(name="acc", help="the likeliest is the right one"),
        Metric(name="margin", help="nats between the two likeliest", unit="number"),
        Metric(name="ranked", help="each option is where it belongs", over_parts=True, honest=True),
    )
    primary = "acc"
    formulation = Formulation(
        question="{word}?", generation=Generation(max_tokens=1), aggregate="macro"
    )

    def request(self, doc: Doc) -> Request:
        return Request(
            prompt=self.formulation.question.format(word=doc["word"]),
            continuations=tuple(doc["options"]),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> list[str | int]:
        return [doc["right"], doc["options"][doc["right"]]]

    def score(self, doc: Doc, response: Response) -> Verdict:
        best, second = sorted(response.logprobs, reverse=True)[:2]
        found = response.logprobs.index(best)
        return Verdict(
            values={
                "acc": float(found == doc["right"]),
                "margin": best - second,
                "ranked": [at == doc["right"] for at in range(found)],
            },
            extracted=found,
            misformatted=best == second,
            note="" if best > second else "a tie",
        )

    def subtask(self, doc: Doc) -> str:
        return str(doc["kind"])

    def cluster(self, doc: Doc) -> str:
        return str(doc["passage"])

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(
            logprobs=tuple(
                float((at == doc["right"]) != corrupt) for at, _ in enumerate(doc["options"])
            )
        )


TASK = Pick()
