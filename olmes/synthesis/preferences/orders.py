"""In which order a judge sees the texts of a prompt: drawn by seed, and rotated from aspect to aspect.

With as many aspects as texts each text stands once in each place, so that what the place does to a
rating can be told from what the text does.
"""

from __future__ import annotations

from olmes.synthesis.draws import draw


def drawn_order(seed: int, prompt: str, judge: str, count: int) -> list[int]:
    """The texts' order for one judge before it is rotated: numbers of texts by place.

    Args:
        seed: the recipe's.
        prompt: id of the prompt.
        judge: name of the judge.
        count: texts.
    """
    order = list(range(count))
    draw(seed, "order", prompt, judge).shuffle(order)
    return order


def rotated(order: list[int], by: int) -> list[int]:
    """The order with every text `by` places further on, the last ones in front."""
    shift = by % len(order)
    return order[-shift:] + order[:-shift] if shift else list(order)
