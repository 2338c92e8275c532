"""The program that a response evidently answers with, however it is written.

Asked is a function, of which the prompt gives the beginning: its imports, its first line, mostly a
docstring. A response continues it, or repeats it, in a fence or without one, with words around it, with
its first indentation lost, with calls and tests of its own. What it means is one program either way.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from olmes.scoring.answers.thought import spoken
from olmes.scoring.code.source import (
    Definition,
    compiles,
    is_program,
    lines_of,
    longest_code,
    name_of,
    tree_of,
)

FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[^`\n]*")
INDENT = "    "
TALK = ("print", "input", "exit", "quit", "breakpoint", "help")
"""Functions that a script calls for its user, and a tested module need not."""
ENDINGS = ("unittest.main", "doctest.testmod", "pytest.main", "sys.exit")
"""Functions that end the program, or judge it by tests of its own."""


def stated_program(text: str, start: str, entry_point: str) -> str | None:
    """What is to be executed: the function's beginning and the code that a response gives for it.

    Args:
        text: the response, which may continue `start` or begin anew.
        start: the function's beginning, with what it needs before it.
        entry_point: its name.

    Returns:
        The whole program without tests; None where the response gives no such function, or one that
        is nested too deeply to be read.
    """
    said = spoken(text)
    try:
        return None if said is None else read(parts_of(said), start, entry_point)
    except RecursionError:
        return None


def read(parts: list[str], start: str, entry_point: str) -> str | None:
    """The program that the parts of a response give; None as in `stated_program`."""
    for place in reversed(
        range(len(parts))
    ):  # what is given again is given because it is corrected
        whole = defining(parts[place], entry_point)
        if whole is not None:
            helpers = [without_usage(part, entry_point) for part in parts[:place]]
            before = [one for one in helpers if one and not defines(one, entry_point)]
            kept = without_usage("\n".join([*before, whole]), entry_point)
            return f"{closed(start)}\n{kept}\n"
    return next(filter(None, (completed(part, start, entry_point) for part in parts)), None)


def parts_of(text: str) -> list[str]:
    """What stands before, between and behind the lines of fences."""
    parts: list[list[str]] = [[]]
    for line in text.split("\n"):
        if FENCE.fullmatch(line):
            parts.append([])
        else:
            parts[-1].append(line)
    return ["\n".join(part) for part in parts if any(line.strip() for line in part)]


def defining(part: str, entry_point: str) -> str | None:
    """The code of a part that defines the function as a whole; None where none does."""
    if not re.search(rf"\b{re.escape(entry_point)}\b", part):
        return None
    for code in (part, textwrap.dedent(part), longest_code(textwrap.dedent(part))):
        if compiles(code):
            return code if defines(code, entry_point) else None
    return None


def defines(code: str, entry_point: str) -> bool:
    """Whether the function is defined at the top level, with something to do."""
    tree = tree_of(code)
    return tree is not None and any(
        (name_of(node) == entry_point and does_something(node))
        or (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Lambda)
            and entry_point in [getattr(target, "id", None) for target in node.targets]
        )
        for node in tree.body
    )


def does_something(node: ast.stmt) -> bool:
    """Whether a definition holds more than a docstring, `pass`, dots, and what it defines itself."""
    return any(
        not isinstance(statement, ast.Pass | ast.Import | ast.ImportFrom | Definition)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in getattr(node, "body", ())
    )


def closed(start: str) -> str:
    """The function's beginning as a whole function, which does nothing yet."""
    return start if compiles(start) else f"{start.rstrip()}\n{INDENT}pass\n"


def completed(part: str, start: str, entry_point: str) -> str | None:
    """`start` and the body that a part begins with; None where it begins with none.

    The lines that are kept are those before whatever is no Python any more. Where the indentation is
    lost or another one, the reading that keeps most lines is taken.
    """
    best, most = None, 0
    for body in readings(part):
        lines = body.split("\n")
        count = len(lines)
        while count and not begun(start, lines[:count], entry_point):
            count -= 1
        kept = sum(bool(line.strip()) for line in lines[:count])
        if kept > most:
            best, most = "\n".join(lines[:count]), kept
    if best is None:
        return None
    return without_usage(f"{start}{best}\n", entry_point)


def readings(part: str) -> Iterator[str]:
    """A body as it is written, and with the indentation that it may have lost."""
    text = part.lstrip("\n")
    for body in dict.fromkeys((text, text.expandtabs(len(INDENT)))):
        yield body
        yield INDENT + body.lstrip()
        yield textwrap.indent(textwrap.dedent(body), INDENT)


def begun(start: str, lines: list[str], entry_point: str) -> bool:
    """Whether these lines make a whole function of its beginning."""
    program = start + "\n".join(lines) + "\n"
    return bool(lines[-1].strip()) and defines(program, entry_point) and is_program(program)


def without_usage(code: str, entry_point: str) -> str:
    """Code without what it does besides defining: examples, tests, what it says to a user.

    Left out are calls of the function at the top level, `if __name__ == "__main__"`, prints, and
    expressions that call nothing. Whatever shares a line with what stays, stays. '' for no code.
    """
    tree = tree_of(code)
    if tree is None:
        return ""
    lines = code.split("\n")
    kept: set[int] = set()
    dropped: set[int] = set()
    for node in tree.body:
        first, last = lines_of(node)
        (dropped if is_usage(node, entry_point) else kept).update(range(first, last + 1))
    if not kept:
        return ""
    return "\n".join(line for place, line in enumerate(lines) if place not in dropped - kept)


def is_usage(node: ast.stmt, entry_point: str) -> bool:
    """Whether a statement at the top level uses what is defined, and defines nothing itself."""
    if name_of(node) or isinstance(node, ast.Import | ast.ImportFrom):
        return False
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call):
        return True
    if isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
        return True
    calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    if any(isinstance(call, ast.Name) and call.id == entry_point for call in calls):
        return True
    if not isinstance(node, ast.Expr):
        return False
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return called is not None and ast.unparse(called) in (*TALK, *ENDINGS)
