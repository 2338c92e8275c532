"""The loose verdict: the protocol's eight readings, never below the strict verdict."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from olmes.scoring.constraints.base import loose_variants
from olmes.scoring.constraints.ifeval.instructions import IFEVAL
from olmes.scoring.constraints.judging import judge

# Text made of what the checks look for.
PIECES = st.sampled_from(
    [*'*"\n,.-[]<> ', "\n\n", "***", "******", "<<a>>", "P.S.", "Section 1", "- a", "* b", "a", "B",
     "the garden", "My answer is yes.", "{}", "```", "7", "é", "\0", "\ud800", "\x85", "\u2028"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def eight_readings(text: str) -> list[str]:
    """docs/protocol.md, section 3.9, word by word."""
    lines = text.split("\n")
    whole = [
        text,
        "\n".join(lines[1:]).strip(),
        "\n".join(lines[:-1]).strip(),
        "\n".join(lines[1:-1]).strip(),
    ]
    return whole + [reading.replace("*", "") for reading in whole]


@given(TEXTS)
def test_the_readings_are_the_protocols(text: str) -> None:
    assert set(loose_variants(text)) == set(eight_readings(text))
    assert len(set(loose_variants(text))) == len(loose_variants(text))


@given(TEXTS, st.sampled_from(sorted(IFEVAL.kinds)), st.integers(0, 9))
def test_loose_is_one_of_the_readings_and_never_below_strict(
    text: str, id_: str, seed: int
) -> None:
    constraint = IFEVAL.kinds[id_].draw(Random(seed), "the garden")
    part = judge([constraint], text)[0]
    assert part["strict"] == (bool(text.strip()) and constraint.check(text))
    assert part["loose"] == any(
        reading.strip() and constraint.check(reading) for reading in eight_readings(text)
    )
    assert part["loose"] >= part["strict"]
