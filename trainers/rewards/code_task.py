"""Tests as a verifier: the code of a response is executed with them, in a sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from olmes.benchmark.formulation import Formulation
from olmes.benchmark.metrics import Metric
from olmes.benchmark.source import Source
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.sandbox.choice import chosen
from olmes.sandbox.program import Execution, Limits, Program
from olmes.types import Doc, Generation, Request, Response, Verdict

ALL, SHARE = "passed", "share_passed"
FENCED = re.compile(
    r"^[ \t]*```[ \t]*(?:python|py)?[ \t]*\n(.*?)^[ \t]*```",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
KEYS = ("tests", "before", "environment", "wall_s", "memory_gb")


class CodeTask(Task):
    """Whether the code of a response passes the tests of its item.

    An item is `{"prompt": turns, "code": {"tests": text or a list of texts, ...}}`; each text is a
    program of its own, executed after the code. The code is the last fenced block of Python, or the
    whole answer where there is none.
    """

    name = "code"
    title = "Tests"
    executed = True
    source = Source(files=(), fields=("prompt", "code"), content_hash="")
    metrics = (
        Metric(name=ALL, help="all tests pass", honest=True),
        Metric(name=SHARE, help="the share of the tests that pass"),
    )
    primary = ALL
    formulation = Formulation(generation=Generation(max_tokens=1))

    def request(self, doc: Doc) -> Request:
        """The row's own prompt."""
        return Request(messages=tuple(doc["prompt"]), generation=self.formulation.generation)

    def gold(self, doc: Doc) -> list[str]:
        """The tests."""
        return texts(doc["code"])

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """Not known of tests.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError

    def programs(self, doc: Doc, response: Response) -> tuple[Program, ...]:
        """The code with each of the tests; nothing where there is no code."""
        code, given = code_of(response.text), doc["code"]
        if not code.strip():
            return ()
        limits = Limits(
            wall_s=float(given.get("wall_s", 5.0)),
            memory_bytes=int(float(given.get("memory_gb", 1.0)) * (1 << 30)),
        )
        source = "\n".join(part for part in (given.get("before", ""), code) if part)
        return tuple(
            Program(
                source=source, tests=tests, limits=limits, environment=given.get("environment", "")
            )
            for tests in texts(given)
        )

    def score(self, doc: Doc, response: Response, executions: Sequence[Execution] = ()) -> Verdict:  # noqa: ARG002
        """What came of them."""
        share = sum(one.passed for one in executions) / max(1, len(executions))
        return Verdict(
            values={ALL: float(bool(executions) and share == 1), SHARE: share},
            unparsed=not executions,
        )


def texts(code: Mapping[str, Any]) -> list[str]:
    """The tests of a verifier, as a list."""
    tests = code["tests"]
    return [tests] if isinstance(tests, str) else list(tests)


def code_of(answer: str) -> str:
    """The code in an answer."""
    blocks: list[str] = FENCED.findall(answer)
    return blocks[-1] if blocks else answer


def checked(code: Any) -> dict[str, Any]:
    """A verifier's `code`, when it can be executed here; a text stands for `{"tests": text}`.

    Raises:
        OlmesError: it has no tests, other keys or values of other types; there is no sandbox, or its
            environment is not installed.
    """
    found = {"tests": code} if isinstance(code, str) else code
    if not isinstance(found, Mapping) or "tests" not in found:
        raise OlmesError("the 'code' of a verifier is an object with 'tests', or their text")
    if unknown := sorted(found.keys() - set(KEYS)):
        raise OlmesError(
            f"the 'code' of a verifier has no '{unknown[0]}'; it has {', '.join(KEYS)}"
        )
    tests = found["tests"]
    several = isinstance(tests, list) and tests and all(isinstance(one, str) for one in tests)
    if not several and not isinstance(tests, str):
        raise OlmesError("the 'tests' of a verifier are a text of Python, or a list of such texts")
    for name in ("wall_s", "memory_gb"):
        value = found.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise OlmesError(f"the '{name}' of a verifier's code is a number above 0")
    for name in ("before", "environment"):
        if not isinstance(found.get(name, ""), str):
            raise OlmesError(f"the '{name}' of a verifier's code is a text")
    chosen().interpreter(found.get("environment", ""))
    return dict(found)


TASK = CodeTask()
