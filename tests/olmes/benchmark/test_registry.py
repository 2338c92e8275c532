"""Finding tasks and suites: bundled, from a file, and brought by another package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from olmes import OlmesError
from olmes.benchmark import registry
from olmes.benchmark.suite import Suite
from olmes.benchmark.task import Task
from tests.known import known
from tests.olmes.edge_runs import Bench

ECHO = Path(__file__).parent.parent / "files/echo_task.py"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Names are looked up once a process; these tests change what there is to find."""
    registry.third_party.cache_clear()
    yield
    registry.third_party.cache_clear()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, entries: str) -> None:
    """Lay a package out as pip does: a module, a suite and the metadata that names them."""
    (folder / f"{name}.py").write_text(ECHO.read_text("utf-8"), "utf-8")
    (folder / "mine.toml").write_text('title = "Mine"\ntasks = ["theirs"]\n', "utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(entries, "utf-8")
    monkeypatch.syspath_prepend(str(folder))


def test_names_are_known_without_importing_any_task() -> None:
    import subprocess

    code = (
        "import sys; from olmes.benchmark import registry; names = registry.task_names();"
        "assert 'gsm8k' in names and 'olmes.tasks.gsm8k' not in sys.modules;"
        "assert not {'torch', 'transformers', 'datasets', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_olmes_and_every_task_stays_light() -> None:
    import subprocess

    code = (
        "import sys, olmes; from olmes.benchmark import registry;"
        "[registry.load_task(name) for name in registry.task_names()];"
        "heavy = {'torch', 'transformers', 'datasets', 'sympy', 'nltk', 'numpy', 'lm_eval'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_suite_names_tasks_that_exist() -> None:
    for name in registry.suite_names():
        for task in registry.load_suite(name).tasks:
            assert registry.load_task(task).name == task


def test_file_name_and_task_name_agree() -> None:
    for name in registry.task_names():
        task = registry.load_task(name)
        assert task.name == name
        assert task.primary in {metric.name for metric in task.metrics}
        assert task.standard


def test_aliases_are_known_by_name_and_are_tasks_of_their_own() -> None:
    first, other = registry.load_task("ifeval_ood"), registry.load_task("ifbench")
    assert registry.bundled_tasks()["ifbench"] == "olmes.tasks.ifeval_ood"
    assert (other.name, other.title) == ("ifbench", "IFBench")
    assert first.name == "ifeval_ood"
    assert other.formulation_hash != first.formulation_hash
    assert other.with_settings({"compat": "reference"}).name == "ifbench"
    assert registry.scorer_hash(other) == registry.scorer_hash(first)
    with pytest.raises(OlmesError, match="has no alias 'ifbend'"):
        first.alias("ifbend")


def test_the_names_read_from_the_files_are_those_the_tasks_declare() -> None:
    for name, module in registry.bundled_tasks().items():
        task = registry.task_from_reference(module)
        assert name in (task.name, *dict(task.aliases))


def test_another_package_names_each_alias_in_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = "[olmes.tasks]\nparrot = parrots\nloud = parrots\n"
    install(tmp_path, monkeypatch, "parrots", entries)
    source = (tmp_path / "parrots.py").read_text("utf-8")
    title = 'title = "Echo"\n'
    source = source.replace(title, f'{title}    aliases = (("loud", "Loud echo"),)\n')
    (tmp_path / "parrots.py").write_text(source, "utf-8")
    assert registry.load_task("loud").title == "Loud echo"
    assert registry.load_task("parrot").name == "echo"


def test_another_package_brings_tasks_and_suites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = "[olmes.tasks]\ntheirs = theirpackage\n[olmes.suites]\nmine = theirpackage:mine\n"
    install(tmp_path, monkeypatch, "theirpackage", entries)
    assert "theirs" in registry.task_names()
    assert registry.load_task("theirs").title == "Echo"
    assert registry.load_suite("mine").tasks == ("theirs",)


def test_a_package_cannot_take_a_bundled_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "rivalpackage", "[olmes.tasks]\ngsm8k = rivalpackage\n")
    with pytest.raises(OlmesError, match="'gsm8k'.*is taken; rename it"):
        registry.task_names()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nothing.py", None, "does not exist"),
        ("broken.py", "def (", "cannot be imported"),
        ("empty.py", "x = 1", "defines no task"),
    ],
)
def test_a_bad_task_file_is_one_clear_sentence(
    tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(OlmesError, match=words):
        registry.load_task(str(tmp_path / name))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(OlmesError, match="no task 'gsm9k'; did you mean gsm8k"):
        registry.load_task("gsm9k")
    with pytest.raises(OlmesError, match="no task 'xyz'; choose one of .*gsm8k"):
        registry.load_task("xyz")
    with pytest.raises(OlmesError, match="no suite 'def'; did you mean dev"):
        registry.load_suite("def")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tasks = [", "not TOML"),
        ("tasks = []", "list of different task names"),
        ('tasks = ["a", "a"]', "list of different task names"),
        ('tasks = ["a"]\ncolour = 1', "unknown key 'colour'"),
        ('tasks = ["a"]\naggregate = "max"', '"mean"'),
        ('tasks = ["a"]\nmean = ["b"]', "`mean` must be false"),
        ('tasks = ["a"]\nmean = []', "`mean` must be false"),
        ('tasks = ["a"]\nmean = "a"', "`mean` must be false"),
    ],
)
def test_a_bad_suite_file_is_one_clear_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(OlmesError, match=words):
        Suite.read(path)


