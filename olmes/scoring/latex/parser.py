r"""sympy's LaTeX grammar, driven faster and within limits.

The grammar and the conversion to expressions are sympy's (its ANTLR backend, which did not change
from 1.13.3 to 1.14); `parse` gives what `parse_latex` of 1.13.3 gives, including that text after a
complete expression is silently passed over. It differs in three ways: the two-stage strategy of the
ANTLR manual (fast SLL prediction first, full LL only where that finds a syntax error) makes it five
times as fast; the check of matrix delimiters that sympy 1.14 runs first, and published numbers did
not have, is left out; and a text that makes the parser look ahead too often is given up.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MOST_CHARACTERS = 1000
MOST_BRANCHES = 12
MOST_STEPS = 1000
"""Look-ahead steps. The longest gold answer of MATH takes 507."""
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,3999}")
"""Read without the grammar, which takes time quadratic in the number of digits."""
HUGE_POWER = re.compile(r"\^\{?-?[0-9]{7,}")
"""Would be evaluated while it is read, when a minus sign precedes it."""
HUGE_ARGUMENT = re.compile(r"\|[_^]\{[^}]*[0-9]{5}")
"""Would be put into the expression before the bar, and evaluated there."""
BRANCH = re.compile(r"[|]|[a-zA-Z]'*\(|\\int")
"""What makes the parser try several readings, so that time grows fast with their number."""


class UnreadableLatexError(Exception):
    """The text is not in the grammar, or reading it takes too long."""


class TooLongError(UnreadableLatexError):
    """Reading takes too long: more look-ahead than the limit, which the full mode only adds to."""


def parse(text: str) -> Any:
    """What sympy reads in `text`: an expression, a relation, or a list for a bare derivative.

    Raises:
        UnreadableLatexError: it reads nothing, or more than the limits allow.
        Exception: whatever sympy's converter raises on a tree it did not foresee.
    """
    text = text.strip()
    if INTEGER.fullmatch(text):
        return machinery().number(text)
    if HUGE_POWER.search(text) or HUGE_ARGUMENT.search(text):
        raise UnreadableLatexError
    seen = within_limits(text)
    try:
        tree = relation(seen, complete=len(seen) == len(text), fast=True)
    except TooLongError:
        raise
    except UnreadableLatexError:
        tree = relation(seen, complete=len(seen) == len(text), fast=False)
    return machinery().convert(tree)


def within_limits(text: str) -> str:
    """The part of `text` that the parser may look at."""
    text = text[:MOST_CHARACTERS]
    branches = [match.start() for match in BRANCH.finditer(text)]
    return text[: branches[MOST_BRANCHES]] if len(branches) > MOST_BRANCHES else text


def relation(text: str, *, complete: bool, fast: bool) -> Any:
    """The parse tree of `text`, which is the whole answer when `complete`, else its beginning."""
    make = machinery()
    lexer = make.lexer(make.characters(text))
    tokens = make.tokens(lexer)
    parser = make.parser(tokens)
    for stage in (lexer, parser):
        stage.removeErrorListeners()
        stage.addErrorListener(make.listener)
    parser._interp.predictionMode = make.fast if fast else make.full
    tree = parser.math().relation()
    if not complete and lexer.inputStream.index >= len(text):
        raise UnreadableLatexError  # what was cut off might have mattered
    return tree


class Machinery:
    """ANTLR's and sympy's classes, imported on first use."""

    def __init__(self) -> None:
        from antlr4 import CommonTokenStream, InputStream
        from antlr4.atn.PredictionMode import PredictionMode
        from antlr4.error.ErrorListener import ErrorListener
        from sympy import Integer
        from sympy.parsing.latex._antlr.latexlexer import LaTeXLexer
        from sympy.parsing.latex._antlr.latexparser import LaTeXParser
        from sympy.parsing.latex._parse_latex_antlr import convert_relation

        class Listener(ErrorListener):  # type: ignore[misc]
            """Makes every syntax error final, as sympy does."""

            def syntaxError(self, *_: Any) -> None:  # noqa: N802 (ANTLR's name)
                raise UnreadableLatexError

        class Tokens(CommonTokenStream):  # type: ignore[misc]
            """Counts how often the parser looks ahead."""

            steps = 0

            def LA(self, i: int) -> int:  # noqa: N802 (ANTLR's name)
                self.steps += 1
                if self.steps > MOST_STEPS:
                    raise TooLongError
                return int(super().LA(i))

        self.characters = InputStream
        self.lexer = LaTeXLexer
        self.tokens = Tokens
        self.parser = LaTeXParser
        self.listener = Listener()
        self.convert = convert_relation
        self.number = Integer
        self.fast = PredictionMode.SLL
        self.full = PredictionMode.LL


@lru_cache(maxsize=1)
def machinery() -> Machinery:
    """The one set of classes of this process."""
    return Machinery()
