"""Where rendered texts agree, and where special tokens stand in them."""

from __future__ import annotations

import re
from typing import Any


def special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """What matches a special token of a tokenizer in a text."""
    added = tokenizer.added_tokens_decoder.values()
    known = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
    known.discard("")
    by_length = sorted(known, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, by_length)) or r"(?!)")


def shared(first: str, second: str) -> int:
    """Characters that two texts have in common at their beginning."""
    if second.startswith(first):
        return len(first)
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def best_match(text: str, prompt: str, limit: int) -> int:
    """The place up to `limit` behind which a text goes on as behind most of the prompt's end."""
    found, most = limit, 0
    key = prompt[-8:]
    backwards = prompt[::-1]
    at = text.find(key)
    while 0 <= at <= limit - len(key):
        here = at + len(key)
        length = shared(text[:here][::-1], backwards)
        if length >= most:
            found, most = here, length
        at = text.find(key, at + 1)
    return found
