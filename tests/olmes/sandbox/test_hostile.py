"""Programs that want out, want to pass, or want to disturb the others: none does."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Program
from tests.olmes.sandbox.conftest import LIMITS, Execute, OneUser, came_of

BRIEF = replace(LIMITS, wall_s=1.0)
OUTWARD = {
    "reads /etc/shadow": ("open('/etc/shadow').read()", "refused"),
    "reads it by a link": ("import os\nos.symlink('/etc/shadow', 'a')\nopen('a').read()", "refused"),
    "reads the parent's environment": (
        "import os\nopen(f'/proc/{os.getppid()}/environ').read()", "refused",
    ),
    "reads the parent's memory": ("open('/proc/1/mem', 'rb').read()", "refused"),
    "writes the parent's memory": ("open('/proc/1/mem', 'wb').write(b'passed')", "refused"),
    "opens a socket": (
        "import socket\nsocket.create_connection(('192.0.2.1', 80), 5)", "refused",
    ),
    "asks for a name": (
        "import urllib.request\nurllib.request.urlopen('http://example.com')", "refused",
    ),
    "speaks to the machine under it": ("import socket\nsocket.socket(40, 1)", "refused"),
    "deletes its interpreter": ("import os, sys\nos.remove(sys.executable)", "refused"),
    "writes beside its library": ("import os\nopen(os.__file__ + 'x', 'w')", "refused"),
    "writes into a device": ("open('/dev/new', 'w')", "refused"),
    "sets the kernel": ("open('/proc/sys/kernel/panic', 'w')", "refused"),
    "fills the disk": ("f = open('x', 'wb')\nwhile True: f.write(bytes(1 << 16))", "refused"),
    "fills it with many files": (
        "for n in range(10**6): open(f'x{n}', 'wb').write(bytes(1 << 20))", "refused",
    ),
    "fills shared memory": (
        "for n in range(10**6): open(f'/dev/shm/x{n}', 'wb').write(bytes(1 << 20))", "refused",
    ),
    "fills memory by many": (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n"
        "        x = bytearray(b'x' * (100 << 20)); time.sleep(60)\ntime.sleep(60)", "memory",
    ),
    "fills memory that is shared": (
        "import mmap, os, time\nfor _ in range(8):\n    if os.fork() == 0:\n"
        "        x = mmap.mmap(-1, 100 << 20)\n"
        "        for n in range(0, 100 << 20, 4096): x[n] = 1\n"
        "        time.sleep(60)\ntime.sleep(60)", "memory",
    ),
    "fills memory that is no process's": (
        "import os\nheld = [os.memfd_create('x') for _ in range(9)]", "refused",
    ),
    "makes files without end": (
        "n = 0\nwhile True:\n    n += 1\n    open(f'/dev/shm/{n}', 'w').close()", "refused",
    ),
    "recurses in C": (
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", ("memory", "crashed"),
    ),
    "forks without end": ("import os\nwhile True: os.fork()", "refused"),
    "starts threads without end": (
        "import threading, time\nfor _ in range(10**7):\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()", "refused",
    ),
    "writes without end": ("while True: print('x' * 1000)", "refused"),
    "kills itself": ("import os\nos.kill(os.getpid(), 9)", "crashed"),
    "kills all": ("import os\nos.kill(-1, 9)", ("failed", "refused")),
    "makes a namespace": (
        "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0", "failed",
    ),
    "clones into one": (
        "import ctypes\nassert ctypes.CDLL(None).syscall(56, 0x10000011, 0, 0, 0, 0) >= 0", "failed",
    ),
    "traces its parent": ("import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0", "failed"),
    "mounts": ("import subprocess\nsubprocess.run(['mount', '-t', 'tmpfs', 'x', '/tmp'], check=True)",
               "failed"),
}  # fmt: skip
ENDLESS = {
    "sleeps": "import time\ntime.sleep(600)",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "computes a huge number": "x = 9**9**9",
    "forks on and on": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "hears no signal": "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, "
    "signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
}


@pytest.mark.parametrize("what", OUTWARD)
def test_what_is_not_allowed_is_reported_for_what_it_was(
    pool: SandboxPool, execute: Execute, what: str
) -> None:
    source, results = OUTWARD[what]
    if what == "sets the kernel" and isinstance(pool.sandbox, OneUser) and os.geteuid() == 0:
        pytest.skip("an ordinary user may not; root never runs programs as itself")
    found = execute(source, "assert True")
    assert found.result in (results if isinstance(results, tuple) else (results,)), found.output
    assert found.output


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_ended(pool: SandboxPool, execute: Execute, what: str) -> None:
    if what == "forks on and on" and isinstance(pool.sandbox, OneUser) and os.geteuid() == 0:
        pytest.skip("the kernel holds root to no number of processes; root has two users")
    started = time.monotonic()
    found = execute(ENDLESS[what], limits=BRIEF)
    assert found.result in ("timeout", "refused"), found.output
    assert time.monotonic() - started < 15


def test_killing_the_parent_does_nothing_to_it(execute: Execute) -> None:
    source = (
        "import os\nfor number in (9, 15, 11, 19):\n"
        "    for process in (os.getppid(), 1):\n"
        "        try: os.kill(process, number)\n        except PermissionError: pass\n"
    )
    assert execute(source, "assert 1 == 2").result == "failed"
    assert execute(source, "assert 1 == 1").passed


def test_unpickling_runs_nothing_outside(execute: Execute) -> None:
    source = (
        "import os, pickle\nclass Bad:\n    def __reduce__(self):\n"
        "        return os.system, ('cat /etc/shadow; kill -9 1; id -u; echo passed',)\n"
        "pickle.loads(pickle.dumps(Bad()))"
    )
    found = execute(source, "assert False")
    assert found.result == "failed"
    assert "root:" not in found.output


def test_nothing_is_left_for_the_next_program(pool: SandboxPool) -> None:
    leaving = (
        "import os, subprocess, time\n"
        "for place in ('/tmp/left', '/dev/shm/left'): open(place, 'w').write('left')\n"
        "subprocess.Popen(['sleep', '47110815'], start_new_session=True)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)\n    os._exit(0)\n"
    )
    # An interpreter that lies under /tmp is seen there.
    seen = [Path(sys.prefix).parts[2]] if Path(sys.prefix).is_relative_to("/tmp") else []
    looking = (
        "import os\n"
        f"assert os.listdir('/tmp') == {seen!r}\n"
        "assert os.listdir('/dev/shm') == []\n"
        "assert [n for n in os.listdir('/proc') if n.isdigit()] == ['1', str(os.getpid())]\n"
    )
    programs = [Program(source=source, limits=LIMITS) for source in (leaving, looking) * 3]
    found = came_of(pool, programs)
    assert [one.result for one in found] == ["passed"] * 6, [one.output for one in found]
    running = [
        place.read_bytes() for place in Path("/proc").glob("[0-9]*/cmdline") if place.exists()
    ]
    assert not [command for command in running if b"47110815" in command]


def test_hostile_programs_do_not_delay_the_others(pool: SandboxPool) -> None:
    hostile = [
        "import os\nwhile True: os.fork()",
        "while True: print('x' * 1000)",
        "x = 'a' * 10**10",
    ]
    right = Program(
        source="def double(n): return 2 * n", tests="assert double(2) == 4", limits=LIMITS
    )
    programs = [Program(source=source, limits=LIMITS) for source in hostile]
    mixed = [program for bad in programs for program in (bad, right, right)]
    started = time.monotonic()
    found = came_of(pool, mixed)
    assert time.monotonic() - started < LIMITS.wall_s
    assert [one.passed for one in found] == [False, True, True] * 3
