"""BigCodeBench's `sanitize`: of a response the longest Python, of that what the entry point needs.

Rebuilt from its rules (bigcode-project/bigcodebench, `bigcodebench/sanitize.py`), which read a tree of
tree-sitter; its names for statements are given where they decide. docs/code-agreement.md holds it
against published outputs, faults included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from olmes.scoring.code.source import longest_code, tree_of


def sanitized(text: str, entry_point: str) -> str:
    """What is executed of a response.

    Args:
        text: the response.
        entry_point: name of the function that the tests call.

    Returns:
        All plain imports, then each function, class and assignment at the top level that the entry
        point names, directly or not, in their order; '' where nothing is left.
    """
    code = longest_code(text.strip())
    tree = tree_of(code)
    if tree is None:
        return ""
    imports: list[ast.stmt] = []
    definitions: list[tuple[str | None, ast.stmt]] = []
    seen: set[str | None] = set()
    for node in tree.body:
        if is_import(node):
            imports.append(node)
        elif is_definition(node):
            name = name_given(node)
            if name not in seen:
                definitions.append((name, node))
                seen.add(name)
    reached = reachable(entry_point, {name: set(names_in(node)) for name, node in definitions})
    kept = imports + [node for name, node in definitions if name in reached]
    return without_calls("\n".join(segment(code, node) for node in kept), entry_point)


def is_import(node: ast.stmt) -> bool:
    """Whether it is an `import_statement` or `import_from_statement`, which `__future__`'s is not."""
    if isinstance(node, ast.ImportFrom):
        return node.module != "__future__"
    return isinstance(node, ast.Import)


def is_definition(node: ast.stmt) -> bool:
    """Whether it is a definition without decorators, or an `assignment`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return not node.decorator_list
    return isinstance(node, ast.Assign | ast.AnnAssign)


def name_given(node: ast.stmt) -> str | None:
    """The first name that stands by itself in it: of `a.b = c` that is `c`, of `a, b = 1, 2` none."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign):
        # `a = b = 1` is an assignment within one, so that only the outer target and a value count.
        parts: list[ast.expr | None] = [node.targets[0]]
        parts += [node.value] if len(node.targets) == 1 else []
    else:
        assert isinstance(node, ast.AnnAssign)
        parts = [node.target, node.value]
    return next((part.id for part in parts if isinstance(part, ast.Name)), None)


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every `identifier` in a statement: names, attributes, parameters, keywords, modules."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.alias(name=name, asname=other):
                yield from name.split(".")
                yield from filter(None, [other])
            case ast.ImportFrom(module=str(name)):
                yield from name.split(".")
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.MatchClass(kwd_attrs=names):
                yield from names


def reachable(start: str, needs: dict[str | None, set[str]]) -> set[str]:
    """What is named from a definition, and from what that names."""
    reached, queue = {start}, [start]
    while queue:
        for name in needs.get(queue.pop(), set()) - reached:
            reached.add(name)
            queue.append(name)
    return reached


def segment(code: str, node: ast.stmt) -> str:
    """The text of a statement."""
    return ast.get_source_segment(code, node) or ""


def without_calls(code: str, entry_point: str) -> str:
    """Without the unindented lines at the end, from the first that names the entry point.

    Only blanks count as an indentation: code indented by tabs is lost.
    """
    lines = code.splitlines()
    cut = len(lines)
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].startswith(" "):
            break
        if entry_point in lines[place]:
            cut = place
    return code if cut == len(lines) else "\n".join(lines[:cut])
