"""Text in the cells of Markdown and LaTeX tables: it is read as it is, whatever is in it."""

from __future__ import annotations

from collections.abc import Sequence

from olmes.tools.visible_text import one_line

LATEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
        # Signs for control characters, which few fonts have.
        **{chr(0x2400 + code): rf"\textbackslash{{}}x{code:02x}" for code in range(0x20)},
    }
)  # fmt: skip
LATEX_SIGNS = {
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "→": r"$\to$",
    "↓": r"$\downarrow$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "−": "$-$",
}
LATEX_LETTERS = frozenset(map(chr, range(0xA0, 0x180))) | frozenset("–—‘’“”…€™")
"""What `pdflatex` sets beyond ASCII without a further package."""
MARKDOWN_SPECIAL = str.maketrans(
    {
        "\\": "\\\\",
        "|": r"\|",
        "<": "&lt;",
        "&": "&amp;",
        "[": r"\[",
        "]": r"\]",
        "`": r"\`",
        "*": r"\*",
    }
)
"""What would end a cell, or be a tag, a link or code where a name should be read."""


def row_of(texts: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(texts) + " |"


def markdown_text(text: str) -> str:
    """Text that a Markdown reader shows as it is, in one line."""
    return one_line(text).translate(MARKDOWN_SPECIAL)


def latex_text(text: str) -> str:
    """Text that LaTeX sets as it is, in one line; signs that `pdflatex` lacks by number, `U+4E2D`."""
    text = one_line(text).translate(LATEX_SPECIAL)
    return "".join(
        sign if sign.isascii() else LATEX_SIGNS.get(sign) or latex_letter(sign) for sign in text
    )


def latex_letter(sign: str) -> str:
    """One sign beyond ASCII."""
    return sign if sign in LATEX_LETTERS else f"U+{ord(sign):04X}"


def latex_row(texts: Sequence[str]) -> str:
    """A row of a LaTeX table, which does not begin with what the row before would take for its own."""
    guard = "{}" if texts[0].startswith(("[", "*")) else ""
    return guard + " & ".join(texts) + r" \\"
