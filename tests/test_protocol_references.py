"""What code and docs cite is in the repository: sections of the protocol's page, and pages at all."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.headings import anchors

ROOT = Path(__file__).parents[1]
PROTOCOL = ROOT / "docs/protocol.md"
FOLDERS = ("bench", "docs", "olmes", "reports", "suites", "tasks", "tests", "trainers")
SUFFIXES = (".css", ".jinja", ".js", ".md", ".py", ".toml")

NUMBER = r"\d+(?:\.\d+)*"
HEADING = re.compile(rf"^#{{2,4}} (({NUMBER})\.? .*)$", re.MULTILINE)
CITED = re.compile(rf"docs/protocol\.md, sections? ({NUMBER}(?:(?:, | and | to ){NUMBER})*)")
PAGE = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)*[\w-]+\.md\b")
WRITTEN = ("card.md", "mix.md", "board.md", "x.md")
"""Files that a command writes, which the docs and tests name."""
# A sentence may go on in the next line of a comment.
LINE_BREAK = re.compile(r"\s*\n\s*(?:#|//|\*)?\s*")


@cache
def files() -> dict[str, str]:
    """The text of every file of the repository that somebody writes, by its path."""
    found = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    for folder in FOLDERS:
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted(found)}


def sections() -> set[str]:
    """The numbers of the page's sections."""
    return {number for _, number in HEADING.findall(PROTOCOL.read_text("utf-8"))}


def cited_sections(text: str) -> set[str]:
    """The sections of the protocol's page that a text cites."""
    joined = LINE_BREAK.sub(" ", text)
    return {number for cited in CITED.findall(joined) for number in re.findall(NUMBER, cited)}


def is_here(page: str, path: str) -> bool:
    """Whether a page that a file cites is in the repository."""
    if page in WRITTEN:
        return True
    folders = (ROOT, ROOT / "docs", (ROOT / path).parent)
    targets = ((folder / page).resolve() for folder in folders)
    return any(target.is_relative_to(ROOT) and target.is_file() for target in targets)


def test_every_cited_section_is_a_heading() -> None:
    cited = {path: cited_sections(text) for path, text in files().items()}
    missing = {path: found - sections() for path, found in cited.items() if found - sections()}
    assert not missing
    assert sum(map(bool, cited.values())) > 25


def test_section_numbers_are_not_given_twice() -> None:
    numbers = [number for _, number in HEADING.findall(PROTOCOL.read_text("utf-8"))]
    assert len(numbers) == len(set(numbers))


def test_every_link_into_the_page_leads_to_a_heading() -> None:
    linked = {
        (path, anchor)
        for path, text in files().items()
        for anchor in re.findall(r"\]\((?:docs/)?protocol\.md#([^)]+)\)", text)
    }
    assert {anchor for _, anchor in linked} <= anchors(PROTOCOL), linked


def test_every_cited_page_is_in_the_repository() -> None:
    missing = [
        f"{path}: {page}"
        for path, text in files().items()
        for page in PAGE.findall(text)
        if not is_here(page, path)
    ]
    assert not missing


def test_no_page_is_cited_that_has_no_file() -> None:
    """By "page" and its subject, as earlier comments did, instead of by its file."""
    name = re.compile(r"\bprotocol" + r" page\b")
    assert not [path for path, text in files().items() if name.search(text)]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("(docs/protocol.md, section 4.6.1, `count:*`).", {"4.6.1"}),
        ("docs/protocol.md, sections 4.0 to 4.3, say", {"4.0", "4.3"}),
        ("# as docs/protocol.md,\n    # section 2.2 and so on", {"2.2"}),
        ("Tülu 3, section 7.3", set()),
    ],
)
def test_citations_are_found(text: str, cited: set[str]) -> None:
    assert cited_sections(text) == cited
