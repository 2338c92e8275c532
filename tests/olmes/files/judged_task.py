"""A judged task from a file: a language model compares, an encoder is asked where the item says so."""

from __future__ import annotations

from collections.abc import Sequence

from olmes import (
    DataFile,
    Doc,
    Formulation,
    Generation,
    Judgement,
    Metric,
    Question,
    Request,
    Response,
    Similarity,
    Source,
    Task,
    Verdict,
)


class Taste(Task):
    """Wins when the judge says A to each question."""

    name = "taste"
    title = "Taste"
    judged = True
    source = Source(
        files=(DataFile(path="taste/test.jsonl", github="", sha256="", rows=0),),
        fields=("word", "encoder"),
        content_hash="",
    )
    metrics = (Metric(name="win_rate", help="the judge prefers the response"),)
    primary = "win_rate"
    formulation = Formulation(question="Say {word}.", generation=Generation(max_tokens=4))

    def request(self, doc: Doc) -> Request:
        content = self.formulation.question.format(word=doc["word"])
        return Request(
            messages=({"role": "user", "content": content},), generation=self.formulation.generation
        )

    def questions(self, doc: Doc, response: Response) -> tuple[Question, ...]:
        if doc["encoder"]:
            pair = (response.text, "nothing")
            return (Similarity(candidates=pair, reference=doc["word"], encoder=doc["encoder"]),)
        content = f"A: {response.text}\nB: {doc['word']}"
        ask = Request(
            messages=({"role": "user", "content": content},), generation=Generation(max_tokens=5)
        )
        return (ask,)

    def gold(self, doc: Doc) -> str:
        return str(doc["word"])

    def score(self, doc: Doc, response: Response, judgements: Sequence[Judgement] = ()) -> Verdict:
        [judgement] = judgements
        if judgement.similarities:
            ours, theirs = judgement.similarities
            return Verdict(values={"win_rate": float(ours > theirs)})
        if judgement.text not in ("A", "B", "tie"):
            return Verdict(values={}, unparsed=True)
        return Verdict(values={"win_rate": {"A": 1.0, "tie": 0.5, "B": 0.0}[judgement.text]})

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text="bad" if corrupt else "good")


TASK = Taste()
