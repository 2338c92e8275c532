"""The filter of system calls, read by the rules of BPF."""

from __future__ import annotations

import struct

import pytest

from olmes.sandbox.system_calls import (
    ALLOW,
    ARCHITECTURES,
    EVERYWHERE,
    FAMILIES,
    NUMBERS,
    REFUSE,
    call_filter,
)  # fmt: skip

EPERM, ENOSYS, EACCES = REFUSE | 1, REFUSE | 38, REFUSE | 13
SIGCHLD, NEW_USER = 17, 0x10000000


def said(machine: str, number: int, first: int = 0, architecture: int | None = None) -> int:
    """What the filter answers to a call."""
    data = {0: number, 4: architecture or ARCHITECTURES[machine], 16: first}
    steps = list(struct.iter_unpack("=HBBI", call_filter(machine)))
    held, at = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            held = data[value]
        elif code == 0x06:
            return int(value)
        else:
            true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            at += yes if true else no


@pytest.mark.parametrize("machine", list(NUMBERS))
def test_calls_are_refused_and_the_others_allowed(machine: str) -> None:
    numbers = {**NUMBERS[machine], **EVERYWHERE}
    clone, socket = numbers.pop("clone"), numbers.pop("socket")
    assert {said(machine, number) for number in numbers.values()} == {EPERM}
    others = set(range(460)) - {*numbers.values(), clone, socket, 435}
    assert {said(machine, number) for number in others} == {ALLOW}
    assert said(machine, 435) == ENOSYS
    assert (said(machine, clone, SIGCHLD), said(machine, clone, SIGCHLD | NEW_USER)) == (
        ALLOW,
        EPERM,
    )
    assert {family for family in range(60) if said(machine, socket, family) == ALLOW} == set(
        FAMILIES
    )
    assert said(machine, socket, 40) == EACCES
    assert said(machine, 1, architecture=0x40000003) == EPERM
    assert said(machine, 0x40000001) == EPERM


def test_of_another_machine_there_is_no_filter() -> None:
    assert call_filter("riscv64") == b""