def mixed_suite(tmp_path: Path, mean: str, **loss: Any) -> str:
    """A suite of two tasks of shares and one that is something else."""
    bench = Bench(tmp_path)
    tasks = [bench.task("one", 9), bench.task("two", 9), bench.task("loss", 9, **loss)]
    path = bench.suite("mixed", [Path(task).name for task in tasks])
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(mean)
    return path


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"higher": False, "unit": "number"}, "loss is a number of which less is better"),
        ({"higher": False}, "loss is a share of which less is better"),
        ({"unit": "number"}, "loss is a number of which more is better"),
    ],
)
def test_a_suite_of_two_kinds_is_refused_unless_it_says_what_its_mean_is_of(
    tmp_path: Path, loss: dict[str, Any], words: str
) -> None:
    for mean in ("", "mean = true\n", 'mean = ["one_task.py", "loss_task.py"]\n'):
        suite = registry.load_suite(mixed_suite(tmp_path, mean, **loss))
        with pytest.raises(OlmesError, match=f"mixed has no mean: .*{words}; write `mean = false`"):
            registry.members(suite)
    some = registry.load_suite(
        mixed_suite(tmp_path, 'mean = ["one_task.py", "two_task.py"]\n', **loss)
    )
    assert registry.members(some)[0].mean == ("one", "two")
    none = registry.load_suite(mixed_suite(tmp_path, "mean = false\n", **loss))
    assert registry.members(none)[0].mean == ()


def test_a_run_of_such_a_suite_has_the_mean_it_names_or_none(tmp_path: Path) -> None:
    loss = {"higher": False, "unit": "number"}
    values: dict[str, Sequence[float | str]] = {
        "one": [1.0] * 9, "two": [0.0] * 9, "loss": [2.0] * 9,
    }  # fmt: skip
    some = mixed_suite(tmp_path / "a", 'mean = ["one_task.py", "two_task.py"]\n', **loss)
    run = Bench(tmp_path / "a").run("m", some, values).run
    assert (known(run.suite).value, known(run.suite).mean) == (0.5, ["one", "two"])
    assert known(run.suite).complete
    none = mixed_suite(tmp_path / "b", "mean = false\n", **loss)
    run = Bench(tmp_path / "b").run("m", none, values).run
    assert (known(run.suite).value, known(run.suite).mean) == (None, [])
    assert known(run.suite).complete


def test_scorer_hash_follows_the_code_that_judges(tmp_path: Path) -> None:
    source = ECHO.read_text("utf-8")
    hashes = []
    for number, text in enumerate((source, source, source.replace("== doc", "!= doc"))):
        path = tmp_path / f"task{number}.py"
        path.write_text(text, "utf-8")
        hashes.append(registry.scorer_hash(registry.load_task(str(path))))
    assert hashes[0] == hashes[1] != hashes[2]


def test_scorer_hash_covers_the_modules_a_task_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = ECHO.read_text("utf-8")
    title = 'title = "Echo"\n'
    named = source.replace(title, f'{title}    scoring_modules = ("judges_helper",)\n')
    (tmp_path / "task.py").write_text(named, "utf-8")
    task = registry.load_task(str(tmp_path / "task.py"))
    with pytest.raises(OlmesError, match="echo: there is no module judges_helper"):
        registry.scorer_hash(task)
    hashes = set()
    for text in ("x = 1", "x = 2"):
        (tmp_path / "judges_helper.py").write_text(text, "utf-8")
        importlib.invalidate_caches()
        hashes.add(registry.scorer_hash(task))
    assert len(hashes) == 2


def test_a_judged_tasks_hash_covers_the_encoder() -> None:
    task: Task = registry.load_task("href")
    assert task.scoring_modules == ("olmes.judging.similarity",)
    assert registry.source_file("olmes.judging.similarity", task).is_file()
