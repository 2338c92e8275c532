"""A task from a file, as a third party would write it; its scorer does what the response says."""

from __future__ import annotations

import os
import time

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


class Echo(Task):
    """Right when the response is the document's word."""

    name = "echo"
    title = "Echo"
    source = Source(
        files=(DataFile(path="echo/test.jsonl", github="", sha256="", rows=0),),
        fields=("word",),
        content_hash="",
    )
    metrics = (
        Metric(name="exact_match", help="the word, exactly"),
        Metric(name="length_match", help="as many letters"),
    )
    primary = "exact_match"
    scorers = ("score", "score_length")
    time_limit = 1.0
    formulation = Formulation(question="Say {word}.", generation=Generation(max_tokens=4), shots=0)

    def request(self, doc: Doc) -> Request:
        return Request(
            messages=({"role": "user", "content": self.formulation.question.format(**doc)},),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> str:
        return str(doc["word"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        misbehave(response.text)
        return Verdict(
            values={"exact_match": float(response.text == doc["word"])},
            extracted=response.text or None,
            unparsed=not response.text,
        )

    def score_length(self, doc: Doc, response: Response) -> Verdict:
        return Verdict(values={"length_match": float(len(response.text) == len(doc["word"]))})

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text=doc["word"] + ("x" if corrupt else ""))


def misbehave(text: str) -> None:
    """What a scorer with a fault could be driven to by a hostile response."""
    if text == "hang":
        time.sleep(60)
    if text == "busy":
        while True:
            pass
    if text == "raise":
        raise ValueError("a fault")
    if text == "exit":
        os._exit(3)
    if text == "memory":
        bytearray(1 << 40)
    if text == "recurse":
        misbehave(text)
    if text == "print":
        print('{"verdict": {"values": {"exact_match": 1.0}}}', flush=True)
        os.write(1, b'{"verdict": {"values": {"exact_match": 1.0}}}\n')


TASK = Echo()
