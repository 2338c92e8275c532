"""Which tasks are held out: those of a held-out suite, by their name, their data or their items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from olmes.benchmark.registry import TASKS, load_suite, load_task, suite_names
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.dataset import Dataset, reduced
from olmes.data.places import DataFolders, as_folders
from olmes.data.resolve import at_hand
from olmes.errors import OlmesError
from olmes.seal.exam_items import exam_of_docs
from olmes.tools.hashing import content_hash
from olmes.types import Doc

NOT_LOADED: Mapping[str, Dataset] = MappingProxyType({})


def held_out_tasks(
    tasks: Iterable[Task], suite: Suite | None, datasets: Mapping[str, Dataset] = NOT_LOADED
) -> dict[str, list[str]]:
    """The held-out ones of `tasks`, with the names of the suites that hold them out.

    A task is held out wherever it runs, alone or in another suite, and so is a task of another name
    on the same data: it is the data that must not be looked at.

    Args:
        tasks: any.
        suite: which is run, if one is.
        datasets: by task, what was loaded, as soon as it is known: then its content counts besides
            what the task declares, and so does a part of it in files of one's own.
    """
    tasks = list(tasks)
    held: dict[str, list[str]] = {}
    found = exams(suite)
    for one in found:
        for task in tasks:
            loaded = datasets[task.name].content_hash if task.name in datasets else ""
            if one.holds(task.name, task.source.content_hash) or one.holds("", loaded):
                held.setdefault(task.name, []).append(one.suite)
    for task in tasks:
        dataset = datasets.get(task.name)
        if task.name not in held and dataset and (suites := suites_of_items(task, dataset, found)):
            held[task.name] = suites
    return held


def suites_of_items(task: Task, dataset: Dataset, found: Iterable[Exam]) -> list[str]:
    """The suites that hold out items of a data set, unless it is the official one of a bundled task.

    Benchmarks share items (MMLU-Pro has thousands of MMLU's), and a bundled task's own stay its own.
    What a task of one's own declares about its data says nothing of whose they are.
    """
    bundled = task.reference.startswith(f"{TASKS}.")
    own = dataset.official or dataset.origin == "hub"
    if dataset.origin in ("demo", "generated") or (bundled and own):
        return []
    names, docs = members_of(found), [instance.doc for instance in dataset.instances]
    foreign = foreign_docs(task, docs, dataset.folders)
    exam = exam_of_docs(foreign, names, dataset.folders)
    return [one.suite for one in found if exam in one.names]


def foreign_docs(task: Task, docs: Sequence[Doc], data: DataFolders) -> Sequence[Doc]:
    """Items that a task was given, without those that are a bundled task's own official ones.

    Args:
        task: any.
        docs: the items.
        data: the folders of benchmark files that were named.
    """
    if not task.reference.startswith(f"{TASKS}."):
        return docs
    there = tuple(folder for folder in as_folders(data) if folder.is_dir())
    for folders in (there, None) if there else (None,):
        own = at_hand(task, folders)
        if own is not None and own.official:
            known = {content_hash(instance.doc) for instance in own.instances}
            return [doc for doc in docs if item_hash(task, doc) not in known]
    return docs


def item_hash(task: Task, doc: Doc) -> str:
    """The hash of an item as its task sees it; '' of one that lacks a field."""
    try:
        return content_hash(reduced(doc, task.source, doc.get("subtask", "")))
    except KeyError:
        return ""


def members_of(found: Iterable[Exam]) -> list[str]:
    """The tasks of some exams."""
    return sorted({name for one in found for name in one.names})


@dataclass(frozen=True, slots=True)
class Exam:
    """What a held-out suite keeps closed."""

    suite: str
    names: frozenset[str]
    """Of its tasks, as the suite writes them and as they call themselves."""
    data: frozenset[str]
    """Content hashes of their real data."""

    def holds(self, name: str, data: str) -> bool:
        """Whether a task of a name, or data of a content hash, is held out."""
        return name in self.names or data in self.data


def exams(suite: Suite | None = None) -> list[Exam]:
    """Every held-out suite that is installed, and the one that is run if it is one."""
    found = []
    for one in held_out_suites(suite):
        members = [task for name in one.tasks if (task := installed(name))]
        found.append(
            Exam(
                one.name,
                frozenset({*one.tasks, *(member.name for member in members)}),
                frozenset(member.source.content_hash for member in members) - {""},
            )
        )
    return found


def installed(name: str) -> Task | None:
    """A suite's task; None where it is not installed here, so that only its name is held out."""
    try:
        return load_task(name)
    except OlmesError:
        return None


def held_out_suites(suite: Suite | None) -> list[Suite]:
    """Every held-out suite that is installed, and the one that is run if it is one.

    A task may be in several; the one of the fewest tasks, which says most of it, is named first.
    """
    suites = {name: load_suite(name) for name in suite_names()}
    if suite is not None:
        suites[suite.name] = suite
    held_out = (one for one in suites.values() if one.held_out)
    return sorted(held_out, key=lambda one: len(one.tasks))
