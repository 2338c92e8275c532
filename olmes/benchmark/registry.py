"""Finding tasks and suites by name: bundled ones by file name, third-party ones by entry point.

Names are known without importing anything but what is asked for; those of aliases are read from the
text of the file. A task file ends with `TASK = ...`.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from olmes.errors import OlmesError
from olmes.tools.hashing import sha256
from olmes.tools.near_names import unknown
from olmes.types import Unit

TASKS = "olmes.tasks"
SUITES = "olmes.suites"
PAIRS = "olmes.scoring.preference_pairs"
"""The module that makes a task of a file of preferences."""
PAIR_FILES = (".jsonl", ".jsonl.gz")
TASK_FILES = (".py", *PAIR_FILES)
"""How the files end that can be named as a task."""


@cache
def bundled_folder(package: str) -> Path:
    """Where a bundled content package lies; it is beside the engine in a checkout."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise OlmesError(f"the package {package} is missing; install olmes again.")
    return Path(spec.origin).parent


@cache
def third_party(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name.

    Raises:
        OlmesError: two packages register one name, or one takes a bundled name.
    """
    found: dict[str, EntryPoint] = {}
    bundled = bundled_tasks() if group == TASKS else bundled_suites()
    for entry in entry_points(group=group):
        if entry.name in found or entry.name in bundled:
            raise OlmesError(
                f"'{entry.name}' in the entry-point group {group} ({entry.value}) is taken; "
                "rename it in that package's pyproject.toml."
            )
        found[entry.name] = entry
    return found


@cache
def bundled_tasks() -> dict[str, str]:
    """The bundled tasks: each name, aliases among them, with the module that holds it."""
    found: dict[str, str] = {}
    for path in sorted(bundled_folder(TASKS).glob("[!_]*.py")):
        for name in (path.stem, *declared_aliases(path.read_text("utf-8"))):
            found[name] = f"{TASKS}.{path.stem}"
    return found


def declared_aliases(source: str) -> Iterator[str]:
    """The names in the `aliases` of a task's class, read from the text of its file."""
    if "aliases" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id="aliases")], value=value):
                        yield from dict(ast.literal_eval(value))


@cache
def bundled_suites() -> frozenset[str]:
    """Names of the bundled suites: the TOML files of `suites/`."""
    return frozenset(path.stem for path in bundled_folder(SUITES).glob("*.toml"))


def task_names() -> list[str]:
    """Every task that can be named, sorted."""
    return sorted({*bundled_tasks(), *third_party(TASKS)})


def is_alias(name: str) -> bool:
    """Whether a bundled task has a name before this one."""
    return name in bundled_tasks() and bundled_tasks()[name] != f"{TASKS}.{name}"


def suite_names() -> list[str]:
    """Every suite that can be named, sorted."""
    return sorted(bundled_suites() | set(third_party(SUITES)))


def load_task(name: str) -> Task:
    """A task by name, from a Python file, or of a file of preference pairs.

    Raises:
        OlmesError: there is no such task or file, or the file defines no `TASK`.
    """
    if name.endswith(TASK_FILES):
        return task_from_reference(str(Path(name).resolve()))
    if name in bundled_tasks():
        return called(name, task_from_reference(bundled_tasks()[name]))
    if name in third_party(TASKS):
        return called(name, task_from_reference(third_party(TASKS)[name].module))
    raise OlmesError(
        unknown(
            "task",
            name,
            task_names(),
            "give the path of a task file, or of a file of preference pairs (.jsonl)",
        )
    )


def called(name: str, task: Task) -> Task:
    """The task under `name` where that is one of its aliases, else as it is."""
    return task.alias(name) if name in dict(task.aliases) else task


def task_from_reference(reference: str) -> Task:
    """The `TASK` of a module (`package.module`) or of a file (`/path/to/file.py`).

    A file of preference pairs (`/path/to/file.jsonl`) is a task as well.

    Raises:
        OlmesError: it cannot be imported, or defines no `TASK`.
    """
    if reference.endswith(PAIR_FILES):
        pairs: Task = importlib.import_module(PAIRS).of_file(Path(reference))
        if pairs.name in (*bundled_tasks(), *third_party(TASKS)):
            raise OlmesError(f"{reference}: '{pairs.name}' is a task already; rename the file.")
        pairs.reference = reference
        return pairs
    module = module_from_file(Path(reference)) if reference.endswith(".py") else None
    try:
        module = module or importlib.import_module(reference)
    except ImportError as error:
        raise OlmesError(
            f"the task {reference} cannot be imported ({error}); install what it needs."
        ) from error
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise OlmesError(f"{reference} defines no task; end it with `TASK = YourTask()`.")
    task.reference = reference
    return task


