"""What a response says aloud: what stands behind the part it marks as thought.

A run takes the thought out before any scorer sees the response (`olmes.reasoning.split`). What is left
to do here is the honest metrics' own care: marks that stand elsewhere in a text.
"""

from __future__ import annotations

import re

from olmes.reasoning.families import FAMILIES, SHARED, WORDS, exactly

TAGS = [family for family in FAMILIES if family.name not in (*WORDS, *SHARED)]
OPENING = re.compile("|".join(exactly(family.opening) for family in TAGS))
CLOSING = re.compile("|".join(exactly(family.closing) for family in TAGS))


def spoken(text: str) -> str | None:
    """What follows the last closed thought of a response; None where a thought is never closed.

    The opening mark may be missing: some chat templates write it into the prompt.
    """
    after = 0
    for closing in CLOSING.finditer(text):
        after = closing.end()
    return None if OPENING.search(text, after) else text[after:]
