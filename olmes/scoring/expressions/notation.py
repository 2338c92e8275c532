r"""Mathematics as people and models write it, turned into Python's notation.

`tidied` takes away LaTeX, Unicode and decoration and leaves words and commas where they are;
`read` turns one piece of the result into an expression: `2x` is `2*x`, `\frac{1}{2}` is `1/2`,
`x^{2}` is `x**2`. Nothing is evaluated (see `expression`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from fractions import Fraction

from olmes.scoring.expressions.expression import Expression, UnreadableExpressionError, parse

MOST_CHARACTERS = 1000
MOST_DEPTH = 30

CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–—‒‑", "-"),
        **dict.fromkeys("×·⋅∙∗•", "*"),
        **dict.fromkeys("÷⁄∕", "/"),
        **dict.fromkeys("“”„`´", '"'),
        **dict.fromkeys("‘’", "'"),
        "√": " sqrt ",
        "π": " pi ",
        "…": "...",
        # NFKC would join `3½` to `31/2`.
        **{fraction: f" {fraction}" for fraction in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"},
    }
)
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
GROUPED = re.compile(r"(?<=\d)(?:,?\\[!,;: ]|\{,\}|~|,\\!|_|\u2009|\u202f|\xa0)(?=\d{3}(?!\d))")
"""What can only separate thousands."""
SPACED = re.compile(r"(?<![\d.,/])\d{1,3}(?: \d{3})+(?![\d/])")
REPEATING = re.compile(r"(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s?\{(\d+)\}|\((\d+)\))")
ENDLESS = re.compile(r"(\d*)\.(\d+)\s?(?:\.\.\.|\\l?dots\b)")
MIXED = re.compile(
    r"(?<![\w.,/*^])(\d+)(?:\s+|\s*\\[dt]?frac\s?(?=\{))\{?(\d+)(?:\}\{|/)(\d+)\}?(?![\w.^*])"
)
IGNORED = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|bigg?|Bigg?|qquad|quad|[,;:! \[\]()])(?![a-zA-Z])"
    r"|\\[,;:! \[\]()]|\$|~"
)
COMMANDS = {
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "pm": "±",
    "pi": " pi ",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "leq": "<=",
    "ge": ">=",
    "geq": ">=",
    "approx": "≈",
    "in": "∈",
    "{": "{",
    "}": "}",
    "%": "%",
    "#": "#",
    "_": "_",
    "&": "&",
}
UNWRAPPED = (
    *("text", "textbf", "textit", "textrm", "mathrm", "mathbf", "mathit", "boxed", "fbox"),
    *("mathsf", "operatorname", "mbox", "bm", "boldsymbol", "texttt", "mathtt", "emph"),
)
LATEX = re.compile(r"\\([a-zA-Z]+|.)|([\^_]?)\{|(\})|(\^)", re.DOTALL)
BOLD = re.compile(r"(?<![^\s,;(])\*\*(?=\S)((?:[^*]|\*(?!\*)){1,200}?)(?<=\S)\*\*(?![^\s,;.:)])")
"""Emphasis, which a power never looks like: `**5**`."""


def tidied(text: str) -> str:
    r"""`text` without LaTeX, Unicode operators and wrappings; `\frac{a}{b}` is `((a)/(b))`.

    Raises:
        UnreadableExpressionError: it is too long, nested too deeply, or its braces do not match.
    """
    if len(text) > MOST_CHARACTERS:
        raise UnreadableExpressionError(f"longer than {MOST_CHARACTERS} characters")
    text = text.replace(r"\$", " ")
    text = SUPERSCRIPT.sub(lambda found: f"^({found[0].translate(SUPERSCRIPTS)})", text)
    text = GROUPED.sub("", unicodedata.normalize("NFKC", text.translate(CHARACTERS)))
    text = text.translate(CHARACTERS).replace("\n", " ")
    text = REPEATING.sub(lambda found: repeating(found[1], found[2], found[3] or found[4]), text)
    text = ENDLESS.sub(endless, text)
    text = MIXED.sub(mixed, IGNORED.sub(" ", text))
    text = without_latex(BOLD.sub(r"\1", text.strip()))
    text = SPACED.sub(lambda found: found[0].replace(" ", ""), text)
    return re.sub(r"\s+", " ", stripped(text))


def stripped(text: str) -> str:
    """`text` without quotes, and the punctuation and emphasis around it.

    Three dots stay: what they follow continues.
    """
    text = re.sub(r"^(?:[ ,;:!']|\.(?!\d))+", "", text.replace('"', " ").replace("\t", " "))
    text = text.removeprefix("**").removesuffix("**").rstrip()
    return text if text.endswith("...") else text.rstrip(" .,;:!'").removesuffix("**").strip()


def repeating(whole: str, before: str, period: str) -> str:
    """The fraction that `whole.before` followed by `period` for ever is."""
    scale = 10 ** len(before)
    value = Fraction(int((whole + before) or "0"), scale)
    value += Fraction(int(period), scale * (10 ** len(period) - 1))
    return f"({value.numerator}/{value.denominator})"


def endless(found: re.Match[str]) -> str:
    """The fraction of `0.1666...`, where the digits show what repeats."""
    digits = found[2]
    for length in range(1, len(digits) // 2 + 1):
        period = digits[-length:]
        times = 1
        while digits.endswith(period * (times + 1)):
            times += 1
        if times >= 3 or (times == 2 and length >= 3):
            return repeating(found[1], digits[: -length * times], period)
    return found[0]


def mixed(found: re.Match[str]) -> str:
    """The fraction of a mixed number such as `1 5/7`."""
    whole, above, below = int(found[1]), int(found[2]), int(found[3])
    return f"({whole * below + above}/{below})" if above < below else found[0]


def without_latex(text: str) -> str:
    """`text` with its LaTeX commands and groups in Python's notation.

    Raises:
        UnreadableExpressionError: nested too deeply, or the braces do not match.
    """
    return _Reader(text).until_end()


class _Reader:
    """Reads LaTeX from left to right; each method returns Python's notation."""

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
        return "".join(parts)

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
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            above = self._argument()
            return f"(({above})/({self._argument()}))"
        if name == "sqrt":
            degree = re.match(r"\s?\[([^\[\]]*)\]", self.text[self.at :])
            self.at += degree.end() if degree else 0
            inner = self._argument()
            return f" root(({inner}),({degree[1]})) " if degree else f" sqrt({inner}) "
        if name in UNWRAPPED:
            return f" {self._argument()} "
        if name not in COMMANDS:
            raise UnreadableExpressionError(f"the command \\{name}")
        return COMMANDS[name]


