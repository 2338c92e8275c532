"""Few-shot exemplars read from the pinned package that holds them, checked by hash.

Nothing is imported from that package (importing lm-eval takes seconds): its files are found and
read as data, so a changed package is an error and never a changed score. lm-eval need not be
installed, as it brings 26 packages that nobody here imports: its wheel alone is fetched.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from olmes.errors import OlmesError
from olmes.tools.cache_folder import cache_folder
from olmes.tools.hashing import content_hash
from olmes.tools.places import writing
from olmes.tools.wheels import WheelError, extract, fetch_wheel

T = TypeVar("T")
FETCHED = {"lm_eval": "lm-eval==0.4.13"}
"""Packages whose files are taken out of their wheel where they are not installed."""


def package_file(package: str, path: str, *, extra: str = "") -> Path:
    """A file inside a top-level package, which is not imported.

    `extra` is the one of olmes that brings the package, where it is not always there.

    Raises:
        OlmesError: the package or the file is missing, or its wheel cannot be fetched.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        if package in FETCHED:
            return wheel_file(package, path)
        wanted = f"pip install 'olmes[{extra}]'" if extra else "pip install 'olmes' again"
        raise OlmesError(f"the package {package} is missing; {wanted}.")
    found = Path(spec.origin).parent / path
    if not found.is_file():
        raise OlmesError(
            f"{package} has no file {path}; install the version that olmes pins it to."
        )
    return found


def wheel_file(package: str, path: str) -> Path:
    """A file of a package that is not installed, out of its wheel, which is kept in the user's cache.

    Raises:
        OlmesError: the wheel cannot be fetched, or the cache cannot be written.
    """
    requirement = FETCHED[package]
    kept = cache_folder("wheels", requirement)
    file = kept / package / path
    if file.is_file():
        return file
    with writing(kept, "name another folder with $OLMES_CACHE"):
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept, prefix=".") as name:
            wheel = next(kept.glob("*.whl"), None) or _fetched(requirement, kept, Path(name))
            taken = extract(wheel, f"{package}/{path}", Path(name))
            file.parent.mkdir(parents=True, exist_ok=True)
            taken.replace(file)  # whole, also where two processes do it at once
    return file


def _fetched(requirement: str, kept: Path, temporary: Path) -> Path:
    print(f"olmes: fetching the wheel of {requirement}, which holds exemplars ...", file=sys.stderr)
    try:
        return fetch_wheel(requirement, temporary).replace(kept / f"{requirement}.whl")
    except WheelError as error:
        raise OlmesError(
            f"exemplars lie in {requirement}, which is not installed and cannot be fetched "
            f"({error}); run 'pip install --no-deps {requirement}', here or where a package index "
            "can be reached."
        ) from None


def from_yaml(package: str, path: str, *keys: str) -> Any:
    """The value at `keys` in a YAML file of a package."""
    import yaml

    value = yaml.load(package_file(package, path).read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 (strings only)
    for key in keys:
        value = value[key]
    return value


def from_function(package: str, path: str, function: str) -> Any:
    """The literal that a function of a package's file returns; the file is parsed, never run.

    Raises:
        OlmesError: there is no such function, or what it returns is not a literal.
    """
    tree = ast.parse(package_file(package, path).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for statement in node.body:
                if isinstance(statement, ast.Return) and statement.value is not None:
                    return ast.literal_eval(statement.value)
    raise OlmesError(f"{package}/{path} has no {function} that returns a literal.")


def checked(exemplars: T, sha256: str, origin: str) -> T:
    """`exemplars`, when their content hash begins with `sha256`.

    Raises:
        OlmesError: they differ from what the formulation was published with.
    """
    found = content_hash(exemplars)
    if not found.startswith(sha256):
        raise OlmesError(
            f"the exemplars in {origin} have changed (hash {found[:16]}, expected {sha256}); "
            "install the version that olmes pins it to."
        )
    return exemplars
