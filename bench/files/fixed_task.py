"""The cheapest task there can be: what is left is the harness."""

from __future__ import annotations

from olmes import (
    DataFile,
    Formulation,
    Generation,
    Metric,
    Request,
    Response,
    Source,
    Task,
    Verdict,
)
from olmes.benchmark import prompts
from olmes.types import Doc


class Fixed(Task):
    """Right when the response is the question."""

    name = "fixed"
    title = "Fixed"
    source = Source(
        files=(DataFile(path="fixed.jsonl", github="", sha256="", rows=0),),
        fields=("q",),
        content_hash="",
    )
    metrics = (Metric(name="exact_match", help="the response is the question"),)
    primary = "exact_match"
    formulation = Formulation(generation=Generation(max_tokens=8))

    def request(self, doc: Doc) -> Request:
        """The question as the one turn."""
        return Request(messages=prompts.chat(doc["q"]), generation=self.formulation.generation)

    def gold(self, doc: Doc) -> str:
        """The question."""
        return str(doc["q"])

    def score(self, doc: Doc, response: Response) -> Verdict:
        """Equality."""
        right = float(response.text == doc["q"])
        return Verdict(values={"exact_match": right}, extracted=response.text)

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The question, with something added when `corrupt`."""
        return Response(text=doc["q"] + ("x" if corrupt else ""))


TASK = Fixed()
