"""A task on gated data from a file: it asks for a word, and its scorer quotes what it breaks on."""

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


class Closed(Task):
    """Right when the response has the document's answer."""

    name = "closed"
    title = "Closed"
    aliases = (("shut", "Shut"),)
    source = Source(
        files=(DataFile(path="closed/test.csv", github="", sha256="", rows=0),),
        fields=("row", "question", "answer"),
        content_hash="",
        row_field="row",
        gated=True,
    )
    metrics = (
        Metric(name="contains", help="the response has the answer"),
        Metric(name="contains_lenient", help="in whatever case", honest=True),
    )
    primary = "contains"
    formulation = Formulation(question="{row}: {question}", generation=Generation(max_tokens=64))

    def request(self, doc: Doc) -> Request:
        return Request(
            messages=({"role": "user", "content": self.formulation.question.format(**doc)},),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> str:
        return str(doc["answer"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        if response.text == "break":
            raise ValueError(f"cannot read {doc['question']}")
        found = doc["answer"] in response.text
        lenient = doc["answer"].lower() in response.text.lower()
        return Verdict(
            values={"contains": float(found), "contains_lenient": float(lenient)},
            extracted=response.text,
            note=f"held against {doc['answer']}",
        )

    def vote(self, extracted: object) -> str | None:
        return str(extracted)

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text="nothing" if corrupt else doc["answer"])


TASK = Closed()
