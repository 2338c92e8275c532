"""Environments of libraries that programs need, installed beside olmes and not into it.

An environment is a virtual environment in the cache folder, made from a file of pinned requirements:
one of `olmes/sandbox/requirements`, or a file of one's own. It counts when its installation came to its
end, from the same requirements and by the same Python.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from olmes.errors import OlmesError
from olmes.sandbox.interpreter import Interpreter, of, own
from olmes.tools.cache_folder import cache_folder
from olmes.tools.durable_files import write_atomically
from olmes.tools.hashing import content_hash
from olmes.tools.locks import Lock

BUNDLED = Path(__file__).parent / "requirements"
MARKER = "complete.json"


@dataclass(frozen=True, slots=True)
class Environment:
    """One that is bundled, installed, or both."""

    name: str
    folder: Path
    bundled: bool
    """Whether its requirements come with olmes."""
    state: str
    """`installed`, `not installed`, or what is wrong with it."""


def folder_of(name: str) -> Path:
    """Where an environment is, or would be.

    Raises:
        OlmesError: it cannot be a name.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise OlmesError(f"'{name}' is no name of an environment; use letters, digits, - and _.")
    return cache_folder("sandbox", name)


def interpreter(name: str) -> Interpreter:
    """What runs the programs of an environment; '' is the one that runs olmes.

    Raises:
        OlmesError: it is not installed.
    """
    if not name:
        return own()
    state = state_of(name)
    if state != "installed":
        with_file = "" if (BUNDLED / f"{name}.txt").is_file() else " --requirements FILE"
        raise OlmesError(
            f"the programs need the environment '{name}', which is {state}; install it with "
            f"`olmes sandbox install {name}{with_file}`."
        )
    return of(folder_of(name))


def state_of(name: str) -> str:
    """Whether an environment can be used: `installed`, or what it is instead."""
    marker = folder_of(name) / MARKER
    try:
        made = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "not installed"
    if made.get("python") != platform.python_version():
        return f"installed for Python {made.get('python')} and not {platform.python_version()}"
    bundled = BUNDLED / f"{name}.txt"
    if bundled.is_file() and made.get("requirements") != hash_of(bundled):
        return "installed from other requirements than those of this olmes"
    return "installed"


def hash_of(requirements: Path) -> str:
    """What a file of requirements says, in 16 hex digits."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return content_hash(kept)[:16]


def environments() -> list[Environment]:
    """Those that are bundled or installed, by name."""
    bundled = {path.stem for path in BUNDLED.glob("*.txt")}
    there = cache_folder("sandbox")
    found = {path.name for path in there.iterdir() if path.is_dir()} if there.is_dir() else set()
    return [
        Environment(name, folder_of(name), name in bundled, state_of(name))
        for name in sorted(bundled | found)
    ]


def install(name: str, requirements: Path | None, say: Callable[[str], None]) -> Path:
    """Make an environment, in the place of one that is not whole; its folder.

    Args:
        name: a bundled one's, or the name it shall have.
        requirements: pinned requirements; None takes the bundled ones of that name.
        say: gets a line on what is done.

    Raises:
        OlmesError: there are no such requirements, or they could not be installed.
    """
    file = requirements or BUNDLED / f"{name}.txt"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in BUNDLED.glob("*.txt")))
        raise OlmesError(
            f"olmes brings no requirements for '{name}' (it does for {known}); name a file of them "
            "with --requirements."
            if requirements is None
            else f"there is no file {file}; check the path."
        )
    folder = folder_of(name)
    lock = Lock.take(folder.parent / f"{name}.lock")
    if lock is None:
        raise OlmesError(f"'{name}' is being installed by another process; wait until it is done.")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        say(f"installing {name} into {folder}; this may take many minutes and gigabytes")
        for command in commands(folder, file):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                lines = (done.stderr or done.stdout).strip().splitlines()
                errors = [line for line in lines if line.startswith(("ERROR", "error"))]
                said = (errors or lines or ["it ended without a word"])[-1]
                raise OlmesError(f"'{name}' could not be installed: {said}")
        made = {"python": platform.python_version(), "requirements": hash_of(file)}
        write_atomically(folder / MARKER, json.dumps(made) + "\n")
    finally:
        lock.release()
    return folder


def commands(folder: Path, requirements: Path) -> list[list[str]]:
    """What makes a virtual environment and fills it: `uv` where it is there, else pip."""
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv is not None:
        return [
            [uv, "venv", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--python", python, "-r", str(requirements)],
        ]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "--no-input", "-r", str(requirements)],
    ]


def remove(name: str) -> bool:
    """Delete an environment; False where there is none."""
    folder = folder_of(name)
    if not folder.is_dir():
        return False
    shutil.rmtree(folder)
    return True
