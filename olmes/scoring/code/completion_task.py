"""What the tasks share that ask for the rest of a function and execute it with its tests.

A kind of task, not a benchmark, as `olmes.scoring.constraints.instruction_task` is: where the items
come from, and how long their tests may take, is the task's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from olmes import (
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
    Task,
    Verdict,
    prompts,
)
from olmes.scoring.code.answer import stated_program
from olmes.scoring.code.passing import settled_passes
from olmes.scoring.code.source import compiles, normal_form, same

K = 10
"""Of so many samples one must pass, in the number that the paper reports."""


class CompletionTask(Task):
    """The prompt and what follows it in the response, executed with the item's tests."""

    executed = True
    limits: ClassVar[Limits]
    """Of the tests of one response. The published seconds are meant as the processor's: by the clock a
    program has three times as many, so that a busy machine makes no answer wrong."""
    metrics = (
        Metric(name="pass@1", help="the prompt with the response after it passes its tests"),
        Metric(name=f"pass@{K}", help=f"one of {K} samples passes, unbiased", settled=True),
        Metric(
            name="pass@1_lenient",
            help="the function that the response gives passes, however it is written",
            honest=True,
        ),
        Metric(
            name=f"pass@{K}_lenient",
            help=f"one of {K} such functions passes, unbiased",
            honest=True,
            settled=True,
        ),
    )
    primary = f"pass@{K}"
    fixed = (
        *("version", "shots", "exemplars", "description", "answer", "final"),
        *("multiturn", "extract", "aggregate"),
    )
    formulation: Formulation = Formulation(
        version=1,
        question="{prompt}{prefill}",
        prefill="Here is the completed function:\n\n```python\n",
        generation=Generation(
            max_tokens=512,
            temperature=0.8,
            top_p=0.95,
            stop=("\nclass", "\nif", "\nprint", "\n#", "\n```", "\n```\n\n", "<|eot_id|>"),
            n=20,
        ),
        reasoning="verbatim",  # the first line of a function's body begins with its indentation
    )

    def request(self, doc: Doc) -> Request:
        """The prompt and the prefill as the user's turn; the model's begins with the prefill again."""
        form = self.formulation
        question = form.question.format(prompt=doc["prompt"], prefill=form.prefill)
        return Request(
            messages=prompts.chat(question), prefill=form.prefill, generation=form.generation
        )

    def gold(self, doc: Doc) -> dict[str, str]:
        """The function's name; its tests are in the item."""
        return {"entry_point": doc["entry_point"]}

    def tests(self, doc: Doc) -> str:
        """The item's tests, as they are published."""
        return f"{doc['test']}\ncheck({doc['entry_point']})"

    def corrected_tests(self, doc: Doc) -> str:
        """The tests of the honest metric: the same, without an error of theirs."""
        return self.tests(doc)

    def programs(self, doc: Doc, response: Response) -> tuple[Program, ...]:
        """The protocol's program, and where the honest metric has another one, that too."""
        if not response.text.strip():
            return ()
        found = stated(doc, response)
        pairs = [(continued(doc, response), self.tests(doc))]
        pairs += [(found, self.corrected_tests(doc))] if found is not None else []
        return tuple(
            Program(source=source, tests=tests, limits=self.limits)
            for source, tests in dict.fromkeys(pairs)
        )

    def score(self, doc: Doc, response: Response, executions: Sequence[Execution] = ()) -> Verdict:
        """Whether each of the two programs ran to the end of its tests."""
        found = stated(doc, response)
        protocol = executions[0] if executions else None
        lenient = executions[-1] if executions and found is not None else None
        return Verdict(
            values={
                "pass@1": float(protocol is not None and protocol.passed),
                "pass@1_lenient": float(lenient is not None and lenient.passed),
            },
            extracted=found,
            unparsed=found is None,
            misformatted=not compiles(continued(doc, response)),
            note="" if protocol is None or protocol.passed else protocol.result,
        )

    def settle(self, responses: Sequence[Scored]) -> Sequence[Mapping[str, float]]:
        """pass@10 of each item, which has none with fewer samples."""
        of = {"pass@1": f"pass@{K}", "pass@1_lenient": f"pass@{K}_lenient"}
        return settled_passes(responses, K, of)

    def vote(self, extracted: Any) -> str | None:
        """The program without its comments and its layout."""
        return normal_form(extracted) if isinstance(extracted, str) else None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The item's own solution; a body that only raises when `corrupt`."""
        if corrupt:
            return Response(text="    raise NotImplementedError\n")
        return Response(text=str(doc["canonical_solution"]))

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1 on every metric; 0 on the protocol's where no function passes the published tests."""
        broken = self.corrected_tests(doc) != self.tests(doc)
        return {**super().perfect_values(doc), "pass@1": float(not broken)}


def continued(doc: Doc, response: Response) -> str:
    """The protocol's program without its tests: the prompt and the response."""
    return f"{doc['prompt']}{response.text}\n"


def stated(doc: Doc, response: Response) -> str | None:
    """The program that the response gives, the protocol's own where the two say the same."""
    found = stated_program(response.text, doc["prompt"], doc["entry_point"])
    protocol = continued(doc, response)
    if found is not None and same(found, protocol):
        return protocol
    return found
