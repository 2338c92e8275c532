"""What a user reads is in the field's terms (docs/architecture.md): a run resumes, a user fixes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = re.compile(
    r"\b(goes on|going on|went on|gone on|go on with|mend(s|ed)?|be had|built-in sample|sample data"
    r"|twin|set aside|a fault of|told)\b"
    r"|(?<!here )\bis no (record|folder|number|model|share|task|page|file)\b(?! longer)",
    re.IGNORECASE,
)
"""Our own words for what the field calls resume, fix, available, demo data, duplicate, staging."""
PAGES = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
SHOWN = [*(ROOT / "reports/templates").glob("*"), *(ROOT / "olmes/server/templates").glob("*")]
SHOWN += [*(ROOT / "reports/assets").glob("*.js"), *(ROOT / "olmes/server/static").glob("*.js")]
CODE = [
    path
    for folder in ("olmes", "tasks", "reports", "trainers")
    for path in (ROOT / folder).rglob("*.py")
    if "constraints" not in path.parts  # their texts are answers, not words to a user
]


def said(path: Path) -> Iterator[str]:
    """The strings of a module that are not docstrings: what it may print."""
    tree = ast.parse(path.read_text("utf-8"))
    described = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in described
        ):
            yield node.value


def test_no_string_that_is_printed_has_an_old_word() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text[:80]!r}"
        for path in CODE
        for text in said(path)
        if OLD.search(text)
    ]
    assert found == []


@pytest.mark.parametrize("path", [*PAGES, *SHOWN], ids=lambda path: path.name)
def test_no_page_has_an_old_word(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert [line for line in lines if OLD.search(line)] == []
