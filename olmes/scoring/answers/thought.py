"""What a response says aloud: what stands behind the part it marks as thought."""

from __future__ import annotations

import re

NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think"
# A title may be <<Think>>, and something to be filled in [think].
OPENING = re.compile(
    rf"(?<!<)<(?:{NAMES})>(?!>)|◁think▷|(?-i:\[THINK\])|<\|(?:begin_of_thought|START_THINKING)\|>",
    re.IGNORECASE,
)
CLOSING = re.compile(
    rf"</(?:{NAMES})>|◁/think▷|\[/THINK\]|<\|(?:end_of_thought|END_THINKING)\|>", re.IGNORECASE
)


def spoken(text: str) -> str | None:
    """What follows the last closed thought of a response; None where a thought is never closed.

    The opening mark may be missing: some chat templates write it into the prompt.
    """
    after = 0
    for closing in CLOSING.finditer(text):
        after = closing.end()
    return None if OPENING.search(text, after) else text[after:]
