"""The lowest versions that may be installed: none with an advisory on what olmes uses."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))[
    "project"
]
EXTRAS = PROJECT["optional-dependencies"]
ADVISORIES = [
    ("aiohttp", "3.13.2", "CVE-2025-69223"),
    ("aiohttp", "3.12.13", "CVE-2025-53643"),
    ("jinja2", "3.1.5", "CVE-2025-27516"),
    ("jinja2", "3.1.4", "CVE-2024-56326"),
    ("requests", "2.32.3", "CVE-2024-47081"),
    ("urllib3", "2.6.2", "CVE-2026-21441"),
    ("urllib3", "2.5.0", "CVE-2025-66471"),
    ("starlette", "0.49.0", "CVE-2025-62727"),
    ("starlette", "1.0.0", "CVE-2026-48710"),
    ("torch", "2.5.1", "CVE-2025-32434"),
    ("ray", "2.51.1", "CVE-2025-62593"),
    ("pyarrow", "14.0.0", "CVE-2023-47248"),
]
"""The last version with each."""


@pytest.mark.parametrize(("name", "version", "advisory"), ADVISORIES)
def test_a_version_with_an_advisory_is_not_admitted(name: str, version: str, advisory: str) -> None:
    declared = [*PROJECT["dependencies"], *EXTRAS["server"], *EXTRAS["ray"]]
    [found] = [one for one in map(Requirement, declared) if one.name == name]
    assert version not in found.specifier, advisory
