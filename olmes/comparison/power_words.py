"""What a comparison without a verdict could have shown, in words."""

from __future__ import annotations

from olmes.stats import PairedDifference


def power_words(difference: PairedDifference) -> str:
    """How large a difference must be for the items to show it, and how many items this one needs."""
    scale, unit = (100, " points") if difference.is_share else (1, "")
    items = "1 item" if difference.n == 1 else f"{difference.n:,} items"
    least = difference.detectable
    if least is None or (difference.is_share and least >= 1):
        words = f"too few items ({difference.n}) to show any difference"
    else:
        words = f"{items} show a difference of {scale * least:.1f}{unit} 4 times in 5"
    if difference.needed:
        size = scale * abs(difference.difference)
        words += f"; one of {size:.1f} needs about {difference.needed:,}"
    return words
