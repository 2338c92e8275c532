"""A Python function as a verifier: called in a scoring process, under limits of time and memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from olmes.benchmark.formulation import Formulation
from olmes.benchmark.metrics import Metric
from olmes.benchmark.registry import module_from_file
from olmes.benchmark.source import Source
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.types import Doc, Generation, Request, Response, Verdict

VALUE = "reward"


@dataclass(frozen=True, kw_only=True)
class FunctionFormulation(Formulation):
    """Which function, and its limits."""

    function: str = ""
    """`/path/to/FILE.py:NAME`."""
    seconds: float = 5.0
    memory_gb: float = 2.0


class FunctionTask(Task):
    """The value a function gives a response: `NAME(prompt, completion, row)`.

    An item is `{"prompt": turns, "row": {...}}`. The function gets the answer alone; one with a
    parameter `thought` gets what was thought before it as well.
    """

    name = "function"
    title = "A function"
    source = Source(files=(), fields=("prompt", "row"), content_hash="")
    metrics = (
        Metric(name=VALUE, help="what the function gives", unit="number", honest=True),
    )  # fmt: skip
    primary = VALUE
    formulation: FunctionFormulation = FunctionFormulation(generation=Generation(max_tokens=1))

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """This task for the function that the settings name."""
        changed = super().with_settings(settings)
        # An instance's own: every function has its limit.
        vars(changed)["time_limit"] = changed.formulation.seconds
        return changed

    def request(self, doc: Doc) -> Request:
        """The row's own prompt."""
        return Request(messages=tuple(doc["prompt"]), generation=self.formulation.generation)

    def gold(self, doc: Doc) -> None:
        """There is none: a function says by itself what is good."""

    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """Not known of a function.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:  # noqa: ARG002
        """What is no answer earns nothing."""
        return {VALUE: 0.0}

    def prepare(self) -> None:
        """Import the function's file before any limit holds."""
        self.function()

    def function(self) -> Callable[..., Any]:
        """The function.

        Raises:
            OlmesError: the file cannot be imported or has no such function.
        """
        file, _, member = self.formulation.function.rpartition(":")
        found = getattr(module_from_file(Path(file)), member, None)
        if not callable(found):
            raise OlmesError(f"{file} has no function '{member}'; correct the name.")
        function: Callable[..., Any] = found
        return function

    def score(self, doc: Doc, response: Response) -> Verdict:
        """What the function gives; it is an error when that is no number."""
        function = self.function()
        further = {"thought": response.reasoning} if takes_thought(function) else {}
        with memory_limit(self.formulation.memory_gb):
            value = function(doc["prompt"], response.text, doc["row"], **further)
        if isinstance(value, str) or not hasattr(value, "__float__"):
            raise TypeError(f"the function gave {value!r} and not a number")
        return Verdict(values={VALUE: float(value)})


def takes_thought(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter `thought`."""
    return "thought" in inspect.signature(function).parameters


@contextmanager
def memory_limit(gigabytes: float) -> Iterator[None]:
    """No more memory than so much beyond what the process has; an attempt is a `MemoryError`."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):  # not Linux: the process's own limit holds
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + int(gigabytes * (1 << 30))
    ceilings = [limit for limit in (wanted, soft) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(ceilings), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


TASK = FunctionTask()
