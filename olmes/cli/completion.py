"""What a shell completes behind an option: names of tasks, suites, recipes and models, and files.

Each is asked at every press of a key, so that nothing heavy is imported: names are read from the
names of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Completed = list[CompletionItem]


def tasks(_context: click.Context, _parameter: click.Parameter, begun: str) -> Completed:
    """Tasks, behind the last comma too; else files."""
    before, comma, last = begun.rpartition(",")
    from olmes.benchmark.registry import task_names

    return completed((f"{before}{comma}{name}" for name in starting(task_names(), last)), "file")


def suites(_context: click.Context, _parameter: click.Parameter, begun: str) -> Completed:
    """Suites; else files."""
    from olmes.benchmark.registry import suite_names

    return completed(starting(suite_names(), begun), "file")


def suites_and_tasks(_context: click.Context, _parameter: click.Parameter, begun: str) -> Completed:
    """Suites and tasks, behind the last comma too; else files."""
    from olmes.benchmark.registry import suite_names, task_names

    before, comma, last = begun.rpartition(",")
    names = [*suite_names(), *task_names()]
    return completed((f"{before}{comma}{name}" for name in starting(names, last)), "file")


def models(_context: click.Context, _parameter: click.Parameter, begun: str) -> Completed:
    """The embedded model and the beginnings of the others; else folders."""
    names = ("smollm2", "openai:", "replay:", "vllm:")
    return completed(starting(names, begun), "dir")


def recipes(_context: click.Context, _parameter: click.Parameter, begun: str) -> Completed:
    """Recipes of trainings; else files."""
    return completed(starting(stems("trainers/recipes", "*.toml"), begun), "file")


def synthesis_recipes(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> Completed:
    """Recipes of training data that models make; else files."""
    return completed(starting(stems("synthesis/recipes", "*.toml"), begun), "file")


def stems(folder: str, pattern: str) -> list[str]:
    """The names of the files in a folder of the package, without their endings."""
    package = Path(__file__).parents[1]
    places = (package / folder, package.parent / folder)  # installed, and in a checkout
    found = next((place for place in places if place.is_dir()), places[0])
    return sorted(path.stem for path in found.glob(pattern))


def starting(names: Iterable[str], begun: str) -> list[str]:
    """The names that begin so."""
    return [name for name in names if name.startswith(begun)]


def completed(names: Iterable[str], otherwise: str) -> Completed:
    """Names as the shell takes them; what is a path (`file`, `dir`) where none fits."""
    return [CompletionItem(name) for name in names] or [CompletionItem("", type=otherwise)]
