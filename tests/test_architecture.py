"""docs/architecture.md and the code agree: the folders, their order, nothing imports back up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
LINKED = ("tasks", "suites", "reports", "trainers")
FOLDERS = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## The way of the data")[0], re.MULTILINE)
FACES = ("", "__init__", "__main__")
"""The package itself: its lazy public names lead everywhere."""
LOOSE = 8


def sources() -> Iterator[tuple[str, Path]]:
    """Each file of the product with the first part of its name in the package."""
    for folder in ("olmes", *LINKED):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if folder == "olmes" and inside.parts[1] in LINKED:
                continue
            first = folder if folder != "olmes" else inside.parts[1].removesuffix(".py")
            yield first, path


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """The first parts of the names that a file imports from the package, for types too, with lines."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("olmes."):
                yield name.split(".")[1], node.lineno


def test_the_page_names_every_folder_once() -> None:
    assert sorted(FOLDERS) == sorted({first for first, _ in sources()} - set(FACES))


def test_nothing_imports_back_up() -> None:
    order = {name: place for place, name in enumerate(FOLDERS)}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports olmes.{name}"
        for first, path in sources()
        if first in order
        for name, line in imports(path)
        if order.get(name, -1) > order[first]
    ]
    assert wrong == []


def test_few_modules_lie_loose() -> None:
    assert len(list((ROOT / "olmes").glob("*.py"))) <= LOOSE


def test_links_show_the_mapped_folders_to_tools() -> None:
    for name in LINKED:
        assert (ROOT / "olmes" / name).resolve() == (ROOT / name).resolve()


def test_the_package_lists_every_folder() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = {
        "olmes." + ".".join(path.parent.relative_to(ROOT / "olmes").parts)
        for path in (ROOT / "olmes").rglob("__init__.py")
        if path.parent != ROOT / "olmes"
    }
    found |= {
        "olmes." + ".".join(path.parent.relative_to(ROOT).parts)
        for name in LINKED
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert set(listed["packages"]) == {"olmes", *found}


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert (ROOT / "docs" / target).exists(), target


def test_no_two_files_import_each_other() -> None:
    """Not by a longer way round either, and not by an import inside a function."""
    needs = {
        module_of(path): {name for name in targets(path) if name != module_of(path)}
        for _, path in sources()
        if path.name != "__init__.py"  # a package's face loads its names on use
    }
    while leaves := [name for name, wanted in needs.items() if not wanted & needs.keys()]:
        for name in leaves:
            del needs[name]
    assert not needs, sorted(needs)


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "olmes" else ("olmes", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def targets(path: Path) -> Iterator[str]:
    """The modules a file imports, but for what only type checkers read."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
