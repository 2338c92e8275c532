"""What is asked, from how a user names it: targets to tasks, settings applied, requests planned."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from olmes.benchmark.registry import TASK_FILES, load_suite, load_task, members, suite_names
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.data.places import DataFolders
from olmes.data.resolve import resolve
from olmes.errors import OlmesError
from olmes.judging.replayed import replayed_judge
from olmes.models.base import SYSTEM_MERGED, Model
from olmes.models.replay import ReplayModel
from olmes.models.spec import load_model, parse_spec
from olmes.requests.plan import Plan, check_asked, make_plan
from olmes.requests.recorded import check_prompts, index_recorded, set_answers
from olmes.runs.needs import clearer
from olmes.runs.options import Sampling
from olmes.seal.held_out import held_out_tasks
from olmes.types import JsonObject

EVERY = "*"
"""In a setting's key: every task of the run."""

Target = str | Task | Suite | Sequence[str | Task]
"""A suite's or a task's name, the path of a suite (.toml) or task (.py) file, a `Task`, a `Suite`, or
several tasks."""


def to_stderr(line: str) -> None:
    """Print a line for the user where it does not mix with output."""
    print(line, file=sys.stderr)


def load_judge(spec: str) -> Model:
    """The model that judges: as `load_model`, but `replay:FILE` gives stored judgements back.

    Raises:
        OlmesError: the name cannot be parsed, or the file holds no judgement.
    """
    parsed = parse_spec(spec)
    if parsed.backend == "replay":
        return replayed_judge(spec, Path(parsed.target).expanduser())
    return load_model(spec)


def tasks_of(target: Target) -> tuple[Suite | None, list[Task]]:
    """The suite, if the target is one, and its tasks."""
    if isinstance(target, str) and (target.endswith(".toml") or target in suite_names()):
        target = load_suite(target)
    if isinstance(target, Suite):
        return members(target)
    if isinstance(target, (str, Task)):
        target = [target]
    return None, [task_of(member) for member in target]


def task_of(member: str | Task) -> Task:
    """A task by name, or the task itself when a scoring process can find it too.

    Raises:
        OlmesError: the task was defined where no other process can import it.
    """
    if isinstance(member, str):
        return load_task(member)
    if not member.reference:
        module = sys.modules[type(member).__module__]
        file = getattr(module, "__file__", None)
        if module.__name__ == "__main__" or getattr(module, "TASK", None) is not member:
            raise OlmesError(
                f"the task {member.name} is scored in processes of its own, which must find it: "
                f"end its file ({file or 'a notebook'}) with `TASK = ...` and give the file's path."
            )
        member.reference = module.__name__
    return member


def plan_run(
    tasks: Sequence[Task],
    model: Model,
    *,
    suite: Suite | None = None,
    limit: int | None = None,
    data: DataFolders = None,
    settings: Mapping[str, Any] | None = None,
    with_judge: Callable[[str], bool] = lambda task: False,  # noqa: ARG005
    sampling: Sampling = "task",
    k: Sequence[int] = (),
    say: Callable[[str], None] = to_stderr,
) -> Plan:
    """Resolve the tasks' data and make every request. Nothing is asked of the model.

    A recording (`replay:FILE`) gets its answers here, and a limit draws from the items it answers.
    Tasks that need a judge are planned only when there is one (`with_judge`, by name).

    Raises:
        OlmesError: a setting does not fit, the data or the recording cannot be found, the
            checkpoint has no sampling settings of its own, or a k is more than there are responses.
    """
    chosen = with_settings(tasks, settings or {})
    check_k(k, chosen)
    not_run = {
        task.name: f"it needs a judge; add --judge openai:NAME@URL (or another model) to the "
        f"command, or run `{judged_command(task, model.name, suite)}` for it alone."
        for task in chosen
        if task.judged and not with_judge(task.name)
    }
    chosen = [task for task in chosen if task.name not in not_run]
    check_asked(chosen, limit, not_run)
    said: set[str] = set()

    def say_once(line: str) -> None:
        """Without the task's name, a network that is away is the same news for every task."""
        news = line.partition(": ")[2]
        if news not in said:
            said.add(news)
            say(line)

    datasets = {task.name: resolve(task, data, say=say_once) for task in chosen}
    # What needs the model's files comes after what a slip of the hand gets wrong.
    with clearer(model):
        chosen, notes = fitted(chosen, model, sampling)
    notes += alike(chosen, model)
    lacking = [f"{task.name}: {note}" for task in chosen for note in task.data_notes()]
    for note in lacking:
        say(note)
    notes += lacking
    if not chosen or not isinstance(model, ReplayModel):
        return make_plan(
            chosen, datasets, suite=suite, limit=limit, not_run=not_run, notes=notes, k=k
        )
    recorded = index_recorded(model.recording, chosen, datasets)
    plan = make_plan(
        chosen, datasets, suite=suite, limit=limit, among=recorded.offsets, not_run=not_run,
        notes=lacking, k=k,
    )  # fmt: skip
    check_prompts(plan, recorded)
    set_answers(model, recorded)
    return plan


