"""A task: one benchmark, in one file that can be read in a minute.

A task says where its data is, how an item becomes a request, how a response becomes a verdict, and
which metric is primary. It imports the engine's public names and no other task. The file ends with
`TASK = TheTask()`; the registry, `--task FILE` and the scoring processes look for that name.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from olmes.benchmark.formulation import Formulation
from olmes.benchmark.metrics import Metric
from olmes.benchmark.source import Source
from olmes.errors import OlmesError
from olmes.tools.hashing import content_hash
from olmes.types import Doc, Question, Request, Response, Verdict

T = TypeVar("T")


class Task(ABC):
    """Base of every benchmark. Subclasses fill the class attributes and four methods."""

    name: ClassVar[str]
    """Name on the command line and in records."""
    title: ClassVar[str]
    """Name in reports."""
    source: ClassVar[Source]
    """Where the items come from."""
    sample: ClassVar[str] = ""
    """Name of the built-in sample's file; empty when it is the task's own name."""
    metrics: ClassVar[tuple[Metric, ...]]
    primary: ClassVar[str]
    """The metric a suite averages."""
    scorers: ClassVar[tuple[str, ...]] = ("score",)
    """Methods `(doc, response) -> Verdict`, each under its own time limit; their values join."""
    time_limit: ClassVar[float] = 5.0
    """Seconds one scorer may take on one response before its process is killed."""
    judged: ClassVar[bool] = False
    """Whether verdicts need a judge: `questions` says what is asked, `score` gets the answers."""
    formulation: Formulation
    """The standard formulation, declared by the class."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """Fields of the formulation that describe what the task does and that `--set` cannot change."""

    reference: str = ""
    """Where a scoring process finds this task: `package.module` or `/path/to/file.py`; set by the
    registry."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """What `with_settings` replaced, so that a scoring process can replace it too."""

    @abstractmethod
    def request(self, doc: Doc) -> Request:
        """The request for one item."""

    @abstractmethod
    def gold(self, doc: Doc) -> Any:
        """What the item's response is held against, as JSON."""

    @abstractmethod
    def score(self, doc: Doc, response: Response) -> Verdict:
        """The verdict on one response. Runs in a scoring process; never raises for bad text.

        A task that is `judged` takes one argument more, `judgements: Sequence[Judgement] = ()`: the
        answers to its `questions`, in their order, none of which failed.
        """

    @abstractmethod
    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A response that must score `perfect_values` (0 on the primary metric when `corrupt`).

        The oracle check runs it over the whole data: a scorer that calls a gold answer wrong is
        found before a model is blamed.
        """

    def perfect_values(self, doc: Doc) -> dict[str, float]:  # noqa: ARG002
        """What `perfect_response` scores: 1 on every metric.

        A task whose protocol metric cannot judge some golds overrides this, computes the exception
        from the item and says why.
        """
        return dict.fromkeys((metric.name for metric in self.metrics), 1.0)

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:  # noqa: ARG002
        """The values of a response that could not be shown right within the scorer's limits."""
        return dict.fromkeys((metric.name for metric in self.metrics), 0.0)

    def prepare(self) -> None:
        """Import what scoring needs, once a scoring process, before any time limit runs."""
        return

    def questions(self, doc: Doc, response: Response) -> tuple[Question, ...]:  # noqa: ARG002
        """What a judge is asked about a response; only for tasks that are `judged`."""
        return ()

    def generated(self) -> Sequence[Doc] | None:
        """The items, for a task that makes them from its formulation (its seed); else None."""
        return None

    def cluster(self, doc: Doc) -> str:  # noqa: ARG002 (for subclasses)
        """What an item shares with others (a passage, a template), by which errors are clustered.

        '' for an item that stands alone.
        """
        return ""

    def subtask(self, doc: Doc) -> str:  # noqa: ARG002 (for subclasses)
        """The sub-task an item belongs to, for tasks whose one file holds several; else ''."""
        return ""

    @property
    def standard(self) -> bool:
        """Whether the formulation is the published one."""
        return self.formulation == type(self).formulation

    @property
    def formulation_hash(self) -> str:
        """16 hex digits over everything that fixes a prompt and a score."""
        described = {
            "task": self.name,
            "formulation": self.formulation.to_json(),
            "metrics": [metric.name for metric in self.metrics],
            "primary": self.primary,
        }
        return content_hash(described)[:16]

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """This task with fields of its formulation replaced.

        Raises:
            OlmesError: there is no such field, or the value does not fit.
        """
        if not settings:
            return self
        changed = copy.copy(self)
        for name in settings:
            if name in self.fixed:
                raise OlmesError(
                    f"--set {self.name}.{name}: the task does not go by it, so changing it would "
                    "change nothing; write a task of your own for that (docs/adding-a-task.md)."
                )
        try:
            changed.formulation = self.formulation.replaced(settings)
        except OlmesError as error:
            raise OlmesError(f"--set {self.name}: {error}") from None
        changed.settings = {**self.settings, **settings}
        return changed

    def take_shots(self, exemplars: Sequence[T]) -> Sequence[T]:
        """The first `formulation.shots` of `exemplars`.

        Raises:
            OlmesError: the formulation asks for more than there are.
        """
        shots = self.formulation.shots
        if not 0 <= shots <= len(exemplars):
            raise OlmesError(
                f"{self.name} has {len(exemplars)} exemplars, so shots={shots} cannot be had; "
                f"set {self.name}.shots to 0..{len(exemplars)}."
            )
        return exemplars[:shots]
