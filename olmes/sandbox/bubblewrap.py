"""Programs in bubblewrap: namespaces of their own, made in a few milliseconds, without a daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from olmes.errors import OlmesError
from olmes.sandbox.base import VARIABLES, Sandbox, Started, popen, reason
from olmes.sandbox.inside import CALLS, USER
from olmes.sandbox.interpreter import SETTINGS, SYSTEM, Interpreter, within_system
from olmes.sandbox.program import Limits

CAP_SETGID, CAP_SETUID = 6, 7
"""Numbers of two rights, in `linux/capability.h`."""


class Bubblewrap(Sandbox):
    """Debian's `bubblewrap`."""

    name = "bubblewrap"

    @cached_property
    def path(self) -> str | None:
        """Where the program is."""
        return shutil.which("bwrap")

    @cached_property
    def options(self) -> str:
        """What this version of it can do, as its help says."""
        return subprocess.run([str(self.path), "--help"], capture_output=True, text=True).stdout

    @property
    def second_user(self) -> bool:
        """Whether users can be mapped as one likes: the guard is then another one than its program.

        Only root may, and the root of a container only where the container has a `nobody` too.
        Otherwise both are the one user that runs olmes: not for the root of a machine, who had to be
        root, whom the limit of processes does not hold.
        """
        return os.geteuid() == 0 and may_map()

    def unusable(self) -> str:
        """Why it cannot be had."""
        if self.path is None:
            return "the program bwrap is not there; install bubblewrap (`apt install bubblewrap`)"
        return ""

    def start(self, interpreter: Interpreter, limits: Limits, folder: Path) -> Started:
        """A sandbox that waits for a program."""
        # bubblewrap makes folders that it needs on the way for its own user alone.
        open_to_all = ["--perms", "0755"] if "--perms " in self.options else []
        command = [*self.namespaces(), *open_to_all, "--dir", "/etc", *system(folder)]
        command += self.writable(limits)
        # An interpreter may lie under `/tmp`.
        for place in on_the_way(interpreter.folders):
            command += [*open_to_all, "--dir", place]
        for place in (*interpreter.folders, str(folder)):
            command += ["--ro-bind", place, "/olmes" if place == str(folder) else place]
        command += ["--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108
        command += ["--", interpreter.program, "-S", "-P", "-B", "-s", "/olmes/guard.pyc"]
        command += interpreter.packages
        with (folder / CALLS).open("rb") as stream:
            if not os.fstat(stream.fileno()).st_size:
                return self.launch(command)
            number = str(stream.fileno())
            return self.launch([command[0], "--seccomp", number, *command[1:]], (stream.fileno(),))

    def namespaces(self) -> list[str]:
        """Namespaces, user and environment."""
        found = [str(self.path), "--unshare-user", "--unshare-all", "--die-with-parent"]
        found += ["--new-session", "--as-pid-1", "--hostname", "sandbox", "--clearenv"]
        for name, value in VARIABLES.items():
            found += ["--setenv", name, value]
        if self.second_user:
            for right in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):
                found += ["--cap-add", right]
        else:
            found += ["--uid", "1000", "--gid", "1000"]
            if "--disable-userns" in self.options:
                found.append("--disable-userns")
        return found

    def writable(self, limits: Limits) -> list[str]:
        """Devices, processes, the folders that can be written."""
        size = ["--size", str(limits.file_bytes)] if "--size " in self.options else []
        modes = ["--perms", "1777"] if "--perms " in self.options else []
        return [
            "--dev", "/dev", "--remount-ro", "/dev", *modes, *size, "--tmpfs", "/dev/shm",  # noqa: S108
            "--proc", "/proc", *modes, *size, "--tmpfs", "/tmp",  # noqa: S108
        ]  # fmt: skip

    def launch(self, command: list[str], descriptors: tuple[int, ...] = ()) -> Started:
        """Start it; map its two users where there are two.

        Raises:
            OlmesError: it did not start, or the users may not be mapped.
        """
        told, tell = os.pipe()
        wait, go = os.pipe()
        users = ["--userns-block-fd", str(wait)] if self.second_user else []
        command[1:1] = [*users, "--info-fd", str(tell)]
        try:
            try:
                process = popen(command, (wait, tell, *descriptors))
            finally:
                os.close(tell)
            said = b""
            while b"}" not in said and (part := os.read(told, 4096)):
                said += part
            first = first_process(said)
            started = Started(process, second_user=self.second_user, first=first)
            try:
                if self.second_user:
                    map_users(first)
            except OSError as error:
                started.kill()
                _, err = process.communicate()
                raise OlmesError(f"a sandbox did not start: {reason(err, str(error))}") from None
            os.write(go, b"1")
        finally:
            for descriptor in (told, wait, go):
                os.close(descriptor)
        return started


def first_process(said: bytes) -> int:
    """The number that process 1 of a sandbox has outside; 0 where bubblewrap did not get so far."""
    try:
        return int(json.loads(said)["child-pid"])
    except ValueError:
        return 0


def may_map() -> bool:
    """Whether this process may give a namespace two users: it has both, and the right to set them."""
    status = Path("/proc/self/status").read_text("ascii")
    rights = int(re.findall(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)[0], 16)
    if not all(rights >> number & 1 for number in (CAP_SETGID, CAP_SETUID)):
        return False
    for kind in ("uid_map", "gid_map"):
        ranges = [
            line.split() for line in Path(f"/proc/self/{kind}").read_text("ascii").splitlines()
        ]
        for user in (0, USER):
            if not any(0 <= user - int(first) < int(count) for first, _, count in ranges):
                return False
    return True


def map_users(first: int) -> None:
    """Give a sandbox root, for its guard, and nobody, for its program.

    Raises:
        OSError: it is not there, or that may not be done.
    """
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{first}/{kind}").write_text(f"0 0 1\n{USER} {USER} 1\n", encoding="ascii")


def system(folder: Path) -> list[str]:
    """What is seen of the machine: system folders and some settings, read-only."""
    found: list[str] = []
    for place in SYSTEM:
        if os.path.islink(place):  # noqa: PTH114
            found += ["--symlink", os.readlink(place), place]  # noqa: PTH115
        elif os.path.isdir(place):  # noqa: PTH112
            found += ["--ro-bind", place, place]
    for place in SETTINGS:
        found += ["--ro-bind-try", place, place]
    for name in ("passwd", "group", "hosts"):
        found += ["--ro-bind", str(folder / name), f"/etc/{name}"]
    return found


def on_the_way(places: Sequence[str]) -> list[str]:
    """The folders that some places lie in, the outermost first, without the system's."""
    found = {str(parent) for place in places for parent in Path(place).parents}
    return sorted(folder for folder in found if folder != "/" and not within_system(folder))
