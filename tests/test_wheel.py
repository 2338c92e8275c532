"""The wheel in an environment without the source: all files are in it, and the commands run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
PLACES = SETUPTOOLS["package-dir"]
"""Folders of the repository by the package that they are."""
LINKS = {"tasks", "suites", "reports", "trainers"}
"""Of these names `olmes` has links to the folders at the top, which are packages of their own."""

pytestmark = pytest.mark.slow


def committed(folder: str) -> set[str]:
    """Files under a folder that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name for name in listed.stdout.splitlines() if not (ROOT / name).is_symlink()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by pip from a copy of what git knows."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout, which says what belongs to the project")
    source = tmp_path_factory.mktemp("source")
    top = {PLACES[package] for package in PLACES} | {"pyproject.toml", "README.md", "LICENSE"}
    for name in sorted(name for one in top for name in committed(one)):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    into = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, str(into), str(source)], check=True)
    [found] = into.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`olmes` of an environment with the wheel; what it depends on is this environment's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    # pip takes what is on the path for installed.
    subprocess.run([*pip, str(wheel)], env=apart(), check=True)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # A folder named so brings its packages, and not the link to the source that lies in it.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "olmes"


def apart() -> dict[str, str]:
    """The environment without the path on which the source may be found."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def olmes(program: Path, folder: Path, *words: str, status: int = 0) -> str:
    """What a command prints in a folder, far from the source."""
    done = subprocess.run(
        [str(program), *words], cwd=folder, env=apart(), capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def test_every_file_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    for package, place in PLACES.items():
        for name in committed(place):
            inside = Path(name).relative_to(place)
            if inside.parts[0] not in LINKS or package != "olmes":
                expected.add("/".join([*package.split("."), *inside.parts]))
    assert expected - names == set()


def test_the_commands_run_without_the_source(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [installed.with_name("python"), "-c", "import olmes; print(olmes.__file__)"],
        cwd=tmp_path, env=apart(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(installed.parents[1]) in where
    demo: dict[str, Any] = json.loads(olmes(installed, tmp_path, "demo", "--no-live", "--json"))
    first, second = demo["runs"][:2]
    assert "gsm8k" in olmes(installed, tmp_path, "list")
    assert "So the answer is" in olmes(installed, tmp_path, "show", "gsm8k", "--docs", "0")
    assert "small-sft" in olmes(installed, tmp_path, "train", "sft", "small-sft", "--show")
    assert "gsm8k" in olmes(installed, tmp_path, "data", "list")
    olmes(installed, tmp_path, "compare", first, second, "-o", "comparison.html")
    olmes(installed, tmp_path, "report", first, "-o", "page.html")
    olmes(installed, tmp_path, "report", "demo/runs", "--as", "leaderboard", "-o", "board.csv")
    for name in ("comparison.html", "page.html", "board.csv"):
        assert (tmp_path / name).stat().st_size > 1000, name
    samples = f"{first}/samples/gsm8k.jsonl.gz"
    sample = samples if (tmp_path / samples).exists() else samples.removesuffix(".gz")
    assert "gsm8k" in olmes(installed, tmp_path, "score", "--task", "gsm8k", sample)
