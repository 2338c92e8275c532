"""`olmes show` prints a task's requests without a model's files, unless a model is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest
from click.testing import CliRunner

from olmes.cli.show import command
from olmes.models import spec

if TYPE_CHECKING:
    from tests.olmes.conftest import EchoBench


def test_no_model_is_loaded_unless_one_is_named(
    echo: EchoBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def load(name: str, **_: object) -> NoReturn:
        asked.append(name)
        raise LookupError("a model was asked for")

    monkeypatch.setattr(spec, "load_model", load)
    arguments = [str(echo.task), "--data", str(echo.data), "--docs", "3"]
    shown = CliRunner().invoke(command, arguments)
    assert shown.exit_code == 0, shown.output
    assert asked == []
    for expected in ("Say word3.", "max_tokens 4", "gold 'word3'", "--model NAME shows the text"):
        assert expected in shown.output
    named = CliRunner().invoke(command, [*arguments, "--model", "smollm2"])
    assert asked == ["smollm2"]
    assert isinstance(named.exception, LookupError)
