"""What is executed, within which limits, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from olmes.tools.hashing import content_hash

Result = Literal["passed", "failed", "timeout", "memory", "refused", "crashed"]
"""What became of a program. `passed`: it ran to its end, its tests included. `failed`: an exception, a
failed assertion, or an end before the tests' own. `timeout`: it hit its limit of wall or processor
time. `memory`: its limit of memory. `refused`: it ended by what a sandbox does not allow (a file, a
process or an output too many, the network). `crashed`: its interpreter died, by a signal say."""

RESULTS: Mapping[str, Result] = {name: name for name in get_args(Result)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a program may use before it is ended, with everything that it started."""

    wall_s: float = 10.0
    """Seconds by the clock."""
    processors: float = 1.0
    """Processor seconds that all its processes together may use in a second of `wall_s`: whatever it
    starts, it has no more than `wall_s * processors`."""
    memory_bytes: int = 1 << 30
    """Address space of a process beyond the bare interpreter's, and what all together may hold."""
    processes: int = 32
    """Processes and threads at once."""
    file_bytes: int = 16 << 20
    """Size of a file, and of all that it writes in its folder."""
    output_bytes: int = 64 << 10
    """Of its output, this much of the end is kept; far more than it ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A Python program: what a model wrote, then the tests that it is held against."""

    source: str
    """What is executed first: the model's code with what belongs before it."""
    tests: str = ""
    """Executed after `source`, in the same namespace, as if it stood in the same file."""
    limits: Limits = field(default_factory=Limits)
    environment: str = ""
    """Name of the environment of libraries that it needs (`olmes sandbox install NAME`); empty for the
    interpreter and the libraries that olmes runs with."""

    def came_to(self, result: Result, output: str = "") -> Execution:
        """What came of it."""
        return Execution(
            source=self.source,
            tests_hash=content_hash(self.tests)[:16],
            result=result,
            output=output,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Program:
        """The inverse of `to_json`."""
        return cls(**{**row, "limits": Limits(**row["limits"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What came of a program; the same program gives the same, so that it holds no times."""

    source: str
    tests_hash: str
    """16 hex digits of the tests, which may be half a megabyte, and which the item's data hold."""
    result: Result
    output: str = ""
    """The end of what it wrote to standard output and standard error, and what ended it."""

    @property
    def passed(self) -> bool:
        """Whether it ran to the end of its tests."""
        return self.result == "passed"

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Execution:
        """The inverse of `to_json`."""
        return cls(**row)
