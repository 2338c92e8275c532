"""BigCodeBench-Hard: functions over many libraries, from an instruction, held against unit tests.

Tülu 3, section 7.3; OLMES `bigcodebench_hard::tulu`: 0-shot chat, variant "instruct", greedy. The
paper's tables say pass@10, but its numbers are pass@1: multiples of 1/148.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from olmes import (
    DataFile,
    Doc,
    Execution,
    Formulation,
    Generation,
    HubSplit,
    Limits,
    Metric,
    Program,
    Request,
    Response,
    Source,
    Task,
    Verdict,
    prompts,
)
from olmes.scoring.code.answer import defines, stated_program
from olmes.scoring.code.sanitized import sanitized
from olmes.scoring.code.source import normal_form, same, tree_of
from olmes.scoring.code.unit_tests import RUNNER, parts_of

ENVIRONMENT = "bigcodebench"
"""With the libraries that the tasks name; `olmes sandbox install bigcodebench` makes it."""
LIMITS = Limits(wall_s=240.0, memory_bytes=8 << 30, processes=256, file_bytes=64 << 20)
"""The benchmark's own seconds; it allows 30 GiB of address space, of which no task needs a third."""
OFFLINE = (101, 177, 590, 655, 1012)
"""Numbers of the tasks whose tests fetch a page, a file or a part of NLTK: no sandbox has a network."""


def from_hub(row: Doc) -> Doc:
    """A row of the hub, whose prompt goes by the variant's name."""
    return {**row, "prompt": row["instruct_prompt"]}


class BigCodeBenchHard(Task):
    """The function that a response defines, executed with its unit tests."""

    name = "bigcodebench_hard"
    title = "BigCodeBench-Hard"
    executed = True
    time_limit = 20.0
    source = Source(
        files=(
            DataFile(
                path="bigcodebench/BigCodeBench-instruct-hard.json.gz",
                github="mlfoundations/evalchemy:"
                "eval/chat_benchmarks/BigCodeBench/data/BigCodeBench-instruct-hard.json"
                "@6ed674159b37f740f2353a86f596f49f6ac13c19",
                sha256="3da133aeaaaeb4f68dcc3e02acfde36523f2b4475da009510a74149f28f489f4",
                rows=148,
            ),
        ),
        hub=(HubSplit(repository="bigcode/bigcodebench-hard", split="v0.1.2"),),
        from_hub=from_hub,
        fields=("task_id", "prompt", "code_prompt", "entry_point", "canonical_solution", "test"),
        question=("prompt",),
        answer=("canonical_solution",),
        content_hash="4ac1443c4d0b754cd6519974d6fb8ba61d75c268a89ab2b963bb0d95279b2b51",
        licence="Apache-2.0",
    )
    metrics = (
        Metric(
            name="pass@1", help="what the benchmark keeps of the response passes every unit test"
        ),
        Metric(
            name="pass@1_lenient",
            help="the function that the response gives passes them, however it is written",
            honest=True,
        ),
    )
    primary = "pass@1"
    fixed = (
        *("version", "shots", "exemplars", "description", "answer", "final"),
        *("multiturn", "extract", "aggregate"),
    )
    formulation: Formulation = Formulation(
        version=1,
        question="Please provide a self-contained Python script that solves the following problem "
        "in a markdown code block:\n{prompt}\n",
        prefill="Below is a Python script with a self-contained function that solves the problem "
        "and passes corresponding tests:\n```python\n",
        generation=Generation(
            max_tokens=1280,
            stop=(
                *("<|endoftext|>", "<|endofmask|>", "</s>"),
                *("\nif __name__", "\ndef main(", "\nprint(", "\n```\n"),
            ),
        ),
    )

    def request(self, doc: Doc) -> Request:
        """The instruction as the one user turn; the model's begins in a code block."""
        form = self.formulation
        question = form.question.format(prompt=doc["prompt"].strip())
        return Request(
            messages=prompts.chat(question), prefill=form.prefill, generation=form.generation
        )

    def gold(self, doc: Doc) -> dict[str, str]:
        """The function's name; its tests are in the item."""
        return {"entry_point": doc["entry_point"]}

    def programs(self, doc: Doc, response: Response) -> tuple[Program, ...]:
        """The protocol's program, and where the response gives another one, that too."""
        if not response.text.strip():
            return ()
        sources = dict.fromkeys(filter(None, (calibrated(doc, response), stated(doc, response))))
        tests = f"{doc['test']}\n{RUNNER}"
        return tuple(
            Program(
                source=source, tests=tests, limits=LIMITS, environment=environment(source, tests)
            )
            for source in sources
        )

    def score(self, doc: Doc, response: Response, executions: Sequence[Execution] = ()) -> Verdict:
        """Whether each of the two programs ran to the end of its tests, and which tests passed."""
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
            misformatted=not defines(
                sanitized(response.text, doc["entry_point"]), doc["entry_point"]
            ),
            note="" if protocol is None or protocol.passed else protocol.result,
            parts=[] if protocol is None else parts_of(protocol.output),
        )

    def vote(self, extracted: Any) -> str | None:
        """The program without its comments and its layout."""
        return normal_form(extracted) if isinstance(extracted, str) else None

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """The item's own solution; a function that only raises when `corrupt`."""
        body = "    raise NotImplementedError" if corrupt else doc["canonical_solution"]
        return Response(text=f"{doc['code_prompt']}{body}\n")

    def perfect_values(self, doc: Doc) -> dict[str, float]:
        """1 on both metrics; 0 where the tests need a network, which nothing has in a sandbox."""
        if doc["task_id"] in [f"BigCodeBench/{number}" for number in OFFLINE]:
            return {metric.name: 0.0 for metric in self.metrics}
        return super().perfect_values(doc)


def calibrated(doc: Doc, response: Response) -> str:
    """The protocol's program: what is kept of the response, after the beginning that was given."""
    return f"{doc['code_prompt']}\n    pass\n{sanitized(response.text, doc['entry_point'])}"


def stated(doc: Doc, response: Response) -> str | None:
    """The program that the response gives, the protocol's own where the two say the same."""
    found = stated_program(response.text, doc["code_prompt"], doc["entry_point"])
    protocol = calibrated(doc, response)
    return protocol if found is not None and same(found, protocol) else found


def environment(*sources: str) -> str:
    """Where a program is executed: the standard library alone needs no environment."""
    for source in sources:
        tree = tree_of(source)
        if tree is None:
            return ENVIRONMENT
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            if any(name.partition(".")[0] not in sys.stdlib_module_names for name in names):
                return ENVIRONMENT
    return ""


TASK = BigCodeBenchHard()
