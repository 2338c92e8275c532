r"""Mathematics as people and models write it, in plain notation.

`tidied` takes away LaTeX, Unicode and decoration and leaves words and commas where they are:
`\frac{1}{2}` is `((1)/(2))`, `x^{2}` is `x**(2)`. `implied.read` turns a piece of the result into an
expression. Nothing is evaluated.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from olmes.scoring.expressions.expression import UnreadableExpressionError
from olmes.scoring.expressions.latex_commands import without_latex

MOST_CHARACTERS = 1000
ROW_END = "¦"

CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–—‒‑", "-"),
        **dict.fromkeys("×·⋅∙∗•", "*"),
        **dict.fromkeys("÷⁄∕", "/"),
        **dict.fromkeys("“”„`´", '"'),
        **dict.fromkeys("‘’", "'"),
        "⟨": "(",
        "⟩": ")",
        "∛": r"\sqrt[3]",
        "∞": r"\infty ",
        **dict.fromkeys("º˚", "°"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff"),
        "≤": "<=",
        "≥": ">=",
        "√": " sqrt ",
        "π": r"\pi ",
        "θ": r"\theta ",
        "…": "...",
        # NFKC would join `3½` to `31/2`.
        **{fraction: f" {fraction}" for fraction in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"},
    }
)
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
THIN = r"(?:\s|\\[!,;:])*"
GROUPED = re.compile(
    rf"(?<=\d)(?:\s*,(?:\s|\\[,;:])*\\!{THIN}|\\!\s*,|\{{,\}}|\s*\\[!,;: ]|~|_|\u2009|\u202f|\xa0)"
    r"\s*(?=\d{3}(?!\d))"
)
"""What can only separate thousands."""
SPACED = re.compile(r"(?<![\d.,/])\d{1,3}(?: \d{3})+(?![\d/])")
DEGREE = re.compile(
    r"\s?\^\s?(?:\{\s?\\(?:circ|degree)\s?\}|\\(?:circ|degree)(?![a-zA-Z]))|\\degree\b"
)
MATRIX = re.compile(
    r"\\begin\s?\{(?P<kind>[pbBv]?(?:small)?matrix|array)\}(?:\s?\{[clr| ]*\})?"
    r"(?P<cells>(?:(?!\\begin).)*?)\\end\s?\{(?P=kind)\}",
    re.DOTALL,
)
ESCAPED = re.compile(r"\\\\(?=[a-zA-Z])")
"""A command with its backslash doubled, as in JSON."""
ROW = re.compile(r"\\\\(?:\s?\[[^\[\]]{0,20}\])?")
INFINITY = re.compile(r"\b(?:infinity|inf)\b", re.IGNORECASE)
REPEATING = re.compile(
    r"(\d*)\.(\d*)(?:\\(?:overline|bar|dot)\s?(?:\{\s?(\d+)\s?\}|(\d))|\((\d+)\))"
)
ENDLESS = re.compile(r"(\d*)\.(\d+)\s?(?:\.\.\.|\\l?dots\b)")
MIXED = re.compile(r"(?<![\w.,/*^])(\d+)\s+(\d+)/(\d+)(?![\w^*]|\.\d)")
SHORT = r"\s*(?:\{\s*(\d+)\s*\}|(\d))"
MIXED_LATEX = re.compile(rf"(?<![\w./*^])(\d+)\s*\\[dtc]?frac{SHORT}{SHORT}(?!\s?[\w^*]|\.\d)")
IGNORED = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|[bB]igg?[lrm]?|qquad|quad|[,;:! \[\]()])"
    r"(?![a-zA-Z])"
    r"|\\[,;:! \[\]()]|\$|~"
)
BOLD = re.compile(r"(?<![^\s,;(])\*\*(?=\S)((?:[^*]|\*(?!\*)){1,200}?)(?<=\S)\*\*(?![^\s,;.:)])")
"""Emphasis, which a power never looks like: `**5**`."""

LONE_EMPHASIS = re.compile(r"^(?:\*\*)?\s*((?:(?!\*\*).)*?)\s?\*\*\s*$", re.DOTALL)
"""Emphasis of everything, or the end of one that began before the text."""


def tidied(text: str, *, formula: bool = False, currency: str = " ") -> str:
    r"""`text` without LaTeX, Unicode operators and wrappings; `\frac{a}{b}` is `((a)/(b))`.

    Args:
        text: an answer as it is written.
        formula: whether it is a formula and no sentence, so that a final `!` is a factorial.
        currency: what stands for an escaped dollar sign; a plain one may be the end of a formula.

    Raises:
        UnreadableExpressionError: it is too long, nested too deeply, or its braces do not match.
    """
    if len(text) > MOST_CHARACTERS:
        raise UnreadableExpressionError(f"longer than {MOST_CHARACTERS} characters")
    text = MATRIX.sub(matrix, LONE_EMPHASIS.sub(r"\1", text)).replace(r"\$", currency)
    text = ESCAPED.sub(r"\\", text)
    text = SUPERSCRIPT.sub(lambda found: f"^({found[0].translate(SUPERSCRIPTS)})", text)
    text = unicodedata.normalize("NFKC", text.translate(CHARACTERS))
    text = DEGREE.sub("°", GROUPED.sub("", text)).translate(CHARACTERS).replace("\n", " ")
    text = REPEATING.sub(repeated, text)
    text = BOLD.sub(r"\1", IGNORED.sub(" ", ENDLESS.sub(endless, text)).strip())
    text = without_latex(MIXED.sub(mixed, MIXED_LATEX.sub(mixed, text)))
    text = SPACED.sub(lambda found: found[0].replace(" ", ""), INFINITY.sub(" oo ", text))
    factorial = "!" if formula and re.search(r"[\w)}]!+[\s.]*$", text) else ""
    return re.sub(r"\s+", " ", stripped(text)) + factorial


def matrix(found: re.Match[str]) -> str:
    """A matrix between its own brackets: `⟦1 & 2 ¦ 3 & 4⟧`."""
    rows = [row for row in ROW.split(found["cells"]) if row.strip()]
    return f"⟦{ROW_END.join(rows)}⟧"


def stripped(text: str) -> str:
    """`text` without quotes, and the punctuation and emphasis around it.

    Three dots stay: what they follow continues.
    """
    text = re.sub(r"^(?:[ ,;:!']|\.(?!\d))+", "", text.replace('"', " ").replace("\t", " "))
    text = text.removeprefix("**").removesuffix("**").rstrip()
    return text if text.endswith("...") else text.rstrip(" .,;:!'").removesuffix("**").strip()


def repeated(found: re.Match[str]) -> str:
    r"""The fraction of `0.1\overline{6}`."""
    return repeating(found[1], found[2], found[3] or found[4] or found[5])


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
    whole, above, below = (int(group) for group in found.groups() if group)
    return f"({whole * below + above}/{below})" if above < below else found[0]
