r"""LaTeX commands and groups in plain notation: `\frac{a}{b}` is `((a)/(b))`, `\le` is `<=`.

Reads from left to right, once; what it does not know it refuses.
"""

from __future__ import annotations

import re

from olmes.scoring.expressions.expression import UnreadableExpressionError
from olmes.scoring.expressions.implied import GREEK, OF_PRODUCTS

MOST_DEPTH = 30
COMMANDS = {
    **{name: f" {name} " for name in (*GREEK, *OF_PRODUCTS, "pi")},
    **{f"var{name}": f" {name} " for name in ("epsilon", "theta", "phi")},
    **dict.fromkeys(("rm", "bf", "it", "sf", "tt", "cal", "nolimits", "displaystyle"), " "),
    **dict.fromkeys(
        ("tiny", "small", "normalsize", "large", "Large", "LARGE", "huge", "Huge"), " "
    ),
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "pm": "±",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "ne": "≠",
    "neq": "≠",
    "approx": "≈",
    "in": "∈",
    "cup": "∪",
    "infty": " oo ",
    "emptyset": "∅",
    "varnothing": "∅",
    "lbrace": "{",
    "rbrace": "}",
    "langle": "(",
    "rangle": ")",
    "checkmark": " ",
    "lbrack": "[",
    "rbrack": "]",
    "colon": ":",
    "ldots": "...",
    "dots": "...",
    "over": "¦over¦",
    "{": "{",
    "}": "}",
    "%": "%",
    "#": "#",
    "_": "_",
    "&": "&",
}
OVER = COMMANDS["over"]
UNWRAPPED = (
    *("text", "textbf", "textit", "textrm", "mathrm", "mathbf", "mathit", "boxed", "fbox"),
    *("mathsf", "operatorname", "mbox", "bm", "boldsymbol", "texttt", "mathtt", "emph"),
    *("textsf", "textnormal", "textup", "hbox", "pmb", "mathnormal", "underline", "overline"),
    *("bar", "vec", "hat", "mathbb", "mathcal", "bold", "framebox", "ensuremath", "tag"),
)
COLOURS = ("color", "textcolor", "colorbox")
FRACTIONS = ("frac", "dfrac", "tfrac", "cfrac")
BINOMIALS = ("binom", "dbinom", "tbinom")
LATEX = re.compile(r"\\([a-zA-Z]+|.)|([\^_]?)\{|(\})|(\^)", re.DOTALL)


def without_latex(text: str) -> str:
    """`text` with its LaTeX commands and groups in plain notation.

    Raises:
        UnreadableExpressionError: nested too deeply, the braces do not match, or a command is not
            known.
    """
    return _Reader(text).until_end()


class _Reader:
    """Reads LaTeX from left to right; each method returns plain notation."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def until_end(self) -> str:
        found = self._sequence()
        if self.at < len(self.text):
            raise UnreadableExpressionError("a brace that was never opened")
        return found

    def _sequence(self) -> str:
        """Everything up to a closing brace or the end."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise UnreadableExpressionError(f"nested deeper than {MOST_DEPTH}")
        parts: list[str] = []
        while token := LATEX.search(self.text, self.at):
            parts.append(self.text[self.at : token.start()])
            if token[3]:
                self.at = token.start()
                break
            self.at = token.end()
            if token[1]:
                parts.append(self._command(token[1]))
            elif token[4]:
                parts.append("**")
            else:
                parts.append(self._group(token[2]))
        else:
            parts.append(self.text[self.at :])
            self.at = len(self.text)
        self.depth -= 1
        above, over, below = "".join(parts).partition(OVER)
        return f"(({above})/({below}))" if over else above

    def _group(self, before: str) -> str:
        """The rest of a group that `{`, `^{` or `_{` opened."""
        inner = self._sequence()
        if self.at >= len(self.text):
            raise UnreadableExpressionError("a brace that is never closed")
        self.at += 1
        return {"^": f"**({inner})", "_": f"_{inner.strip()}"}.get(before, f"{{{inner}}}")

    def _argument(self) -> str:
        """A group, or the next character or command."""
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1
        following = self.text[self.at : self.at + 1]
        self.at += 1
        if following == "{":
            return self._group("")[1:-1]
        if following == "\\" and (name := re.match(r"[a-zA-Z]+", self.text[self.at :])):
            self.at += name.end()
            return self._command(name[0])
        if not following or following == "}":
            raise UnreadableExpressionError("a command without its argument")
        return following

    def _command(self, name: str) -> str:
        if name in FRACTIONS:
            above = self._argument()
            return f"(({above})/({self._argument()}))"
        if name in BINOMIALS:
            above = self._argument()
            return f" binomial(({above}),({self._argument()})) "
        if name == "sqrt":
            degree = re.match(r"\s?\[([^\[\]]*)\]", self.text[self.at :])
            self.at += degree.end() if degree else 0
            inner = self._argument()
            return f" root(({inner}),({degree[1]})) " if degree else f" sqrt({inner}) "
        if name in COLOURS:
            self._argument()
            return f" {self._argument()} " if name != "color" else " "
        if name in UNWRAPPED:
            return f" {self._argument()} "
        if name not in COMMANDS:
            raise UnreadableExpressionError(f"the command \\{name}")
        return COMMANDS[name]
