"""Public names: complete, the same for programs and for type checkers, and all that tasks import."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import olmes
import olmes.stats

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).parents[2]


def imported(source: str) -> set[tuple[str, str]]:
    """Module and name of every absolute import in a source text."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found |= {(node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return found


@pytest.mark.parametrize("package", [olmes, olmes.stats], ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_is_shown_to_type_checkers(package: Any) -> None:
    assert sorted(package.__all__) == sorted(package.PUBLIC)
    for name in package.PUBLIC:
        assert getattr(package, name) is not None
    source = Path(package.__file__).read_text("utf-8")
    block = next(node for node in ast.parse(source).body if isinstance(node, ast.If))
    shown = set()
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name  # only then a checker takes it for public
            assert getattr(package, alias.name) is getattr(
                importlib.import_module(str(node.module)), alias.name
            )
            shown.add(alias.name)
    assert shown == set(package.PUBLIC)


def test_a_name_that_is_not_public_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'olmes' has no attribute 'nothing'"):
        _ = olmes.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*.py")), ids=lambda path: path.stem)
def test_tasks_import_public_names_and_shared_scorers_only(path: Path) -> None:
    for module, name in imported(path.read_text("utf-8")):
        if module.split(".")[0] == "olmes":
            assert (module == "olmes" and name in olmes.PUBLIC) or module.startswith(
                "olmes.scoring."
            ), f"{path.name}: from {module} import {name}"