def module_from_file(path: Path) -> ModuleType:
    """The module a Python file holds, imported under a name of its own.

    Raises:
        OlmesError: the file does not exist or cannot be imported.
    """
    if not path.is_file():
        raise OlmesError(f"{path} does not exist; check the path of the task file.")
    name = f"olmes_task_file_{sha256(str(path).encode())[:8]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise OlmesError(
            f"{path} cannot be imported ({type(error).__name__}: {error}); correct the file."
        ) from error
    return module


def load_suite(name: str) -> Suite:
    """A suite by name, or from a TOML file.

    Raises:
        OlmesError: there is no such suite, or the file is not a suite.
    """
    if name.endswith(".toml"):
        return Suite.read(Path(name))
    if name in bundled_suites():
        return Suite.read(bundled_folder(SUITES) / f"{name}.toml")
    if name in third_party(SUITES):
        # An entry point `mine = "package.module:file"` names the TOML file beside that module.
        entry = third_party(SUITES)[name]
        return Suite.read(bundled_folder(entry.module) / f"{entry.attr or name}.toml")
    if name in task_names():
        raise OlmesError(f"'{name}' is a task and no suite; write --task {name}.")
    raise OlmesError(unknown("suite", name, suite_names(), "give the path of a TOML file"))


def members(suite: Suite) -> tuple[Suite, list[Task]]:
    """The tasks of a suite, and the suite with their names where it has paths of task files.

    Raises:
        OlmesError: a task does not exist, or two have one name, or they have no common mean.
    """
    tasks = [load_task(name) for name in suite.tasks]
    names = tuple(task.name for task in tasks)
    if len(set(names)) < len(names):
        raise OlmesError(f"the suite {suite.name} has two tasks of one name; rename one.")
    called = dict(zip(suite.tasks, names, strict=True))
    averaged = None if suite.mean is None else tuple(called.get(one, one) for one in suite.mean)
    check_mean(suite.name, [one for one in tasks if averaged is None or one.name in averaged])
    return dataclasses.replace(suite, tasks=names, mean=averaged), tasks


def check_mean(suite: str, tasks: Sequence[Task]) -> None:
    """Refuse the mean of tasks whose primary metrics differ in unit or direction.

    Raises:
        OlmesError: they do.
    """
    by_kind: dict[tuple[Unit, bool], str] = {}
    for task in tasks:
        metric = next(one for one in task.metrics if one.name == task.primary)
        by_kind.setdefault((metric.unit, metric.higher_is_better), task.name)
    if len(by_kind) > 1:
        kinds = ", ".join(
            f"{name} is a {unit} of which {'more' if higher else 'less'} is better"
            for (unit, higher), name in by_kind.items()
        )
        raise OlmesError(
            f"the suite {suite} has no mean: {kinds}; write `mean = false` into its file, or "
            '`mean = ["TASK", ...]` with tasks of one unit and direction.'
        )


def scorer_hash(task: Task) -> str:
    """16 hex digits over the source of a task and of the scoring modules it imports or names.

    Two runs whose formulations agree but whose scorer hashes differ were scored by different code.

    Raises:
        OlmesError: one of `scoring_modules` does not exist.
    """
    queue = [source_file(name, task) for name in (task.reference, *task.scoring_modules)]
    sources: dict[str, str] = {}
    while queue:
        path = queue.pop()
        if str(path) not in sources:
            sources[str(path)] = path.read_text("utf-8")
            queue.extend(scoring_imports(sources[str(path)]))
    return sha256("\0".join(sources[path] for path in sorted(sources)).encode())[:16]


def source_file(reference: str, task: Task) -> Path:
    """The file of a module (`package.module`), or the file itself (`/path/to/file.py`).

    Raises:
        OlmesError: there is no such module.
    """
    if reference.endswith(".py"):
        return Path(reference)
    if reference.endswith(PAIR_FILES):
        reference = PAIRS
    try:
        spec = importlib.util.find_spec(reference)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise OlmesError(
            f"{task.name}: there is no module {reference}; correct the task's `scoring_modules`."
        )
    return Path(spec.origin)


def scoring_imports(source: str) -> list[Path]:
    """Files of the `olmes.scoring` modules that a source text imports."""
    scoring = Path(__file__).parent.parent / "scoring"
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    found: list[Path] = []
    for name in sorted(names):
        if name.startswith("olmes.scoring."):
            place = scoring.joinpath(*name.split(".")[2:])
            candidates = (place.with_suffix(".py"), place / "__init__.py")
            found.extend(path for path in candidates if path.is_file())
    return found
