"""Which calls of the system a program may not make: the filter (seccomp, BPF) that bubblewrap loads.

Namespaces hide the machine; this takes away what could make new ones, reach another process, or find a
fault in parts of the kernel that no such program has a use for; and memory that no limit of a process
counts (`memfd_create`, `shmget`, `msgget`). A forbidden call fails with `EPERM`.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Sequence

NUMBERS = {
    "x86_64": {
        "add_key": 248, "request_key": 249, "keyctl": 250, "bpf": 321, "perf_event_open": 298,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "unshare": 272,
        "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
        "userfaultfd": 323, "kexec_load": 246, "kexec_file_load": 320, "init_module": 175,
        "finit_module": 313,
        "delete_module": 176, "name_to_handle_at": 303, "open_by_handle_at": 304, "quotactl": 179,
        "reboot": 169, "swapon": 167, "swapoff": 168, "syslog": 103, "acct": 163, "sethostname": 170,
        "setdomainname": 171, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159,
        "clock_adjtime": 305, "iopl": 172, "ioperm": 173, "memfd_create": 319, "shmget": 29,
        "msgget": 68, "clone": 56, "socket": 41,
    },
    "aarch64": {
        "add_key": 217, "request_key": 218, "keyctl": 219, "bpf": 280, "perf_event_open": 241,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "unshare": 97,
        "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "userfaultfd": 282,
        "kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273,
        "delete_module": 106, "name_to_handle_at": 264, "open_by_handle_at": 265, "quotactl": 60,
        "reboot": 142, "swapon": 224, "swapoff": 225, "syslog": 116, "acct": 89, "sethostname": 161,
        "setdomainname": 162, "settimeofday": 170, "clock_settime": 112, "adjtimex": 171,
        "clock_adjtime": 266, "memfd_create": 279, "shmget": 194, "msgget": 186,
        "clone": 220, "socket": 198,
    },
}  # fmt: skip
"""By architecture (Linux's tables of system calls)."""
EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "memfd_secret": 447,
}  # fmt: skip
CLONE3 = 435
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FAMILIES = (1, 2, 10, 16)
"""Sockets there are: of the machine itself (1), IPv4, IPv6, and the kernel's about interfaces (16)."""
NEW_NAMESPACES = 0x7E020080
"""Flags of `clone` that make namespaces."""
X32 = 0x40000000
"""Calls from here on are another way to make those of x86-64."""

LOAD, EQUAL, LEAST, ANY, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` are how many to skip."""
    return struct.pack("=HBBI", code, yes, no, value)


def refused(error: int = errno.EPERM) -> bytes:
    """The end of a call that fails."""
    return step(RETURN, REFUSE | error)


def call_filter(machine: str | None = None) -> bytes:
    """The filter for a machine's architecture; empty where its numbers are not known.

    Args:
        machine: as `platform.machine` says; None is this one.
    """
    machine = machine or platform.machine()
    if machine not in NUMBERS:
        return b""
    numbers = {**NUMBERS[machine], **EVERYWHERE}
    clone, socket = numbers.pop("clone"), numbers.pop("socket")
    steps: list[bytes] = [
        step(LOAD, ARCHITECTURE), step(EQUAL, ARCHITECTURES[machine], 1, 0), refused(),
        step(LOAD, NUMBER), step(LEAST, X32, 0, 1), refused(),
        # What cannot be looked into is not there: the C library then uses `clone`.
        step(EQUAL, CLONE3, 0, 1), refused(errno.ENOSYS),
    ]  # fmt: skip
    for number in sorted(numbers.values()):
        steps += [step(EQUAL, number, 0, 1), refused()]
    return b"".join([*steps, *special(clone, socket), step(RETURN, ALLOW)])


def special(clone: int, socket: int) -> Sequence[bytes]:
    """Calls that depend on their first argument."""
    found = [step(EQUAL, clone, 0, 4), step(LOAD, FIRST_ARGUMENT), step(ANY, NEW_NAMESPACES, 0, 1)]
    found += [refused(), step(RETURN, ALLOW)]
    found += [step(EQUAL, socket, 0, 3 + len(FAMILIES)), step(LOAD, FIRST_ARGUMENT)]
    for at, family in enumerate(FAMILIES):
        found.append(step(EQUAL, family, len(FAMILIES) - at, 0))
    return [*found, refused(errno.EACCES), step(RETURN, ALLOW)]
