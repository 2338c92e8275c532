"""Fixtures every folder of tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# One thread: on a shared machine OpenMP's spin-waiting makes small models many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("olmes", deadline=None)
settings.load_profile("olmes")

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
