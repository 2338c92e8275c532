"""What becomes of programs that mean no harm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from olmes.sandbox.program import Limits, Program
from tests.olmes.sandbox.conftest import LIMITS, Execute

DOUBLE = "def double(n):\n    return 2 * n\n"
BRIEF = replace(LIMITS, wall_s=1.0)


@pytest.mark.parametrize(
    ("source", "tests", "result", "said"),
    [
        (DOUBLE, "assert double(2) == 4", "passed", ""),
        (DOUBLE, "assert double(2) == 5", "failed", "AssertionError"),
        (DOUBLE, "assert double(2) == 5, 'five'", "failed", "olmes: AssertionError: five\n"),
        ("def double(n:", "", "failed", "SyntaxError"),
        (DOUBLE, "double(", "failed", "SyntaxError"),
        ("raise ValueError(7)", "", "failed", "ValueError: 7"),
        ("import sys\nsys.exit(0)", "", "failed", "before the end of its tests"),
        ("exit()", "", "failed", "before the end of its tests"),
        ("def f():\n    return f()", "f()", "failed", "RecursionError"),
        ("while True: pass", "", "timeout", "was not done after 1 s"),
        ("import time\ntime.sleep(60)", "", "timeout", "was not done after 1 s"),
        ("x = 'a' * 10**9", "", "memory", "MemoryError"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "", "memory", "MemoryError"),
        ("import os\nos.abort()", "", "crashed", "SIGABRT"),
        ("import ctypes\nctypes.string_at(0)", "", "crashed", "SIGSEGV"),
        ("x = '\ud800'", "", "failed", "surrogates not allowed"),
        ("x = '\0'", "", "failed", "null bytes"),
        ("import json, re, threading, subprocess, sqlite3, decimal, asyncio", "", "passed", ""),
        ("import numpy", "assert int(numpy.arange(4).sum()) == 6", "passed", ""),
        ("from __future__ import annotations", "def f(a: Nobody): pass", "passed", ""),
        ("import sys\nsys.stdout.close()\nsys.stderr = None", "assert True", "passed", ""),
        ("input()", "", "failed", "EOFError"),
        ("for n in range(40000): print(n)", "assert True", "passed", "39999"),
        ("if __name__ == '__main__': raise ValueError", "", "passed", ""),
    ],
)
def test_a_program_is_reported_for_what_it_was(
    execute: Execute, source: str, tests: str, result: str, said: str
) -> None:
    found = execute(source, tests, BRIEF if result == "timeout" else LIMITS)
    assert found.result == result, found.output
    assert said in found.output


def test_source_tests_and_output_are_kept(execute: Execute) -> None:
    found = execute("print('first')", "import sys\nprint('second', file=sys.stderr)")
    program = Program(source="print('first')", tests="import sys\nprint('second', file=sys.stderr)")
    assert found == program.came_to("passed", found.output)
    assert sorted(found.output.split()) == ["first", "second"]


def test_the_end_of_the_output_is_kept_as_text_that_any_store_takes(execute: Execute) -> None:
    found = execute("import os\nos.write(1, b'a' * 9000 + bytes(range(256)))\nprint('\\ud800\\0')")
    assert found.passed
    assert len(found.output) <= LIMITS.output_bytes
    assert found.output.encode("utf-8").startswith(b"aaaa")
    assert "\0" not in found.output
    assert "\\ud800" in found.output


def test_a_module_of_the_program_can_be_pickled_and_sent(execute: Execute) -> None:
    source = (
        "import pickle, multiprocessing\n"
        "class Box:\n    value = 1\n"
        "def double(n): return 2 * n\n"
        "def doubled(values):\n"
        "    with multiprocessing.Pool(2) as pool: return pool.map(double, values)\n"
    )
    tests = "assert pickle.loads(pickle.dumps(Box())).value == 1\nassert doubled([1, 2]) == [2, 4]"
    assert execute(source, tests).passed


def test_what_a_program_needs_of_its_machine_works(execute: Execute) -> None:
    source = (
        "import os, socket, subprocess, tempfile\n"
        "def shell(): return subprocess.run('echo 1', shell=True, capture_output=True).stdout\n"
        "def file():\n"
        "    with tempfile.NamedTemporaryFile('w+') as stream:\n"
        "        stream.write('2'); stream.flush(); return open(stream.name).read()\n"
        "def loopback():\n"
        "    server = socket.create_server(('127.0.0.1', 0))\n"
        "    client = socket.create_connection(server.getsockname())\n"
        "    client.sendall(b'3'); return server.accept()[0].recv(1)\n"
    )
    tests = "assert (shell(), file(), loopback(), os.getcwd()) == (b'1\\n', '2', b'3', '/tmp')"
    found = execute(source, tests)
    assert found.passed, found.output


def test_processor_time_of_all_processes_is_limited_together(execute: Execute) -> None:
    source = "import os\nfor _ in range(3): os.fork()\nwhile True: pass"
    found = execute(source, limits=replace(LIMITS, wall_s=60.0, processors=1 / 60))
    assert found.result == "timeout"
    assert "1 s of processor time" in found.output


def test_limits_and_programs_are_read_as_they_were_written() -> None:
    program = Program(source="a", tests="b", limits=Limits(processors=2.0), environment="c")
    assert Program.from_json(program.to_json()) == program
