"""Which sandbox is used here: the first that can be had and is what it claims to be."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from olmes.errors import OlmesError
from olmes.sandbox.base import VARIABLES, Sandbox
from olmes.sandbox.bubblewrap import Bubblewrap
from olmes.sandbox.containers import Containers
from olmes.sandbox.inside import laid_out
from olmes.sandbox.interpreter import own
from olmes.sandbox.program import Limits, Program

VARIABLE = "OLMES_SANDBOX"
KINDS = ("bubblewrap", "docker", "podman")
"""In the order in which they are tried."""
MORE_VARIABLES = ("HOSTNAME", "PWD", "TERM", "container", "LC_CTYPE")
"""What a container, or Python itself, puts into an environment."""
TRIAL = """
import errno, os, socket
processes = [name for name in os.listdir("/proc") if name.isdigit()]
names = [name for _, name in socket.if_nameindex()]
def writes(place):
    try:
        open(os.path.join(place, "olmes-trial"), "w").close()
    except OSError:
        return False
    return True
def reaches(place):
    try:
        socket.create_connection(place, 0.5)
    except OSError as error:
        return not (error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL))
    return True
"""
CLAIMS = """
assert os.getuid() != 0, "its programs are root"
assert os.getppid() == 1 and len(processes) <= 3, "other processes are seen in it"
assert not os.access("/etc/shadow", os.R_OK), "it can read /etc/shadow"
assert not [place for place in {places!r} if os.path.exists(place)], "the user's files are seen in it"
assert set(os.environ) <= {variables!r}, "its environment is the machine's"
assert names in ([], ["lo"]), "it has a network"
assert not reaches(("192.0.2.1", 9)), "it reaches the network"
assert not [p for p in ("/", "/usr", "/etc", "/dev", os.path.dirname(os.__file__)) if writes(p)], \\
    "its system can be written"
assert writes("/tmp"), "it has no folder of its own"
"""

known: dict[str, Sandbox] = {}
"""By the name that was asked for, what was found to work."""
lock = threading.Lock()


def sandbox_named(name: str) -> Sandbox:
    """A kind of sandbox.

    Raises:
        OlmesError: there is none of that name.
    """
    if name not in KINDS:
        raise OlmesError(f"there is no sandbox '{name}'; choose one of {', '.join(KINDS)}.")
    return Bubblewrap() if name == "bubblewrap" else Containers(name)


def chosen() -> Sandbox:
    """The sandbox that programs run in here: what $OLMES_SANDBOX names, or the first that works.

    Raises:
        OlmesError: none can be had.
    """
    name = os.environ.get(VARIABLE, "")
    with lock:
        if name not in known:
            known[name] = search(name)
        return known[name]


def search(name: str) -> Sandbox:
    """The one of a name, or the first that works.

    Raises:
        OlmesError: it does not, or none does.
    """
    reasons = []
    for kind in (name,) if name else KINDS:
        sandbox = sandbox_named(kind)
        why = fault(sandbox)
        if not why:
            return sandbox
        reasons.append(f"{kind}: {why}")
    raise OlmesError(
        "programs that a model wrote are executed in a sandbox alone, and there is none here "
        f"({'; '.join(reasons)}). Nothing was executed; `olmes sandbox check` says more."
    )


def fault(sandbox: Sandbox) -> str:
    """Why a sandbox cannot be used: it is not there, does not start, or is none; '' where it can."""
    why = sandbox.unusable()
    if why:
        return why
    home = Path.home()
    interpreter = own()
    places = [
        str(place)
        for place in (*list_of(home), Path.cwd() / "pyproject.toml", Path.cwd() / ".git")
        if not any(Path(folder).is_relative_to(place) for folder in interpreter.folders)
    ]
    variables = {*VARIABLES, *MORE_VARIABLES}
    claims = CLAIMS.format(places=places, variables=variables)
    program = Program(source=TRIAL, tests=claims, limits=Limits(wall_s=20.0))
    try:
        with laid_out() as folder:
            done = sandbox.start(interpreter, program.limits, folder).execute(program)
    except OlmesError as error:
        return remedy(str(error))
    if done.passed:
        return ""
    lines = done.output.strip().splitlines() or [done.result]
    return f"it does not isolate: {lines[-1].removeprefix('olmes: AssertionError: ')}"


def list_of(folder: Path) -> list[Path]:
    """What is in a folder, if that may be asked."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def remedy(said: str) -> str:
    """What a sandbox that does not start said, and what to do about it."""
    words = ("namespace", "permission", "uid map", "operation not permitted")
    if any(word in said.lower() for word in words):
        return (
            f"{said.removesuffix('.')}; allow user namespaces (`sysctl "
            "kernel.unprivileged_userns_clone=1` or `kernel.apparmor_restrict_unprivileged_userns=0`; "
            "start a container with `--security-opt seccomp=unconfined`)"
        )
    return said
