"""A task with a graded score, so that a random policy's rewards differ: the share of letters a to m."""

from __future__ import annotations

from collections.abc import Sequence

from olmes import Formulation, Generation, Metric, Request, Response, Source, Task, Verdict
from olmes.types import Doc

EARLY = frozenset("abcdefghijklm")


class Letters(Task):
    """Right as far as a response has early letters."""

    name = "letters"
    title = "Early letters"
    source = Source(files=(), fields=("question", "answer"), content_hash="")
    metrics = (Metric(name="share", help="characters that are a letter from a to m"),)
    primary = "share"
    formulation = Formulation(question="{question}", generation=Generation(max_tokens=5))

    def generated(self) -> Sequence[Doc]:
        return tuple({"question": f"{a}+{a}", "answer": "a"} for a in range(4))

    def request(self, doc: Doc) -> Request:
        return Request(
            messages=({"role": "user", "content": doc["question"]},),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> str:
        return str(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        text = response.text.lower()
        share = sum(letter in EARLY for letter in text) / max(1, len(text))
        return Verdict(values={"share": share}, extracted=text or None, unparsed=not text)

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text="z" if corrupt else "a")


TASK = Letters()
