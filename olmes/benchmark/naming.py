"""What a user writes for tasks, as names of tasks: several with commas, `*` for many at once.

The one answer for every option and argument that names tasks. What is a file here is a file, whatever
its name holds.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from olmes.benchmark.registry import TASK_FILES, is_alias, load_task, suite_names, task_names
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.tools.near_names import near_names

WILD = "*?"


def named_tasks(written: str | Iterable[str]) -> list[Task]:
    """The tasks that some words name, each once, in the order written.

    Args:
        written: names, files, patterns (`mmlu*`, `mine/*.py`), or several of them with commas.

    Raises:
        OlmesError: there is no such task, or nothing fits a pattern.
    """
    return list({task.name: task for task in map(load_task, names_of(written))}.values())


def one_task(written: str, command: str) -> Task:
    """The task that a word names, where a command takes one.

    Raises:
        OlmesError: as `named_tasks`, or the word names several.
    """
    found = named_tasks(written)
    if len(found) > 1:
        raise OlmesError(
            f"olmes {command} takes one task, and '{written}' names "
            f"{', '.join(task.name for task in found)}; choose one of them."
        )
    return found[0]


def names_of(written: str | Iterable[str]) -> list[str]:
    """Names and paths of tasks, each once, in the order written.

    Raises:
        OlmesError: nothing fits a pattern, nothing is named, or a suite is named.
    """
    words = [written] if isinstance(written, str) else list(written)
    found = dict.fromkeys(name for word in words for name in split(word) for name in fitting(name))
    if words and not found:
        raise OlmesError(f"'{words[0]}' names no task; `olmes list` shows all.")
    return list(found)


def split(written: str) -> Sequence[str]:
    """What stands between the commas of a word, unless it is a file as it is."""
    if "," not in written or Path(written).expanduser().is_file():
        return [written]
    return [part for word in written.split(",") if (part := word.strip())]


def fitting(name: str) -> list[str]:
    """The tasks or files that a pattern fits; a name as it is.

    Raises:
        OlmesError: a pattern fits nothing, or it is the name of a suite.
    """
    is_file = name.endswith(TASK_FILES)
    if name.endswith(".toml") or (name in suite_names() and name not in task_names()):
        raise OlmesError(f"'{name}' is a suite and no task; write --suite {name}.")
    if not any(sign in name for sign in WILD) or Path(name).expanduser().is_file():
        return [name]
    if is_file:
        found = sorted(glob.glob(str(Path(name).expanduser())))  # noqa: PTH207 (absolute ones too)
    else:
        every = [one for one in task_names() if fnmatchcase(one, name)]
        # An alias is the same benchmark once more; by its own name it is run all the same.
        found = [one for one in every if not is_alias(one)] or every
    if not found:
        bare = name.translate({ord(sign): None for sign in WILD})
        near = [] if is_file else near_names(bare, task_names())
        hint = f"did you mean {' or '.join(near)}?" if near else "`olmes list` shows all tasks."
        what = "no file" if is_file else "no task"
        raise OlmesError(f"{what} fits the pattern '{name}'; {hint}")
    return found
