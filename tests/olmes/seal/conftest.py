"""A suite under seal on recorded responses, and a store with two looks at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from olmes import Record, evaluate
from olmes.seal.verify import verify

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
