"""The signs of arithmetic between tokens, by which short texts differ that have the same tokens.

Tokens know no punctuation, so that "3 - 5" and "3 + 5" have the same. In a long text that says
little; two short ones with different signs ask different things. Where one of the two has no sign at
all, its punctuation was stripped, and the tokens alone are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from olmes.decontamination.tokens import Token

SIGNS = {
    **dict.fromkeys("+＋", "+"),
    **dict.fromkeys("-‐‑‒–−－", "-"),
    **dict.fromkeys("*·×∗⋅✕＊", "*"),
    **dict.fromkeys("/÷∕⁄／", "/"),
    **{sign: sign for sign in "^=<>≤≥≠±√"},
}
"""Signs by the shapes that they are written in."""

Signs = tuple[str, ...]
"""Those before each token of a text; '' before one that is no number and no letter by itself."""


def signs(text: str, tokens: Sequence[Token]) -> Signs:
    """The signs of a text, or of a run of its tokens.

    Before the first token a sign counts that touches it ("-3"): one that stands apart is a bullet.

    Args:
        text: it.
        tokens: as `placed` gives them, some in a row.
    """
    found = []
    for before, token in zip((None, *tokens), tokens, strict=False):
        start = before.end if before else max(0, token.start - 1)
        term = len(token.text) == 1 or any(map(str.isdigit, token.text))
        between = text[start : token.start] if term else ""
        found.append("".join(SIGNS.get(char, "") for char in between).replace("**", "^"))
    return tuple(found)


def same(one: Signs, other: Signs) -> bool:
    """Whether two texts of the same tokens are the same by their signs."""
    return one == other or not any(one) or not any(other)
