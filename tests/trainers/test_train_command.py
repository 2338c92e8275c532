"""What `olmes train` refuses before it does anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from olmes.cli import main


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What `olmes` prints last of a command that it refuses."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_chain_says_at_once_that_its_packages_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "trl" else find(name, *more),
    )
    monkeypatch.chdir(tmp_path)
    assert "training needs trl" in said(["train", "chain", "demo"], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_recipe_is_answered_with_the_one_that_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "did you mean small-sft" in said(["train", "sft", "smal-sft"], capsys)
