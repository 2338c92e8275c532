"""A suite: tasks, how they aggregate, and whether they are held out. One TOML file each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from olmes.errors import OlmesError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Tasks of the development suite and the held-out task that asks for the same skill."""

    dev: tuple[str, ...]
    """Their mean is held against `unseen`; those that were not run are left out, and said."""
    unseen: str
    rewritten: str = ""
    """A task with new items of the kind of `unseen`, which no model can have seen; '' for none."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return {"dev": list(self.dev), "unseen": self.unseen, "rewritten": self.rewritten}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Which tasks make a suite."""

    name: str
    title: str
    """Name in reports."""
    tasks: tuple[str, ...]
    """Task names, in the order of the report; or paths of task files."""
    description: str = ""
    aggregate: Literal["mean"] = "mean"
    """Unweighted mean of the tasks' primary metrics (Tülu 3, Tables 2, 5 and 6)."""
    mean: tuple[str, ...] | None = None
    """The tasks whose mean is the suite's number, all of one unit and direction: None for every task;
    empty where the suite has no such number."""
    held_out: bool = False
    """Kept for the end: never a target of development."""
    pairs: tuple[Pair, ...] = ()
    """For a held-out suite: what its tasks are held against (Tülu 3, Tables 3 and 31)."""

    @classmethod
    def read(cls, path: Path) -> Suite:
        """The suite a TOML file describes.

        Raises:
            OlmesError: the file is missing, not TOML, or has wrong or missing keys.
        """
        try:
            table: dict[str, Any] = tomllib.loads(path.read_text("utf-8-sig"))
        except FileNotFoundError:
            raise OlmesError(f"{path} does not exist; check the path of the suite.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise OlmesError(f"{path} is not TOML ({error}); correct the file.") from None
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(table) - known):
            raise OlmesError(f"{path}: unknown key '{unknown[0]}'; a suite has {sorted(known)}.")
        tasks = table.get("tasks")
        if (
            not isinstance(tasks, list)
            or not all(isinstance(name, str) for name in tasks)
            or not 0 < len(tasks) == len(set(tasks))
        ):
            raise OlmesError(f"{path}: `tasks` must be a list of different task names.")
        for key, kind, wanted in (
            ("name", str, "a text"),
            ("title", str, "a text"),
            ("description", str, "a text"),
            ("held_out", bool, "true or false"),
            ("pairs", list, "[[pairs]] tables"),
        ):
            if key in table and not isinstance(table[key], kind):
                raise OlmesError(f"{path}: `{key}` must be {wanted}, not {table[key]!r}.")
        if table.get("aggregate", "mean") != "mean":
            raise OlmesError(f'{path}: `aggregate` must be "mean".')
        mean = read_mean(table.get("mean", True), tasks, path)
        # A task's file is named from where the suite's own file lies.
        tasks = [placed(name, path) for name in tasks]
        table.setdefault("name", path.stem)
        table.setdefault("title", table["name"])
        pairs = tuple(read_pair(pair, tasks, path) for pair in table.get("pairs", ()))
        return cls(**{**table, "tasks": tuple(tasks), "mean": mean, "pairs": pairs})


def placed(name: str, path: Path) -> str:
    """A task's name; the path of its file from where the suite's own file lies."""
    return str(path.parent / name) if name.endswith((".py", ".jsonl", ".jsonl.gz")) else name


def read_mean(value: Any, tasks: list[str], path: Path) -> tuple[str, ...] | None:
    """The key `mean` of a suite.

    Raises:
        OlmesError: it is neither true nor false nor a list of the suite's tasks, as they stand there.
    """
    if isinstance(value, bool):
        return None if value else ()
    if isinstance(value, list) and value and all(name in tasks for name in value):
        return tuple(placed(name, path) for name in dict.fromkeys(value))
    raise OlmesError(
        f"{path}: `mean` must be false, for a suite without a mean, or a list of tasks of the suite, "
        f"not {value!r}."
    )


def read_pair(table: Any, tasks: list[str], path: Path) -> Pair:
    """One `[[pairs]]` table of a suite.

    Raises:
        OlmesError: it is not of the form `dev = [...]`, `unseen = "a task of the suite"`, with a
            `rewritten = "TASK"` where there is one.
    """
    match table:
        case {"dev": [str(), *_] as dev, "unseen": str() as unseen} if (
            set(table) <= {"dev", "unseen", "rewritten"}
            and isinstance(table.get("rewritten", ""), str)
            and all(isinstance(name, str) for name in dev)
            # What a task's file calls its task is known when the file is read, not here.
            and (unseen in tasks or any(name.endswith(".py") for name in tasks))
        ):
            return Pair(dev=tuple(dev), unseen=unseen, rewritten=table.get("rewritten", ""))
    raise OlmesError(
        f'{path}: a pair must be `dev = ["TASK", ...]` and `unseen = "TASK"` with a task of the '
        f'suite, and `rewritten = "TASK"` if there is one, not {table!r}.'
    )