WORD = re.compile(
    r"(?P<number>(?:\d+(?:\.\d*)?|\.\d+))(?P<exponent>[eE][-+]?\d+)?"
    r"|(?P<word>[a-zA-Z]+)|(?P<operator>\*\*|[-+*/(),])|(?P<space>\s+)"
)
FUNCTIONS = ("sqrt", "root")
CONSTANTS = ("pi",)


def read(text: str, names: Collection[str] = ()) -> Expression:
    """The expression of a tidied piece of text, with multiplication signs where they are left out.

    Args:
        text: from `tidied`, without what surrounds the expression.
        names: the letters it may hold, in lower case; the text's case does not matter.

    Raises:
        UnreadableExpressionError: it is not an expression, or holds other letters.
    """
    source: list[str] = []
    before = ""
    at = 0
    text = text.replace("{", "(").replace("}", ")").replace("[", "(").replace("]", ")")
    while at < len(text):
        token = WORD.match(text, at)
        if token is None:
            raise UnreadableExpressionError(f"{text[at]!r} is not allowed")
        at = token.end()
        for kind, word in _words(token, names):
            if kind in ("operand", "function", "(") and before == "operand":
                source.append("*")
            if kind == "number" and before == "operand":
                raise UnreadableExpressionError("a number right after an operand")
            if before == "function" and kind != "(":
                word = f"({word})"
            source.append(word)
            before = {"number": "operand", ")": "operand", "operator": ""}.get(kind, kind)
    return parse(" ".join(source))


def _words(token: re.Match[str], names: Collection[str]) -> list[tuple[str, str]]:
    """The operands and operators of one token, each with its kind."""
    if token["space"]:
        return []
    if operator := token["operator"]:
        return [(operator if operator in "()" else "operator", operator)]
    if number := token["number"]:
        exponent = token["exponent"] or ""
        if exponent and "e" not in names:
            return [("number", number + exponent)]
        # Python refuses leading zeros; people write them.
        found = [("number", str(int(number)) if number.isdigit() else number)]
        if exponent[1:].isdigit():
            raise UnreadableExpressionError("a number right after an operand")
        if exponent:
            found += [("operand", "e"), ("operator", exponent[1]), ("number", exponent[2:])]
        return found
    word = token["word"].lower()
    if word in FUNCTIONS:
        return [("function", word)]
    if word in CONSTANTS and not set(word) <= set(names):
        return [("operand", word)]
    if not set(word) <= set(names):
        raise UnreadableExpressionError(f"{token['word']!r} is not allowed")
    return [("operand", letter) for letter in word]
