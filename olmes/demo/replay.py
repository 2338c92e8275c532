"""The recorded answers that come with olmes, put through the suites as those of any model are.

A recording holds what the embedded model, or a checkpoint of its training (`olmes train chain demo`),
answered to the project's own demo data; `olmes.demo.record` makes them. Its first line says of which
weights, when, and what was set by hand, and the records say it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from olmes.benchmark import registry
from olmes.data.resolve import DEMO
from olmes.models.recording import RecordingHead, read_head
from olmes.runs.evaluation import Evaluation
from olmes.runs.options import RunOptions
from olmes.seal.look import Look
from olmes.sequence import Member, run_sequence
from olmes.tools.durable_files import atomic_writer
from olmes.tools.extras import lacking

SUITES = ("dev", "unseen")
REASON = "the end of the demo's training: does it hold on what it was never tuned on?"
SUFFIX = ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording in a folder of the user's."""

    path: Path
    head: RecordingHead

    @property
    def model(self) -> str:
        """As `--model` takes it."""
        return f"replay:{self.path}"

    def tasks_of(self, suite: str) -> list[str]:
        """The tasks of a suite that it has answers to."""
        return [name for name in registry.load_suite(suite).tasks if name in self.head.tasks]


def recordings(folder: Path) -> list[Recording]:
    """The recordings that come with olmes, copied into a folder, in the order of their steps.

    Raises:
        OlmesError: one is not as it was recorded, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for bundled in resources.files("olmes.demo").joinpath("recordings").iterdir():
        if not bundled.name.endswith(SUFFIX):
            continue
        path, content = folder / bundled.name, bundled.read_bytes()
        if not path.is_file() or path.read_bytes() != content:
            with atomic_writer(path) as stream:
                stream.write(content)
        head = read_head(path)
        assert head is not None, f"{path} says nothing of who gave its responses"
        found.append(Recording(path, head))
    return sorted(found, key=lambda one: (one.head.model.step or 0, one.path.name))


def replay(
    found: Sequence[Recording], out: Path, *, ended: Callable[[Member], None] = lambda _: None
) -> list[Member]:
    """Put recordings through the suites that they have answers to; what is finished stays as it is.

    Demo data are taken whatever other data are here. A look at the held-out suite is written into the
    ledger of `out` and nowhere else, as every look at demo data. A task whose extra is not installed is
    left out, and the suite's mean is said to be without it.

    Args:
        found: the recordings.
        out: the store.
        ended: called with each model and suite that is done with.

    Raises:
        OlmesError: a recording does not fit what the suites ask today.
    """
    members: list[Member] = []
    for suite in SUITES:
        own = [one for one in found if one.tasks_of(suite)]
        if not own:
            continue
        chosen, tasks = registry.members(registry.load_suite(suite))
        tasks = [task for task in tasks if not any(map(lacking, task.extras))]
        there = {task.name for task in tasks}
        settings = {
            f"{task}.{field}": value
            for task in own[0].tasks_of(suite)
            if task in there
            for field, value in own[0].head.tasks[task].items()
        }
        options = RunOptions(
            data=(DEMO,), out=out, settings=settings, look=Look(reason=REASON), use_cache=False
        )
        evaluation = Evaluation(tasks, chosen, options, say=unsaid)
        members += run_sequence([one.model for one in own], evaluation, ended=ended)
    return members


def unsaid(line: str) -> None:
    """Say nothing of where data come from: these are demo data, as everything here says."""
