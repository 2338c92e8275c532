"""A suite under seal on recorded responses, and a store with two looks at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from olmes import Record, evaluate
from olmes.benchmark import registry
from olmes.cli import olmes as group
from olmes.seal.verify import verify
from tests.olmes.seal.exam_commands import HASH

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench


@pytest.fixture
def exam(echo: EchoBench, tmp_path: Path) -> Path:
    """The echo task as the one member of a held-out suite."""
    suite = tmp_path / "exam.toml"
    suite.write_text(f'name = "exam"\ntasks = ["{echo.task}"]\nheld_out = true\n', "utf-8")
    return suite


@pytest.fixture
def take_exam(echo: EchoBench, exam: Path) -> Callable[..., Record]:
    """`take_exam(out, look, **options)`: run the suite under seal."""

    def run(out: Path, look: str = "final", **options: Any) -> Record:
        return evaluate(
            str(exam),
            model=f"replay:{echo.recording}",
            data=echo.data,
            out=out,
            look=look,
            scoring_processes=1,
            **options,
        )

    return run


@pytest.fixture
def store(take_exam: Callable[..., Record], tmp_path: Path) -> Path:
    """A store with two looks and their results, untouched."""
    take_exam(tmp_path / "runs", limit=5)
    take_exam(tmp_path / "runs", "once more")
    assert verify(tmp_path / "runs") == []
    return tmp_path / "runs"


@pytest.fixture
def installed(
    echo: EchoBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EchoBench]:
    """The echo bench with a held-out suite on its data, installed as another package's would be."""
    package = tmp_path / "site/lab_exams"
    package.mkdir(parents=True)
    source = echo.task.read_text("utf-8").replace('content_hash=""', f'content_hash="{HASH}"')
    (package / "exam_words.py").write_text(source.replace('"echo"', '"exam_words"'), "utf-8")
    (package / "__init__.py").write_text("")
    (package / "exam.toml").write_text(
        'name = "exam"\ntasks = ["exam_words"]\nheld_out = true\n', "utf-8"
    )
    told = tmp_path / "site/lab_exams-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-exams\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        "[olmes.suites]\nexam = lab_exams:exam\n"
        "[olmes.tasks]\nexam_words = lab_exams.exam_words:TASK\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLMES_OFFLINE", "1")
    for known in (registry.third_party, registry.bundled_folder):
        known.cache_clear()
    yield echo
    monkeypatch.undo()
    for known in (registry.third_party, registry.bundled_folder):
        known.cache_clear()


@pytest.fixture
def olmes(installed: EchoBench) -> Callable[..., str]:
    """`olmes(COMMAND, ARGUMENTS...)` on the bench's data: what it printed; refusals are raised."""

    def call(*arguments: object) -> str:
        further = [] if "--data" in arguments else ["--data", installed.data]
        result = CliRunner().invoke(
            group, [str(one) for one in (*arguments, *further)], standalone_mode=False
        )
        if result.exception:
            raise result.exception
        return result.output

    return call
