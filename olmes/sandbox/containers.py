"""Programs in containers of Docker or Podman, one container a program.

The interpreter is the image's: name an image with the libraries that the programs need. Containers take
some tenths of a second to start, so the next one is started while a program runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path

from olmes.errors import OlmesError
from olmes.sandbox.base import VARIABLES, Sandbox, Started, popen, reason
from olmes.sandbox.interpreter import Interpreter, own
from olmes.sandbox.program import Limits

IMAGE = "python:3.11-slim"
SPARE = 256 << 20
"""Bytes of memory for the guard and the interpreter."""


class Containers(Sandbox):
    """What Docker and Podman have in common, which is all that is needed here."""

    def __init__(self, name: str) -> None:
        """One of them.

        Args:
            name: of the program, `docker` or `podman`.
        """
        self.name = name

    @property
    def image(self) -> str:
        """What containers are made of."""
        return os.environ.get("OLMES_SANDBOX_IMAGE") or IMAGE

    def unusable(self) -> str:
        """Why it cannot be had."""
        if shutil.which(self.name) is None:
            return f"the program {self.name} is not there"
        for what, remedy in (
            (["info"], f"{self.name} does not answer ({{}}); start its service"),
            (["image", "inspect", self.image],
             f"there is no image {self.image}; fetch it with `{self.name} pull {self.image}`, or name "
             "another with OLMES_SANDBOX_IMAGE"),
        ):  # fmt: skip
            try:
                done = subprocess.run([self.name, *what], capture_output=True, timeout=30)
            except (OSError, subprocess.TimeoutExpired) as error:
                return remedy.format(error)
            if done.returncode:
                return remedy.format(reason(done.stderr))
        return ""

    def interpreter(self, environment: str) -> Interpreter:
        """The image's, which must have what an environment has.

        Raises:
            OlmesError: nobody has said that it does.
        """
        if environment and "OLMES_SANDBOX_IMAGE" not in os.environ:
            raise OlmesError(
                f"the programs need the environment '{environment}', which the image {self.image} does "
                "not have; name an image that has it with OLMES_SANDBOX_IMAGE, or use bubblewrap."
            )
        return own()

    def start(self, interpreter: Interpreter, limits: Limits, folder: Path) -> Started:  # noqa: ARG002
        """A container that waits for a program."""
        name = f"olmes-{uuid.uuid4().hex}"
        memory = str(limits.memory_bytes + SPARE)
        size = limits.file_bytes
        command = [
            self.name, "run", "--rm", "-i", "--pull", "never", "--name", name, "--hostname", "sandbox",
            "--network", "none", "--read-only", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges", "--user", "1000:1000", "--workdir", "/tmp",  # noqa: S108
            "--memory", memory, "--memory-swap", memory, "--cpus", f"{limits.processors:g}",
            "--pids-limit", str(limits.processes + 8), "--shm-size", str(size),
            "--tmpfs", f"/tmp:rw,exec,nosuid,nodev,mode=1777,size={size}",  # noqa: S108
            "--volume", f"{folder}:/olmes:ro",
        ]  # fmt: skip
        for variable, value in VARIABLES.items():
            command += ["--env", f"{variable}={value}"]
        command += [
            "--entrypoint",
            "python3",
            self.image,
            "-P",
            "-B",
            "-s",
            "/olmes/source/guard.py",
        ]
        return Started(
            popen(command, keep_environment=True),
            second_user=False,
            ending=(self.name, "kill", name),
        )
