"""Python source as text and as a tree: whether it compiles, its longest part that does."""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

CERTAIN = re.compile(
    r"invalid syntax$|unterminated (triple-quoted )?string literal|unindent does not match"
    r"|invalid (non-printable )?character|too many nested parentheses|'.' was never closed"
)
"""Errors that stay when lines are taken off the end, as long as the line they are reported at is there:
the parser's plain "invalid syntax" stands at the furthest token that it read, the tokenizer's where it
stopped, and what is not closed in more lines is not closed in fewer."""


def tree_of(code: str) -> ast.Module | None:
    """The tree of some source; None where it is none. Nothing of it is executed."""
    found = parsed(code)
    return found if isinstance(found, ast.Module) else None


def compiles(code: str) -> bool:
    """Whether some source is Python."""
    return tree_of(code) is not None


def is_program(code: str) -> bool:
    """Whether some source is a program as a whole: no `return` outside a function, say."""
    if not compiles(code):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "<response>", "exec", dont_inherit=True)
    except (SyntaxError, MemoryError, RecursionError, ValueError, OverflowError):
        return False
    return True


@lru_cache(maxsize=32)
def parsed(code: str) -> ast.Module | SyntaxError | None:
    """The tree of some source, or what is wrong with it where that is known by line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as error:
        return error.with_traceback(None)
    except (MemoryError, RecursionError, ValueError):  # nested too deeply; NUL characters
        return None


def longest_code(text: str) -> str:
    """The longest run of lines that is Python, counted by lines that are not blank.

    Of equally long ones the first; the shortest of those that begin there. A run has two lines or more,
    as BigCodeBench has it (`bigcodebench/sanitize.py`, `code_extract`); without any it is the first
    line. Where an error is certain to stand in every longer run, these are not tried.
    """
    lines = text.split("\n")
    filled = [0]
    for line in lines:
        filled.append(filled[-1] + bool(line.strip()))
    best, first, last = 0, 0, 0
    for start in range(len(lines)):
        if filled[-1] - filled[start] <= best:
            break
        end = len(lines)
        while end - start >= 2 and filled[end] - filled[start] > best:
            found = parsed("\n".join(lines[start:end]))
            if isinstance(found, ast.Module):
                best, first = filled[end] - filled[start], start
                while end - start > 2 and not lines[end - 1].strip():
                    end -= 1
                last = end - 1
                break
            end = min(end - 1, start + lines_before(found, end - start))
    return "\n".join(lines[first : last + 1])


def lines_before(error: SyntaxError | None, count: int) -> int:
    """How many of `count` lines can be Python at most, after an error in all of them together."""
    if error is None or error.lineno is None or not 1 <= error.lineno <= count:
        return count
    return error.lineno - 1 if CERTAIN.match(error.msg) else count


def name_of(node: ast.stmt) -> str | None:
    """The name that a definition gives; None for another statement."""
    return node.name if isinstance(node, Definition) else None


def lines_of(node: ast.stmt) -> tuple[int, int]:
    """The first and the last line of a statement, its decorators included, counted from 0."""
    first = node.lineno
    if isinstance(node, Definition):
        first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
    return first - 1, (node.end_lineno or node.lineno) - 1


def normal_form(code: str) -> str | None:
    """Source without its comments and its layout; None where it is none, or is nested too deeply."""
    tree = tree_of(code)
    try:
        return None if tree is None else ast.unparse(tree)
    except RecursionError:
        return None


def same(one: str, other: str) -> bool:
    """Whether two programs differ in comments and layout alone, so that one execution serves both."""
    found = normal_form(one)
    return one == other or (found is not None and found == normal_form(other))
