"""Tests of `unittest`, executed in a program and read out of what it wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping

from olmes import VerdictPart

RUNNER = """
def _run_tests():
    import builtins, contextlib, io, os, sys, time, unittest

    builtins.exit = builtins.quit = None
    os.environ["TZ"] = "UTC"
    time.tzset()

    class Sink(io.StringIO):
        def read(self, *arguments):
            raise OSError("a test has nobody to ask")

        readline = readlines = read

        def readable(self):
            return False

    ran = []

    class Result(unittest.TestResult):
        def stopTest(self, test):
            super().stopTest(test)
            ran.append(test)

    result, sink, stdin = Result(), Sink(), sys.stdin
    tests = unittest.TestLoader().loadTestsFromTestCase(TestCases)
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        sys.stdin = sink
        try:
            tests.run(result)
        finally:
            sys.stdin = stdin
    wrong = result.failures + result.errors
    for test, trace in wrong:
        print(test.id().rpartition(".")[2], trace[-1500:], sep="\\n")
    failed = {test.id() for test, _ in wrong}
    for test in ran:
        print("test", test.id().rpartition(".")[2], "failed" if test.id() in failed else "passed")
    if wrong:
        raise AssertionError(f"{len(failed)} of {len(ran)} tests failed")


_run_tests()
"""
"""Runs the class `TestCases` and says of each test whether it passed, at the end of the output.

Passed is what neither failed nor raised, as BigCodeBench counts (`bigcodebench/eval/__init__.py`,
`unsafe_execute`): a skipped test passes. What the tests themselves print is not kept, as there; clocks
show UTC, and nothing can `exit` (`bigcodebench/eval/utils.py`, `reliability_guard`).
"""

LINE = re.compile(r"^test (\S+) (passed|failed)$", re.MULTILINE)
PROOF: Mapping[str, bool] = {"passed": True, "failed": False}


def parts_of(output: str) -> list[VerdictPart]:
    """A part for each test that a program says it ran: evidence, and nothing that a score is made of.

    The program holds what a model wrote, so that it can say anything here. Whether it passed is known
    from how it ended.
    """
    found = {name: PROOF[result] for name, result in LINE.findall(output)}
    return [{"id": name, "strict": passed, "loose": passed} for name, passed in found.items()]
