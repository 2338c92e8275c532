"""A verdict is reached by the end of the tests alone, and by nothing that a program can do before."""

from __future__ import annotations

import pytest

from tests.olmes.sandbox.conftest import Execute

WRONG = "def double(n):\n    return n\n"
TESTS = "assert abs(double(2) - 4) < 1e-6"
UNITTEST = """
import unittest
class Tests(unittest.TestCase):
    def test(self):
        self.assertEqual(double(2), 4)
done = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(Tests))
assert done.wasSuccessful() and done.testsRun == 1
"""
EVERYWHERE = (
    "import os\nfor place in range(256):\n    try: os.write(place, {0})\n    except OSError: pass\n"
)
FORGED = {
    "prints a verdict": "print('passed')\nprint('started\\npassed \\n')\n" + WRONG,
    "writes one everywhere": EVERYWHERE.format("b'started\\npassed \\n'") + WRONG,
    "writes a secret everywhere": EVERYWHERE.format("bytes(32)") + WRONG,
    "ends well": "import sys\nsys.exit(0)",
    "ends at once": "import os\nos._exit(0)",
    "ends at once when it is called": "import os\ndef double(n): os._exit(0)",
    "ends well when it is called": "def double(n): raise SystemExit(0)",
    "ends well at the exit": "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG,
    "raises what nobody catches": "class E(BaseException): pass\ndef double(n): raise E",
    "raises what cannot be shown": (
        "class E(BaseException):\n    def __str__(self): raise self\nraise E"
    ),
    "kills the parent": "import os\ntry: os.kill(os.getppid(), 9)\nexcept OSError: pass\n" + WRONG,
    "forks and ends": "import os\nif os.fork(): os._exit(0)\n" + WRONG,
    "changes what tests call": "import builtins\nbuiltins.abs = lambda n: 0\n" + WRONG,
    "changes what assertions raise": (
        "import builtins\nclass Fine(Exception): pass\nbuiltins.AssertionError = Fine\n" + WRONG
    ),
    "changes its builtins": (
        "import builtins\n__builtins__ = {**vars(builtins), 'abs': lambda n: 0}\n" + WRONG
    ),
    "changes what executes": (
        "import builtins, os, sys\nbuiltins.exec = builtins.compile = print\n"
        "os.read = os.write = print\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if hasattr(module, 'certify'): module.receive = lambda *_: b''; module.exec = print\n"
        "sys.modules['__main__'].exec = print\n" + WRONG
    ),
    "lets the tests be empty": (
        "import os\nr, w = os.pipe()\nos.write(w, b'pass')\nos.close(w)\nfor place in range(3, 64):\n"
        "    if place != r:\n        try: os.dup2(r, place)\n        except OSError: pass\n" + WRONG
    ),
    "reads what it is given": (
        "import os, fcntl\nfor place in range(3, 64):\n    try:\n"
        "        fcntl.fcntl(place, fcntl.F_SETFL, os.O_NONBLOCK)\n        said = os.read(place, 64)\n"
        "        for other in range(3, 64):\n            try: os.write(other, said)\n"
        "            except OSError: pass\n    except OSError: pass\n" + WRONG
    ),
    "looks for the secret": """
import gc, os, sys
def found():
    seen, frame = [], sys._getframe()
    while frame:
        seen += [*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts]
        seen += gc.get_referents(frame)
        frame = frame.f_back
    for thing in gc.get_objects():
        seen += gc.get_referents(thing)
    return {one for one in seen if isinstance(one, bytes) and len(one) == 32}
def double(n):
    for secret in found():
        for place in range(3, 64):
            try: os.write(place, secret)
            except OSError: pass
    return n
""",
    "traces the frames above": """
import sys
def bend(frame, event, value):
    for name in frame.f_locals:
        if name in ('exec_', 'compile_', 'update', 'settrace'): frame.f_locals[name] = lambda *_: None
        if name in ('tests', 'source'): frame.f_locals[name] = ''
    try: frame.f_lineno = frame.f_lineno
    except ValueError: pass
    return bend
frame = sys._getframe()
while frame:
    frame.f_trace, frame.f_trace_opcodes = bend, True
    frame = frame.f_back
sys.settrace(bend)
def double(n):
    frame = sys._getframe()
    while frame:
        frame.f_trace, frame.f_trace_opcodes = bend, True
        frame = frame.f_back
    sys.settrace(bend)
    return n
""",
    "goes on in a thread": """
import threading, os, time
def later():
    while True:
        for place in range(3, 64):
            try: os.write(place, b'passed')
            except OSError: pass
        time.sleep(0.01)
threading.Thread(target=later, daemon=True).start()
def double(n): return n
""",
    "takes the streams away": (
        "import sys\nclass Bad:\n    def __getattr__(self, name): raise SystemExit(0)\n"
        "sys.stdout = sys.stderr = sys.__stdout__ = sys.excepthook = Bad()\n" + WRONG
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_verdict_is_not_forged(execute: Execute, how: str) -> None:
    found = execute(FORGED[how], TESTS)
    assert not found.passed
    assert found.result in ("failed", "refused", "timeout"), found.output


@pytest.mark.parametrize(
    "how",
    [
        "unittest.TestCase.assertEqual = lambda *_: None",
        "unittest.TestCase.run = lambda *_: None",
        "unittest.TextTestRunner.run = lambda *_: type('R', (), {'wasSuccessful': lambda s: 1, "
        "'testsRun': 1})()",
        "unittest.case.TestCase = unittest.TestCase = type('T', (), {})",
    ],
)
def test_tests_get_a_unittest_that_the_program_has_not_touched(execute: Execute, how: str) -> None:
    found = execute(f"import unittest\n{how}\n{WRONG}", UNITTEST)
    assert found.result == "failed", found.output
    assert execute("def double(n): return 2 * n", UNITTEST).passed


def test_a_right_answer_that_looks_at_everything_passes(execute: Execute) -> None:
    source = (
        "import gc, sys\ndef double(n):\n"
        "    sys._getframe(1).f_locals, gc.get_objects()\n    return 2 * n"
    )
    assert execute(source, TESTS).passed


def test_a_program_whose_copies_reach_the_end_of_the_tests_too_passes(execute: Execute) -> None:
    source = "import os, time\ndef double(n):\n    if os.fork(): time.sleep(0.2)\n    return 2 * n"
    assert execute(source, TESTS).passed


def test_a_right_answer_that_writes_where_the_verdict_is_read_does_not_pass(
    execute: Execute,
) -> None:
    found = execute(EVERYWHERE.format("b'passed'") + "def double(n): return 2 * n", TESTS)
    assert found.result == "refused"
    assert "it wrote where its verdict is read" in found.output
