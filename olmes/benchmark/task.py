"""A task: one benchmark, in one file that can be read in a minute.

A task says where its data is, how an item becomes a request, how a response becomes a verdict, and
which metric is primary. It imports the engine's public names and no other task. The file ends with
`TASK = TheTask()`; the registry, `--task FILE` and the scoring processes look for that name.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from olmes.benchmark.formulation import Formulation
from olmes.benchmark.item_texts import prompt_of, texts_of
from olmes.benchmark.metrics import Metric
from olmes.benchmark.source import Source
from olmes.errors import OlmesError
from olmes.sandbox.program import Program
from olmes.tools.hashing import content_hash
from olmes.types import Doc, Judgement, Question, Request, Response, Verdict

T = TypeVar("T")
COUNTS = dict(enumerate(("no", "one", "two", "three", "four", "five", "six", "seven", "eight")))
"""Numbers as a sentence has them."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A response with its verdict, as `Task.settle` is given it."""

    doc: Doc
    doc_id: int
    subtask: str
    repeat: int
    values: Mapping[str, Any]
    """By metric, as its scorers gave them; without those they gave none of."""
    extracted: Any
    characters: int
    """Length of the answer, without the thought."""


class Task(ABC):
    """Base of every benchmark. Subclasses fill the class attributes and four methods."""

    name: str
    """Name on the command line and in records."""
    title: str
    """Name in reports."""
    aliases: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Further names of the benchmark, each with its title: `(("ifbench", "IFBench"),)`. Each is a task
    of its own that differs in name and title alone. Written as a literal in the class, because the
    names are read from the file without importing it."""
    source: ClassVar[Source]
    """Where the items come from."""
    demo_data: ClassVar[str] = ""
    """Name of the demo data's file; empty when it is the class's `name`."""
    metrics: ClassVar[tuple[Metric, ...]]
    primary: ClassVar[str]
    """The metric a suite averages."""
    scorers: ClassVar[tuple[str, ...]] = ("score",)
    """Methods `(doc, response) -> Verdict`, each under its own time limit; their values join."""
    time_limit: ClassVar[float] = 5.0
    """Seconds one scorer may take on one response before its process is killed."""
    judged: ClassVar[bool] = False
    """Whether verdicts need a judge: `questions` says what is asked, `score` gets the answers."""
    executed: ClassVar[bool] = False
    """Whether verdicts need programs to be executed: `programs` says which, `score` gets what came of
    them."""
    formulation: Formulation
    """The standard formulation, declared by the class."""
    for_reward_models: ClassVar[bool] = False
    """Whether its requests have `answers` to reward, which only a reward model can be asked."""
    extras: ClassVar[tuple[str, ...]] = ()
    """Extras of olmes that scoring needs: `("ifbench",)`."""
    scoring_modules: ClassVar[tuple[str, ...]] = ()
    """Modules that decide about a verdict besides this file and what it imports from
    `olmes.scoring`: `("my_package.text",)`. The scorer hash covers their source too."""
    fixed: ClassVar[tuple[str, ...]] = ()
    """Fields of the formulation that describe what the task does and that `--set` cannot change."""
    patterns: ClassVar[tuple[str, ...]] = ()
    """What each pattern of `formulation.extract` finds, in order, of a task that reads them by their
    places: `--set` takes as many. Empty where their number is free."""

    reference: str = ""
    """Where a scoring process finds this task: `package.module` or `/path/to/file.py`; set by the
    registry. An alias is found in the same place, which gives the task under its first name."""
    exemplar_rows: Sequence[Doc] = ()
    """The rows of `source.exemplars`, in their order; set where the task's data are read."""
    data_folders: tuple[Path, ...] = ()
    """The folders of data that the user named; set where the task's data are read, as is the next."""
    official_data: bool = False
    """Whether the items are the official set's."""
    items_file: Path | None = None
    """The file that holds the items, of a task that was made from a file of the user's own."""
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
        answers to its `questions`, in their order, none of which failed. One that is `executed` takes
        `executions: Sequence[Execution] = ()`: what came of its `programs`, in their order.
        """

    @abstractmethod
    def perfect_response(self, doc: Doc, *, corrupt: bool = False) -> Response:
        """A response that must score `perfect_values`; when `corrupt` one that must be wrong.

        Wrong is 0 on a primary metric that is a share of what is right, and else worse than perfect.
        `olmes check` runs both over the data: a scorer that calls a gold answer wrong is found before
        a model is blamed.
        """

    def perfect_judgements(
        self,
        doc: Doc,  # noqa: ARG002 (for subclasses)
        questions: Sequence[Question],  # noqa: ARG002
        *,
        corrupt: bool = False,  # noqa: ARG002
    ) -> Sequence[Judgement] | None:
        """What a judge without faults answers to the `questions` about `perfect_response`.

        For tasks that are `judged`; None leaves their scorers unchecked.
        """
        return None

    def perfect_values(self, doc: Doc) -> dict[str, float]:  # noqa: ARG002
        """What `perfect_response` scores: the best value of every share; nothing of numbers.

        A metric that is left out is not checked on the item, as those that are `settled` are. A task
        whose protocol metric cannot judge some golds overrides this, computes the exception from the
        item and says why.
        """
        scored = (metric for metric in self.metrics if not metric.settled)
        return {metric.name: metric.best for metric in scored if metric.best is not None}

    def wrong_values(self, doc: Doc) -> dict[str, float | list[bool]]:  # noqa: ARG002
        """The values of a response that could not be shown right within the scorer's limits.

        The worst value of every share. Numbers have no worst value, so that such a response is left
        out of their mean; a task whose primary metric is a number says here what it counts as.
        """
        scored = (metric for metric in self.metrics if not metric.settled)
        return {m.name: 1.0 - m.best for m in scored if m.best is not None}

    def prepare(self) -> None:
        """Import what scoring needs, once a scoring process, before any time limit runs."""
        return

    def questions(self, doc: Doc, response: Response) -> tuple[Question, ...]:  # noqa: ARG002
        """What a judge is asked about a response; only for tasks that are `judged`."""
        return ()

    def programs(self, doc: Doc, response: Response) -> tuple[Program, ...]:  # noqa: ARG002
        """What is executed of a response; only for tasks that are `executed`.

        Runs in a scoring process under `time_limit`; what comes back runs in a sandbox under the
        limits of each program.
        """
        return ()

    def settle(self, responses: Sequence[Scored]) -> Sequence[Mapping[str, float]]:
        """The values of `settled` metrics, for each response in order; empty where it has none.

        Called once, when every verdict of the set is there. An item's value stands in each of its
        responses alike, so that the mean over responses is the mean over items (pass@10, say).
        """
        return [{} for _ in responses]

    def continuations(self, doc: Doc) -> tuple[str, ...]:
        """The continuations that are weighed for an item; empty where text is generated.

        What a recording must have log-probabilities of. A task that weighs continuations overrides it,
        and is known by that (`weighs`); of one that does not they are those of its request.
        """
        return self.request(doc).continuations

    def data_notes(self) -> Sequence[str]:
        """What a reader of the numbers must know of further files that metrics need, a sentence each.

        Asked when the data have been read, so that a metric whose file is not here is told of before
        the model is asked anything.
        """
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

    def item_texts(self, doc: Doc, *, answers: bool = False) -> list[str]:
        """What an item asks by its file, or else how it is asked; with `answers` what answers it.

        Decontamination compares these with training data (`Source.question`, `Source.answer`).
        """
        fields = self.source.answer if answers else self.source.question
        if fields or answers:
            return texts_of(doc, fields)
        return [prompt_of(self, doc)]

    def vote(self, extracted: Any) -> str | None:
        """The answer that a response gave, as votes are counted (maj@k); None for no vote.

        Two extracted answers are the same answer where this is the same text: a task for which `1/2`
        is `0.5` says so here. By default it is the text, or the JSON, of what was extracted.
        """
        if extracted is None or isinstance(extracted, str):
            return extracted and (" ".join(extracted.split()) or None)
        return content_hash(extracted)

    @property
    def weighs(self) -> bool:
        """Whether it says which continuations it weighs, so that no text is worth anything to it."""
        return type(self).continuations is not Task.continuations

    @property
    def decisive(self) -> str:
        """The metric that a single scored response has a value of.

        The primary one; where that is `settled`, the first that is not.
        """
        settled = {metric.name for metric in self.metrics if metric.settled}
        if self.primary not in settled:
            return self.primary
        return next(metric.name for metric in self.metrics if metric.name not in settled)

    @property
    def standard(self) -> bool:
        """Whether the formulation is the published one."""
        return self.formulation == type(self).formulation

    @property
    def formulation_hash(self) -> str:
        """16 hex digits over what fixes the number that is compared: prompts and primary metric.

        A further metric beside the primary one does not change it.
        """
        described = {
            "task": self.name,
            "formulation": self.formulation.to_json(),
            "primary": self.primary,
        }
        return content_hash(described)[:16]

    def alias(self, name: str) -> Self:
        """This task under another of its names.

        Raises:
            OlmesError: it has no such alias.
        """
        titles = dict(self.aliases)
        if name not in titles:
            raise OlmesError(f"{self.name} has no alias '{name}'; add it to the task's `aliases`.")
        other = copy.copy(self)
        other.name, other.title = name, titles[name]
        return other

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """This task with fields of its formulation replaced.

        Raises:
            OlmesError: there is no such field, the value does not fit, or there are not as many
                `patterns` in `extract` as the task reads.
        """
        if not settings:
            return self
        changed = copy.copy(self)
        for name in settings:
            if name in self.fixed:
                raise OlmesError(
                    f"--set {self.name}.{name}: the task does not read this field, so changing it "
                    "would change nothing; write a task of your own (docs/adding-a-task.md)."
                )
        try:
            changed.formulation = self.formulation.replaced(settings)
        except OlmesError as error:
            raise OlmesError(f"--set {self.name}: {error}") from None
        if self.patterns and len(changed.formulation.extract) != len(self.patterns):
            count = COUNTS.get(len(self.patterns), len(self.patterns))
            raise OlmesError(
                f"--set {self.name}.extract takes {count} patterns: {', '.join(self.patterns)}; "
                f"give {count}."
            )
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
                f"{self.name} has {len(exemplars)} exemplars, but shots={shots}; "
                f"set {self.name}.shots to a number from 0 to {len(exemplars)}."
            )
        return exemplars[:shots]
