"""Exemplars out of a wheel where the package that holds them is not installed."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import Any

import pytest

from olmes.benchmark.exemplars import FETCHED, package_file
from olmes.errors import OlmesError
from olmes.tasks import gsm8k

PATH = "tasks/gsm8k/gsm8k-cot.yaml"
CONTENT = package_file("lm_eval", PATH).read_bytes()
EXPECTED = gsm8k.worked_examples()


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """lm-eval as if it were not installed, an empty cache, and an index that is a folder."""
    found = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> Any:
        return None if name == "lm_eval" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    monkeypatch.setenv("OLMES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def wheel_of(content: bytes, folder: Path) -> None:
    """A wheel of lm-eval's name and pinned version with one file of it, as pip takes them."""
    version = FETCHED["lm_eval"].split("==")[1]
    about = f"lm_eval-{version}.dist-info"
    with zipfile.ZipFile(folder / f"lm_eval-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"lm_eval/{PATH}", content)
        wheel.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: lm_eval\nVersion: {version}\n"
        )
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def test_exemplars_come_out_of_the_wheel_and_are_fetched_once(
    not_installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel_of(CONTENT, not_installed)
    for fetched in (1, 0):
        gsm8k.worked_examples.cache_clear()
        assert gsm8k.worked_examples() == EXPECTED
        assert capsys.readouterr().err.count("fetching") == fetched


def test_a_changed_wheel_is_no_exemplar(not_installed: Path) -> None:
    wheel_of(b"fewshot_config:\n  samples:\n  - {question: a, target: b}\n", not_installed)
    gsm8k.worked_examples.cache_clear()
    with pytest.raises(OlmesError, match="have changed"):
        gsm8k.worked_examples()


def test_what_cannot_be_fetched_is_said_with_the_remedy(not_installed: Path) -> None:
    with pytest.raises(OlmesError, match=r"pip install --no-deps lm-eval==0\.4\.13"):
        package_file("lm_eval", PATH)
    assert not list(not_installed.parent.glob("cache/wheels/*/*.whl"))
