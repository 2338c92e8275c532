"""The contrast of every pair of colours that the style sheet puts on each other (WCAG 2.2)."""

from __future__ import annotations

import re

import pytest

from olmes.reports.page import asset

TEXT = [
    *((ink, ground) for ink in ("ink", "quiet", "link") for ground in ("ground", "raised")),
    *((verdict, "raised") for verdict in ("right", "wrong", "partly")),
    *((verdict, "chosen") for verdict in ("right", "wrong", "partly", "ink", "quiet")),
    *((verdict, f"{verdict}-ground") for verdict in ("right", "wrong", "partly")),
    ("caution", "caution-ground"),
    ("stop", "stop-ground"),
    ("ink", "partly-ground"),
    ("found", "found-ground"),
    ("hit", "hit-ground"),
    ("ground", "ink"),
]
"""Text on ground: at least 4.5 (AA)."""

GRAPHICS = [
    *(
        (part, ground)
        for part in ("point", "point-other", "edge")
        for ground in ("ground", "raised")
    ),
    ("point", "span"),
    ("point-other", "span-other"),
    ("focus", "ground"),
    ("focus", "raised"),
    ("stop-ground", "ground"),
    ("lost", "ground"),
    *((f"series-{number}", "ground") for number in range(1, 7)),
    ("caution-edge", "ground"),
]
"""Borders of controls, focus and the points of the drawings: at least 3 (AA)."""


def palettes() -> dict[str, dict[str, str]]:
    (block,) = re.findall(r"^:root \{([^}]*)\}", asset("report.css"), re.MULTILINE)
    pairs = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", block)
    assert len(pairs) == block.count("--")
    return {
        "light": {name: light for name, light, _ in pairs},
        "dark": {name: dark for name, _, dark in pairs},
    }


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(theme: str, ink: str, ground: str) -> None:
    palette = palettes()[theme]
    assert contrast(palette[ink], palette[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("part", "ground"), GRAPHICS)
def test_drawings_can_be_seen(theme: str, part: str, ground: str) -> None:
    palette = palettes()[theme]
    assert contrast(palette[part], palette[ground]) >= 3.0


def test_no_colour_is_named_outside_the_palettes() -> None:
    rest = re.sub(r":root \{[^}]*\}", "", asset("report.css"))
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", rest) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_right_and_wrong_differ_for_the_colour_blind(theme: str) -> None:
    # Blue against orange: told apart by the blue channel, which red-green blindness leaves alone.
    palette = palettes()[theme]
    right, wrong = (int(palette[verdict][5:7], 16) for verdict in ("right", "wrong"))
    assert right - wrong > 100
