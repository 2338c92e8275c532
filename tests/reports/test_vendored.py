"""The libraries that pages carry: the files that were looked at, which reach nothing."""

from __future__ import annotations

import hashlib
import re

import pytest

from olmes.reports.page import HERE

VENDORED = HERE / "assets" / "vendored"
FILES = sorted(path.name for path in VENDORED.iterdir() if path.suffix in {".js", ".css"})


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_the_one_that_was_taken(name: str) -> None:
    (page,) = VENDORED.glob("*.md")
    digest = hashlib.sha256((VENDORED / name).read_bytes()).hexdigest()
    (line,) = re.findall(
        rf"^\| `{re.escape(name)}` \|.*$",
        page.read_text("utf-8"),
        re.MULTILINE,
    )
    assert f"`{digest}`" in line
    (licence,) = re.findall(r"MIT \(`([^`]*)`\)", line)
    assert "Permission is hereby granted" in (VENDORED / licence).read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
def test_a_file_can_stand_inside_a_page_and_reaches_nothing(name: str) -> None:
    text = (VENDORED / name).read_text("utf-8")
    assert not re.search(r"</?(?:script|style)\b", text, re.IGNORECASE)
    assert not re.search(
        r"XMLHttpRequest|\bimport\(|WebSocket|\beval\(|new Function|sourceMapp", text
    )
    assert not re.search(
        r"(?<![.\w])fetch\([^)]|innerHTML|outerHTML|insertAdjacent|document\.write", text
    )
    assert not (name.endswith(".css") and re.search(r"url\(|@import|@font-face", text))
