"""What is run on a checkpoint: suite, settings and model options, fixed before training begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from olmes.benchmark.registry import TASK_FILES
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.places import as_folders
from olmes.errors import OlmesError
from olmes.judging.judges import Written
from olmes.models.options import Asking
from olmes.records.schema import Asker
from olmes.requests.choosing import Limit
from olmes.runs.options import RunOptions
from olmes.runs.planning import tasks_of, with_settings
from olmes.seal.held_out import held_out_tasks
from olmes.seal.look import Look, check_look
from olmes.tools.hashing import content_hash, file_sha256

Policy = Literal["every", "latest", "one_behind"]
POLICIES: tuple[Policy, ...] = ("every", "latest", "one_behind")


@dataclass(frozen=True, kw_only=True)
class EvalRequest:
    """The evaluation of every checkpoint of a training, as another process can read it."""

    target: str | tuple[str, ...]
    """A suite, a task, or several tasks: names or absolute paths of their files."""
    out: str
    """The store of the records, absolute."""
    limit: Limit | None = None
    data: str | tuple[str, ...] | None = None
    """A folder of benchmark files, or several; absolute."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    judge: Written = None
    """Who judges, or who judges which task."""
    dtype: str | None = None
    device: str | None = None
    batch_size: int | None = None
    max_length: int | None = None
    asking: Asking = field(default_factory=Asking)
    reason: str = ""
    final: bool = False
    asked_by: Asker = "hook"

    def __post_init__(self) -> None:
        """Refuse what cannot be said of all checkpoints; another process reads this, elsewhere.

        Raises:
            OlmesError: an adapter is named.
        """
        if self.asking.adapter:
            raise OlmesError(
                f"--adapter {self.asking.adapter}: checkpoints that are adapters are found by "
                "themselves, each on its own base; leave it out."
            )
        object.__setattr__(self, "asking", self.asking.anywhere())

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field; of how the model is asked, what is given."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return found | {"asking": self.asking.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EvalRequest:
        """The reverse of `to_json`."""
        target = data["target"]
        asking = Asking.from_json(data.get("asking", {}))
        named = target if isinstance(target, str) else tuple(target)
        folders = data.get("data")
        folders = tuple(folders) if isinstance(folders, list) else folders
        return cls(**{**data, "target": named, "data": folders, "asking": asking})

    @cached_property
    def members(self) -> tuple[Suite | None, list[Task]]:
        """The suite, if the target is one, and its tasks with the settings applied.

        Raises:
            OlmesError: a name is unknown, or a setting does not fit.
        """
        target = self.target if isinstance(self.target, str) else list(self.target)
        suite, tasks = tasks_of(target)
        return suite, with_settings(tasks, self.settings)

    @property
    def title(self) -> str:
        """The suite's name, or the tasks'."""
        suite, tasks = self.members
        return suite.name if suite else "-".join(task.name for task in tasks)

    @property
    def held_out(self) -> bool:
        """Whether any of it is held out."""
        suite, tasks = self.members
        return bool(held_out_tasks(tasks, suite))

    @cached_property
    def hash(self) -> str:
        """16 hex digits over what decides the score: formulations, limit, data, precision.

        Not the device or the batch size; the same request of a hook and a watcher has one hash.
        """
        suite, tasks = self.members
        formulations = {task.name: task.formulation_hash for task in tasks}
        decides: list[Any] = [self.limit, self.data, self.judge, self.dtype, self.max_length]
        # A file of one's own is told by its content; what a task's data are is fixed otherwise.
        decides += [file_sha256(task.items_file) for task in tasks if task.items_file]
        decides += [asking] if (asking := self.asking.to_json()) else []
        return content_hash([suite.name if suite else None, formulations, decides])[:16]

    def on_device(self, device: str) -> EvalRequest:
        """The same request, its model run elsewhere."""
        return replace(self, device=device)

    def options(self, family: str) -> RunOptions:
        """How every checkpoint is run; the settings are in the tasks of `members` already."""
        return RunOptions(
            limit=self.limit,
            data=as_folders(self.data),
            out=Path(self.out),
            judge=self.judge,
            look=self.look(family),
            dtype=self.dtype,
            device=self.device,
            batch_size=self.batch_size,
            max_length=self.max_length,
            asking=self.asking,
        )

    def look(self, family: str) -> Look:
        """How held-out tasks are asked for."""
        return Look(reason=self.reason, asked_by=self.asked_by, final=self.final, family=family)

    def check(self) -> None:
        """Refuse at once what would be refused at every checkpoint.

        Raises:
            OlmesError: a name is unknown, a setting does not fit, or held-out tasks are asked for
                without saying that this is the end of the training, and why.
        """
        suite, tasks = self.members
        check_look(tasks, suite, self.look(""))


def absolute(target: str) -> str:
    """A name as it is; the path of a file so that a process elsewhere finds it."""
    return str(Path(target).resolve()) if target.endswith((".toml", *TASK_FILES)) else target


def training_folder(out: Path, output_dir: Path) -> Path:
    """Where everything about the scoring of one training lies: `OUT/checkpoints/NAME-hash`.

    The hash is of where the trainer writes, so that two trainings of one name stay apart, and a
    training that is started again, or watched from outside, finds its own.
    """
    path = output_dir.resolve()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).strip("-.") or "training"
    return out.resolve() / "checkpoints" / f"{name}-{content_hash(str(path))[:8]}"