def fitted(tasks: Sequence[Task], model: Model, sampling: Sampling) -> tuple[list[Task], list[str]]:
    """The tasks as this model is asked, and what was changed of them, a sentence each.

    A prefill would stand inside the thought of a model that thinks, so it is left out there.

    Raises:
        OlmesError: the checkpoint's sampling settings are asked for and it has none.
    """
    chosen, notes = list(tasks), []
    if sampling == "model":
        own = model.sampling
        # What the user says goes before what the checkpoint says.
        chosen = [
            task.with_settings({k: v for k, v in own.items() if k not in task.settings})
            for task in chosen
        ]
        named = ", ".join(f"{name}={value}" for name, value in own.items())
        notes.append(f"sampled as the checkpoint's generation_config says: {named}.")
    if any(task.formulation.system for task in chosen) and model.merges_system:
        notes.append(SYSTEM_MERGED)
    prefilled = [task.name for task in chosen if task.formulation.prefill]
    if prefilled and model.thinks:
        chosen = [
            task.with_settings({"prefill": ""}) if task.formulation.prefill else task
            for task in chosen
        ]
        notes.append(
            f"{', '.join(prefilled)}: the prefill is left out, because this model thinks before it "
            "answers and would read it inside its thought; --thinking off keeps it."
        )
    return chosen, notes


def check_k(k: Sequence[int], tasks: Sequence[Task]) -> None:
    """Refuse a k that no number could be given of.

    Raises:
        OlmesError: one is below 1, or more than every task's responses an item.
    """
    most = max((task.formulation.generation.n for task in tasks), default=0)
    wrong = [one for one in k if not 1 <= one <= most]
    if wrong and most:
        raise OlmesError(
            f"--k {wrong[0]}: an item has {most} {'response' if most == 1 else 'responses'}, so k is "
            f"from 1 to {most}; --repeats {max(2, *wrong)} gives it more."
        )


def alike(tasks: Sequence[Task], model: Model) -> list[str]:
    """That repeats say nothing where they are equal, in a sentence; nothing where they are not."""
    generations = [(task.name, task.formulation.generation) for task in tasks]
    names = [name for name, one in generations if one.n > 1 and not one.temperature]
    if not (names and model.greedy_alike):
        return []
    return [
        f"{', '.join(names)}: the responses to an item are all the same, because this model is asked "
        "at temperature 0, so that repeats say nothing; --temperature 0.6 or --sampling model samples "
        "them."
    ]


def judged_command(task: Task, model: str, suite: Suite | None = None) -> str:
    """The command that runs a judged task on a model, once a judge is written into it."""
    name = task.reference if task.reference.endswith(TASK_FILES) else task.name
    words = ["olmes", "run", "--task", name, "--model", model, "--judge", "openai:NAME@URL"]
    reason = ' --reason "..."' if held_out_tasks([task], suite) else ""
    return shlex.join(words) + reason


def with_settings(tasks: Sequence[Task], settings: Mapping[str, Any]) -> list[Task]:
    """The tasks with `TASK.FIELD` settings applied.

    What is set for all (`*.FIELD`) is set where a task reads it: one that has no exemplars has no use
    for `*.shots`.

    Raises:
        OlmesError: a key names no task of this run, or no field, or a field that no task reads.
    """
    everywhere = {
        key.partition(".")[2]: value
        for key, value in settings.items()
        if key.partition(".")[0] == EVERY
    }
    # What is said of a task alone goes before what is said of all.
    by_task: dict[str, JsonObject] = {task.name: dict(everywhere) for task in tasks}
    for key, value in settings.items():
        name, _, field = key.partition(".")
        if not field or name not in (*by_task, EVERY):
            raise OlmesError(
                f"--set {key}: write TASK.FIELD=VALUE with a task of this run "
                f"({', '.join(by_task) or 'there is none'}), or '{EVERY}' for all of them."
            )
        if name != EVERY:
            by_task[name][field] = value
        elif tasks and all(field in task.fixed for task in tasks):
            raise OlmesError(
                f"--set {key}: none of {', '.join(by_task)} reads this field, so changing it would "
                "change nothing."
            )
    for task in tasks:
        for field in everywhere.keys() & set(task.fixed):
            if f"{task.name}.{field}" not in settings:
                del by_task[task.name][field]
    return [task.with_settings(by_task[task.name]) for task in tasks]
