"""Pools of real sandboxes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from olmes.sandbox.bubblewrap import Bubblewrap
from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Execution, Limits, Program

Execute = Callable[..., Execution]
LIMITS = Limits(wall_s=20.0, memory_bytes=256 << 20, file_bytes=4 << 20, output_bytes=4096)
PATIENCE = 120.0


class OneUser(Bubblewrap):
    """Bubblewrap as it is for whoever is not root: guard and program are one user."""

    second_user = False


def came_of(pool: SandboxPool, programs: Sequence[Program]) -> list[Execution]:
    """What came of programs, in their order."""
    found: dict[int, Execution] = {}
    ready = threading.Event()

    def done(number: int, execution: Execution) -> None:
        found[number] = execution
        if len(found) == len(programs):
            ready.set()

    for number, program in enumerate(programs):
        pool.submit(program, partial(done, number))
    deadline = time.monotonic() + PATIENCE
    while not ready.wait(0.5):
        assert pool.failure is None, pool.failure
        assert time.monotonic() < deadline
    return [found[number] for number in range(len(programs))]


@pytest.fixture(
    scope="session", params=["as root", pytest.param("as an ordinary user", marks=pytest.mark.slow)]
)
def pool(request: pytest.FixtureRequest, bubblewrap_program: str) -> Iterator[SandboxPool]:
    """Two programs at once, as root with two users, and as others have it."""
    if request.param == "as root" and not Bubblewrap().second_user:
        pytest.skip("two users in a sandbox need root, with a nobody beside it")
    sandbox = Bubblewrap() if request.param == "as root" else OneUser()
    opened = SandboxPool(2, sandbox=sandbox)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def execute(pool: SandboxPool) -> Execute:
    """Executes one program."""

    def one(source: str, tests: str = "", limits: Limits = LIMITS) -> Execution:
        return pool.execute(Program(source=source, tests=tests, limits=limits))

    return one
