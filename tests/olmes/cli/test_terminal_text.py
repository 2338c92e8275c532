"""What a model or a data set wrote is shown on the terminal and steers nothing there."""

from __future__ import annotations

import io

import pytest

from olmes.cli.tables import PlainConsole, blank_table

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "back\b\b\b\bfront",
    "over\rwritten",
    "\x9b31mC1",
    "turned \u202egnp.exe\u202c around",
    "[bold]markup[/bold] [link=http://example.org]x[/link]",
    "\x00null\x7fdelete",
    "marks \u200e\u200f\u061c",
    "lone \ud800 surrogate",
]


def printed(*objects: object) -> str:
    stream = io.StringIO()
    screen = PlainConsole(
        file=stream, force_terminal=True, color_system="truecolor", width=200, markup=False,
        highlight=False,
    )  # fmt: skip
    for one in objects:
        screen.print(one, soft_wrap=True)
    return stream.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["line", "cell"])
def test_text_steers_nothing(text: str, place: str) -> None:
    table = blank_table("one", "two")
    table.add_row(text, "x")
    table.border_style = table.header_style = ""
    shown = printed(text if place == "line" else table)
    for character in "\x07\x08\r\x9b\u202e\u202c\x00\x7f\u200e\u200f\u061c\ud800":
        assert character not in shown
    if "\x1b" in text:
        # The escape is there to be read, and none of the model's own is there to act.
        assert "\u241b" in shown
        assert "\x1b[31m" not in shown
        assert "\x1b]" not in shown


def test_lines_and_letters_stay() -> None:
    assert printed("a\n b ünï 日本 👩‍👩‍👧") == "a\n b ünï 日本 👩‍👩‍👧\n"


def test_a_line_of_a_megabyte_is_printed_whole() -> None:
    assert len(printed("x" * 1_000_000)) == 1_000_001
