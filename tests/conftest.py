"""Fixtures every folder of tests uses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from hypothesis import settings

# One thread: on a shared machine OpenMP's spin-waiting makes small models many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# No test writes into the user's memory of looks, or counts what is in it.
os.environ["OLMES_LOOKS"] = str(Path(tempfile.gettempdir(), f"olmes-looks-{uuid4().hex}"))

# A shell's background job ignores Ctrl-C, and so would every process the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("olmes", deadline=None)
settings.load_profile("olmes")


@pytest.fixture(autouse=True)
def own_looks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test remembers its own looks: stores of two tests hold the same recordings."""
    monkeypatch.setenv("OLMES_LOOKS", str(tmp_path_factory.getbasetemp() / "looks" / uuid4().hex))


def missing(program: str, packages: str) -> NoReturn:
    """Skip what needs a program that is not here; fail in CI, where nobody reads of skips."""
    sentence = f"needs {program}: apt-get install {packages}"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{sentence} (.ci/run does so)", pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """The path of Chromium, which browser tests drive."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return found or missing("Chromium", "chromium")


@pytest.fixture(scope="module")
def chromium(chromium_program: str) -> Iterator[Any]:
    """A real Chromium; a module's own, for Playwright's event loop forbids others while it runs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def postgresql_tools() -> Path:
    """The folder with PostgreSQL's initdb; Debian keeps it off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    return Path(found or missing("PostgreSQL's initdb", "postgresql")).resolve().parent


@pytest.fixture(scope="session")
def bubblewrap_program() -> str:
    """The path of bubblewrap, which sandbox tests run programs in."""
    found = shutil.which("bwrap") or missing("bubblewrap", "bubblewrap")
    tried = subprocess.run(
        [found, "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True, text=True
    )
    if tried.returncode:
        pytest.skip(f"this machine's kernel gives bubblewrap no namespaces: {tried.stderr.strip()}")
    return found


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real benchmark files, laid out as `--data` wants them."""
    if not (SHARED / "data").is_dir():
        pytest.skip(
            "needs the benchmark files in ../shared/data, which are not part of the repository"
        )
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Golden prompts and verdicts made with the reference implementation."""
    if not (SHARED / "reference").is_dir():
        pytest.skip(
            "needs the golden files in ../shared/reference, which are not part of the repository"
        )
    return SHARED / "reference"


@pytest.fixture(scope="session", autouse=True)
def own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers that tests start leave their secrets in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
