"""Which interpreter a program runs with, and what of the machine that interpreter needs."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Where the system's own programs and libraries lie: no user's data, and no settings."""
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/mime.types",
)
"""What of the machine's settings programs need: where libraries, time zone and fonts are."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python and its packages."""

    program: str
    folders: tuple[str, ...]
    """What it is made of, but for the system's own folders; read-only inside."""
    packages: tuple[str, ...]
    """Where its installed packages lie."""


def own() -> Interpreter:
    """The interpreter that runs olmes, with the packages that are installed beside it."""
    return of(Path(sys.prefix))


@cache
def of(prefix: Path) -> Interpreter:
    """The interpreter of a virtual environment (or of a whole installation) made by this one.

    Args:
        prefix: its folder.
    """
    bases = {"base": str(prefix), "platbase": str(prefix)}
    packages = {sysconfig.get_path(name, vars=bases) for name in ("purelib", "platlib")}
    # A virtual environment's program is a link to the base's: both ends are needed.
    program = prefix / "bin" / "python"
    if not program.exists():
        program = Path(sys.executable)
    needed = {
        str(prefix),
        sys.base_prefix,
        sys.base_exec_prefix,
        str(program.resolve().parent.parent),
    }
    folders = sorted(folder for folder in needed if not within_system(folder))
    return Interpreter(
        str(program), tuple(outermost(folders)), tuple(sorted(found for found in packages if found))
    )


def within_system(folder: str) -> bool:
    """Whether a folder is one of the system's own or lies in one."""
    return any(Path(folder).is_relative_to(place) for place in SYSTEM)


def outermost(folders: list[str]) -> list[str]:
    """The folders that lie in none of the others."""
    return [
        folder
        for folder in folders
        if not any(folder != other and Path(folder).is_relative_to(other) for other in folders)
    ]
