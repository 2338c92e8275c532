"""A suite: tasks, how they aggregate, and whether they are held out. One TOML file each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from olmes.errors import OlmesError


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Which tasks make a suite."""

    name: str
    title: str
    """Name in reports."""
    tasks: tuple[str, ...]
    """Task names, in the order of the report."""
    description: str = ""
    aggregate: Literal["mean"] = "mean"
    """Unweighted mean of the tasks' primary metrics (Tülu 3, Tables 2, 5 and 6)."""
    held_out: bool = False
    """Kept for the end: never a target of development."""

    @classmethod
    def read(cls, path: Path) -> Suite:
        """The suite a TOML file describes.

        Raises:
            OlmesError: the file is missing, not TOML, or has wrong or missing keys.
        """
        try:
            table: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise OlmesError(f"{path} does not exist; check the path of the suite.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise OlmesError(f"{path} is not TOML ({error}); mend the file.") from None
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(table) - known):
            raise OlmesError(f"{path}: unknown key '{unknown[0]}'; a suite has {sorted(known)}.")
        tasks = table.get("tasks")
        if not isinstance(tasks, list) or not tasks or len(set(tasks)) < len(tasks):
            raise OlmesError(f"{path}: `tasks` must be a list of different task names.")
        if table.get("aggregate", "mean") != "mean":
            raise OlmesError(f'{path}: `aggregate` must be "mean".')
        table.setdefault("name", path.stem)
        table.setdefault("title", table["name"])
        return cls(**{**table, "tasks": tuple(tasks)})
