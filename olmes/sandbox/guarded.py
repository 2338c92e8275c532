"""The program's side of a sandbox: limits set, a program and its tests executed, the secret given back.

It imports nothing of olmes: a sandbox sees it alone, with the guard, which forks and calls `run`.

**How a program passes.** The guard makes a secret after the fork, and takes the program as passed when
the secret comes back, alone. `certify` reads it before any of the model's code runs, and keeps it
nowhere but on the value stack of a running frame, which no name, frame, traceback or garbage collector
of Python leads to. So are the tests' code and everything that the model's code could bend: what is
needed after it is put on that stack before it. An exception, an early exit or a killed process unwinds
the stack, and the secret is gone.
"""

from __future__ import annotations

import builtins
import errno
import os
import resource
import sys

USER = 65534
"""Who a program is, where the sandbox has a second user."""
FEATURES = 0x1FE0000
"""Flags of `from __future__`, which hold for the tests too, as in one file."""
CANNOT = {
    getattr(errno, name)
    for name in (
        "EPERM", "EACCES", "EROFS", "EFBIG", "ENOSPC", "EDQUOT", "EAGAIN", "EMFILE", "ENETUNREACH",
        "EHOSTUNREACH", "ENETDOWN", "EADDRNOTAVAIL",
    )
}  # fmt: skip
"""Errors by which the system says that something is not allowed or not there to be had."""
AFTER = """
import sys
for name in [name for name in sys.modules if name.partition(".")[0] in ("unittest", "doctest")]:
    del sys.modules[name]
"""
"""Executed between a program and its tests: they get a `unittest` that it has not touched."""


def receive(descriptor: int, length: int) -> bytes:
    """So many bytes; fewer where they end."""
    parts = []
    while length > 0 and (part := os.read(descriptor, min(length, 1 << 20))):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def certify(give: int, take: int, tests: int, source: str, ns: dict[str, object]) -> None:
    """Execute a program and its tests, and give the secret back when nothing was raised."""
    exec_, compile_, update, settrace = exec, compile, dict.update, sys.settrace
    bdict, pristine = vars(builtins), tuple(vars(builtins).items())
    own = (("__builtins__", builtins),)
    code = compile_(source, "<program>", "exec", 0, dont_inherit=True)
    after = compile_(AFTER, "<olmes>", "exec", 0, dont_inherit=True)
    # One expression: what is evaluated before `code` lies on the stack while it runs. `exec` and the
    # others return None, and a slice of the secret from None is the secret. And one line: a trace
    # function may have a frame go on at another line, and there is none.
    # fmt: off
    os.write(take, receive(give, 32)[exec_(compile_(receive(give, tests).decode("utf-8", "surrogatepass"), "<tests>", "exec", code.co_flags & FEATURES, True), (ns, update(ns, (own, exec_(after, ({}, update(bdict, (pristine, settrace(exec_(code, ns)))[0]))[0]))[0]))[0]):])  # noqa: E501
    # fmt: on


def outside(place: object) -> bool:
    """Whether a path, or what it is a link to, is none of the program's own folder."""
    if not isinstance(place, str):
        return False
    if os.path.islink(place):  # noqa: PTH114 (pathlib is not imported in vain)
        place = os.readlink(place)  # noqa: PTH115
    return place.startswith("/") and not place.startswith("/tmp/")  # noqa: S108


def kind_of(error: BaseException | None) -> tuple[str, str]:
    """What became of a program that raised this: `memory`, `refused` or `failed`, and why."""
    said = "%s: %s" % (type(error).__name__, error)  # noqa: UP031 (an f-string is built in parts)
    if isinstance(error, SystemExit):
        return "failed", "it ended itself before the end of its tests"
    for _ in range(16):
        if isinstance(error, MemoryError):
            return "memory", "it wanted more memory than it may have"
        if isinstance(error, OSError) and not isinstance(error, ConnectionError):
            if error.errno in CANNOT or type(error).__name__ == "gaierror":
                return "refused", said
            if error.errno == errno.ENOENT and outside(error.filename):
                return "refused", said
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return "refused", said
        error = error and (error.__cause__ or error.__context__)
        if error is None:
            break
    return "failed", said


def run(give: int, take: int, tests: int, source: bytes) -> None:
    """The child: execute, say why where it did not come to the end, and be gone."""
    write, leave, show = os.write, os._exit, sys.__excepthook__
    out, err = sys.stdout, sys.stderr
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # `site` is not imported
    module = type(sys)("__program__")
    sys.modules["__program__"] = sys.modules["__main__"] = module
    said = b""
    try:
        certify(give, take, tests, source.decode("utf-8", "surrogatepass"), vars(module))
    except BaseException as error:
        sys.settrace(None)
        try:
            kind, why = kind_of(error)
        except BaseException:
            kind, why = "failed", type(error).__name__
        said = ("%s\n%s" % (kind, why[:500])).encode("utf-8", "backslashreplace")  # noqa: UP031
        try:
            out.flush()
            sys.stderr = err
            trace = error.__traceback__
            while (
                trace is not None
                and trace.tb_frame.f_code.co_filename == kind_of.__code__.co_filename
            ):
                trace = trace.tb_next
            show(type(error), error.with_traceback(trace), trace)
        except BaseException as second:
            said += b" (%s)" % type(second).__name__.encode("utf-8", "backslashreplace")
    for stream in (out, err):
        try:
            stream.flush()
        except BaseException:  # noqa: S112 (it has closed it: what it printed is lost, and no more)
            continue
    if said:
        write(take, b"!" + said[:1000] + b"\0")  # its forked copies may say something too
    leave(0)


def confine(limits: dict[str, int]) -> None:
    """Set the child's limits and give up what it may not have."""
    os.setsid()
    # What the system ends first when memory runs out.
    if limits["second_user"]:
        with open("/proc/self/oom_score_adj", "w") as stream:  # noqa: PTH123
            stream.write("1000")
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: PTH123, SIM115
    space = pages * resource.getpagesize() + limits["memory"]
    processor = -(-limits["cpu_ms"] // 1000)
    for kind, value in (
        (resource.RLIMIT_AS, space), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, processor + 1),
        (resource.RLIMIT_FSIZE, limits["file"]), (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_NOFILE, 512), (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NPROC, limits["processes"]), (resource.RLIMIT_STACK, 8 << 20),
    ):  # fmt: skip
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))
    if limits["second_user"]:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
