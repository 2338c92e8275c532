"""A task whose responses are executed, with a metric of several responses to an item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from olmes import (
    DataFile,
    Doc,
    Execution,
    Formulation,
    Generation,
    Limits,
    Metric,
    Program,
    Request,
    Response,
    Scored,
    Source,
    Task,
    Verdict,
)
from olmes.stats import pass_at_k


class Doubling(Task):
    """Right when `double` doubles the document's number."""

    name = "doubling"
    title = "Doubling"
    source = Source(
        files=(DataFile(path="doubling/test.jsonl", github="", sha256="", rows=0),),
        fields=("number",),
        content_hash="",
    )
    metrics = (
        Metric(name="pass@1", help="the program passes"),
        Metric(name="pass@2", help="one of two programs passes", settled=True),
    )
    primary = "pass@2"
    executed = True
    formulation = Formulation(
        question="Double {number}.", generation=Generation(max_tokens=64, n=4), shots=0
    )

    def request(self, doc: Doc) -> Request:
        return Request(
            messages=({"role": "user", "content": self.formulation.question.format(**doc)},),
            generation=self.formulation.generation,
        )

    def gold(self, doc: Doc) -> int:
        return 2 * int(doc["number"])

    def programs(self, doc: Doc, response: Response) -> tuple[Program, ...]:
        if not response.text:
            return ()
        tests = f"assert double({doc['number']}) == {self.gold(doc)}"
        return (Program(source=response.text, tests=tests, limits=Limits(wall_s=10.0)),)

    def score(self, doc: Doc, response: Response, executions: Sequence[Execution] = ()) -> Verdict:
        passed = any(execution.passed for execution in executions)
        return Verdict(values={"pass@1": float(passed)}, extracted=None, unparsed=not executions)

    def settle(self, responses: Sequence[Scored]) -> Sequence[Mapping[str, float]]:
        found: dict[int, list[float]] = defaultdict(list)
        for response in responses:
            found[response.doc_id].append(response.values["pass@1"])
        return [
            {"pass@2": pass_at_k(len(item), int(sum(item)), 2)} if len(item) >= 2 else {}
            for item in (found[response.doc_id] for response in responses)
        ]

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        return Response(text=f"def double(n):\n    return {'n' if corrupt else '2 * n'}")


TASK = Doubling()
